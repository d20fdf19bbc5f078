"""How a template takes what is said: as a text, or as a list of parts, as those for pictures do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, Protocol

from chatterm.checkpoint.template.messages import TemplateRefusedError, Turn
from chatterm.checkpoint.template.presence import number

Parts = frozenset[str]
"""The roles whose words go in as `[{"type": "text", "text": …}]`; those of the others as a text."""

AS_TEXT: Parts = frozenset()
_WAYS: tuple[Parts, ...] = (
    AS_TEXT,
    frozenset({"user"}),
    frozenset({"assistant"}),
    frozenset({"user", "assistant"}),
)


class Renders(Protocol):
    """What renders turns without changing them."""

    def apply(
        self,
        turns: Sequence[Turn],
        *,
        continue_reply: bool = False,
        reply: bool = True,
        parts: Parts = AS_TEXT,
    ) -> str:
        """See `ChatTemplate.apply`."""


class Manner(NamedTuple):
    """How a template takes conversations.

    Attributes:
        parts: whose words it takes as a list of parts.
        certain: with that, every turn of a conversation on trial stood in what was rendered.
        folds_system: it takes no system prompt, or leaves it out.
    """

    parts: Parts = AS_TEXT
    certain: bool = False
    folds_system: bool = False

    def ways(self) -> Iterator[Parts]:
        """The ways to try, the best first."""
        yield self.parts
        yield from (way for way in (AS_TEXT, _WAYS[-1] | {"system"}) if way != self.parts)


def find_manner(template: Renders) -> Manner:
    """Tries a template on conversations made of numbers, and looks where they stay.

    Raises:
        UserError: the template runs away.
    """
    chat = [Turn("user", number(1)), Turn("assistant", number(2)), Turn("user", number(3))]
    manner = _best(template, chat)
    if not manner.certain:
        alone = _best(template, chat[-1:])
        manner = alone._replace(certain=False) if alone.certain else manner
    opened = [Turn("system", number(0)), chat[-1]]
    for parts in (manner.parts, manner.parts | {"system"}):
        if _standing(template, opened, parts) == len(opened):
            return manner._replace(parts=parts)
    return manner._replace(folds_system=True)


def _best(template: Renders, turns: Sequence[Turn]) -> Manner:
    """The way in which most turns stand, and whether all do."""
    most, chosen = 0, AS_TEXT
    for way in _WAYS:
        standing = _standing(template, turns, way)
        if standing == len(turns):
            return Manner(way, certain=True)
        if standing > most:
            most, chosen = standing, way
    return Manner(chosen)


def _standing(template: Renders, turns: Sequence[Turn], parts: Collection[str]) -> int:
    """How many of the turns, which are numbers, stand in what is rendered; none where it is refused."""
    try:
        text = template.apply(turns, parts=frozenset(parts))
    except TemplateRefusedError:
        return 0
    return sum(turn.content in text for turn in turns)
