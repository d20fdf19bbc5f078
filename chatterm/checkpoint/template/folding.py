"""Conversations that a template refuses, put in a form that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from chatterm.checkpoint.template.manner import Manner, Parts, Renders
from chatterm.checkpoint.template.messages import Rendered, TemplateRefusedError, Turn
from chatterm.checkpoint.template.presence import lost_turns
from chatterm.checkpoint.thinking import ThinkingMarkers
from chatterm.errors import UserError


class Applies(Renders, Protocol):
    """What renders turns without changing them, and what is known of it."""

    source: str
    thinking: ThinkingMarkers | None

    @property
    def manner(self) -> Manner:
        """How it takes what is said."""


class Attempt(NamedTuple):
    """One form of a conversation, and what has to be said about it."""

    turns: list[Turn]
    notices: tuple[str, ...] = ()


class _Lossy(NamedTuple):
    """A rendering in which not every turn stands."""

    rendered: Rendered
    last_is_lost: bool
    lost: int


SYSTEM_FOLDED = (
    "This model's chat template takes no system prompt, so it was put in front of your first message."
)
TURNS_FOLDED = (
    "This model's chat template wants you and the model to take turns, beginning with you, so messages in a "
    "row were joined or an empty one was added."
)
LEFT_OUT = (
    "This model's chat template leaves out some of the earlier messages, so the model does not see them."
)


def render_folding(template: Applies, turns: Sequence[Turn], *, continue_reply: bool) -> Rendered:
    """Renders `turns` as they are, else with the system prompt folded, else also with turns joined.

    What is rendered is taken only where every turn stands in it. Words are given as the template takes them,
    as texts or as lists of parts. If earlier turns are left out whichever way, a notice says so.

    Raises:
        UserError: the template refuses all of them, leaves out what was asked, or runs away.
    """
    refusal: Exception | None = None
    best: _Lossy | None = None
    for parts in template.manner.ways():
        for attempt in _attempts(turns, template.manner.folds_system):
            try:
                text = _render(template, attempt.turns, parts, continue_reply=continue_reply)
            except TemplateRefusedError as error:
                refusal = refusal or error
                continue
            lost = _lost(template, attempt.turns, text, parts, continue_reply=continue_reply)
            if not lost:
                return Rendered(text, attempt.notices)
            best = _better(best, _lossy(attempt, text, lost))
    if best is None:
        raise UserError(
            f"This model's chat template ({template.source}) refuses the conversation: {refusal}."
        ) from refusal
    if best.last_is_lost:
        raise UserError(
            f"This model's chat template ({template.source}) leaves out what you wrote, or a part of it, so "
            "the model would answer what it has not read; use another checkpoint of this model."
        )
    return best.rendered


def _lost(
    template: Applies, turns: Sequence[Turn], text: str, parts: Parts, *, continue_reply: bool
) -> list[int]:
    def again(others: Sequence[Turn]) -> str:
        try:
            return _render(template, [*others, *open_reply], parts, continue_reply=continue_reply)
        except TemplateRefusedError:
            return ""

    whole = len(turns) - continue_reply  # what is continued always ends the text
    open_reply = turns[whole:]
    trusted = template.manner.certain
    return lost_turns(turns[:whole], text, again, thinking=template.thinking, trusted=trusted)


def _lossy(attempt: Attempt, text: str, lost: Sequence[int]) -> _Lossy:
    asked = [index for index, turn in enumerate(attempt.turns) if turn.role == "user"]
    rendered = Rendered(text, (*attempt.notices, LEFT_OUT))
    return _Lossy(rendered, bool(asked) and asked[-1] in lost, len(lost))


def _better(first: _Lossy | None, second: _Lossy) -> _Lossy:
    return second if first is None or second[1:] < first[1:] else first


def _render(template: Applies, turns: Sequence[Turn], parts: Parts, *, continue_reply: bool) -> str:
    if not continue_reply:
        return template.apply(turns, parts=parts)
    partial = turns[-1].content
    if template.thinking is not None and len(turns) > 1:
        opened = template.apply(turns[:-1], parts=parts)
        if template.thinking.open_in(opened):  # the reply was written after this, so it goes on there
            return opened + partial.lstrip().removeprefix(template.thinking.opens)
    try:
        return template.apply(turns, continue_reply=True, parts=parts)
    except TemplateRefusedError:
        if len(turns) < 2:
            raise
        return template.apply(turns[:-1], parts=parts) + partial


def _attempts(turns: Sequence[Turn], folds_system: bool) -> list[Attempt]:
    """The forms to try; the system prompt is folded at once where it is known that it has to be."""
    attempts = [Attempt(list(turns))]
    folded = fold_system(turns)
    system = (SYSTEM_FOLDED,) if folded != list(turns) else ()
    if system:
        attempts.append(Attempt(folded, system))
    joined = join_turns(folded)
    if joined != folded:
        joined_only = join_turns(turns)
        if system and joined_only != list(turns):
            attempts.append(Attempt(joined_only, (TURNS_FOLDED,)))
        attempts.append(Attempt(joined, (*system, TURNS_FOLDED)))
    if folds_system and system:
        attempts[0], attempts[1] = attempts[1], attempts[0]
    return attempts


def fold_system(turns: Sequence[Turn]) -> list[Turn]:
    """The turns with all system texts put in front of the first user turn."""
    system = "\n\n".join(turn.content for turn in turns if turn.role == "system" and turn.content)
    others = [turn for turn in turns if turn.role != "system"]
    if not system:
        return others
    for index, turn in enumerate(others):
        if turn.role == "user":
            others[index] = Turn("user", f"{system}\n\n{turn.content}")
            return others
    return [Turn("user", system), *others]


def join_turns(turns: Sequence[Turn]) -> list[Turn]:
    """The turns with neighbours of one role joined, beginning with the user."""
    joined: list[Turn] = []
    for turn in turns:
        if joined and joined[-1].role == turn.role:
            joined[-1] = Turn(turn.role, f"{joined[-1].content}\n\n{turn.content}")
        else:
            if turn.role == "assistant" and not any(earlier.role == "user" for earlier in joined):
                joined.append(Turn("user", ""))
            joined.append(turn)
    return joined
