"""What fills the context window: the tokens of a rendered conversation, told apart by what they stand for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal, NamedTuple

from chatterm import quoting
from chatterm.chat.turns import Turn, chat_of, read_by_model
from chatterm.engine.protocol import Engine

Kind = Literal["template", "system", "user", "assistant", "attachments", "draft"]
KINDS: tuple[Kind, ...] = ("template", "system", "user", "assistant", "attachments", "draft")


class Part(NamedTuple):
    """Tokens of one kind; those of a message know its turn."""

    kind: Kind
    turn: Turn | None
    tokens: int


class Filling(NamedTuple):
    """What the window holds. The tokens of the parts add up to `used`."""

    context: int
    parts: tuple[Part, ...]

    @property
    def used(self) -> int:
        """Tokens of the whole prompt."""
        return sum(part.tokens for part in self.parts)

    @property
    def free(self) -> int:
        """Tokens that are left for a reply; less than 0: the prompt does not fit."""
        return self.context - self.used

    def of(self, kind: Kind) -> int:
        """Tokens of a kind."""
        return sum(part.tokens for part in self.parts if part.kind == kind)

    def of_turn(self, turn: Turn, kind: Kind | None = None) -> int:
        """Tokens of a message, of one kind or of all."""
        return sum(p.tokens for p in self.parts if p.turn is turn and kind in (None, p.kind))


async def fill(engine: Engine, turns: Sequence[Turn], system_prompt: str, *, draft: bool = False) -> Filling:
    """Ask the engine for the rendered conversation, and tell its tokens apart.

    A token belongs to the text in which it begins. What a template changes beyond recognition counts as the
    template's own. With `draft` the last turn is a message that is still being written.

    Raises:
        EngineError: the engine cannot render it.
        EngineDiedError: the engine is gone.
    """
    assert engine.info is not None
    chat = chat_of(list(turns), system_prompt)
    if not chat.messages:
        return Filling(engine.info.context, ())
    rendered = await engine.render(chat)
    owners: list[tuple[Kind, Turn | None]] = [("template", None)]
    starts = [0]  # of the stretches of the text, each with an owner
    place = 0

    def own(text: str, *pieces: tuple[int, Kind, Turn | None]) -> bool:
        nonlocal place
        found = rendered.text.find(text, place) if text else -1
        if found < 0:
            return False
        for start, kind, turn in pieces:
            starts.append(found + start)
            owners.append((kind, turn))
        place = found + len(text)
        starts.append(place)
        owners.append(("template", None))
        return True

    own(system_prompt.strip(), (0, "system", None))
    for turn in read_by_model(turns):
        text = turn.sent.strip()
        if turn.role == "user":
            kind: Kind = "draft" if draft and turn is turns[-1] else "user"
            said = len(text) - len(quoting.split(text)[1])
            attached: list[tuple[int, Kind, Turn | None]] = [(0, "attachments", turn)] if said else []
            own(text, *attached, (said, kind, turn))
        elif turn.role == "assistant" and not own(text, (0, "assistant", turn)) and turn.thought is not None:
            own(turn.text[turn.thought[1] :].strip(), (0, "assistant", turn))  # most templates drop thinking
    counts: dict[tuple[Kind, Turn | None], int] = {}
    for token in rendered.tokens:
        owner = owners[bisect_right(starts, token.start) - 1]
        counts[owner] = counts.get(owner, 0) + 1
    return Filling(engine.info.context, tuple(Part(kind, turn, n) for (kind, turn), n in counts.items()))
