"""Conversations that a template refuses, put in a form that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chatterm.checkpoint.template.messages import Rendered, TemplateRefusedError, Turn
from chatterm.checkpoint.thinking import ThinkingMarkers
from chatterm.errors import UserError


class Applies(Protocol):
    """What renders turns without changing them."""

    source: str
    thinking: ThinkingMarkers | None

    def apply(self, turns: Sequence[Turn], *, continue_reply: bool = False, reply: bool = True) -> str:
        """See `ChatTemplate.apply`."""


SYSTEM_FOLDED = (
    "This model's chat template takes no system prompt, so it was put in front of your first message."
)
TURNS_FOLDED = (
    "This model's chat template wants you and the model to take turns, beginning with you, so messages in a "
    "row were joined or an empty one was added."
)


def render_folding(template: Applies, turns: Sequence[Turn], *, continue_reply: bool) -> Rendered:
    """Renders `turns` as they are, else with the system prompt folded, else also with turns joined.

    Raises:
        UserError: the template refuses all of them, or runs away.
    """
    refusal: Exception | None = None
    for attempt, notices in _attempts(turns):
        try:
            text = _render(template, attempt, continue_reply=continue_reply)
        except TemplateRefusedError as error:
            refusal = refusal or error
            continue
        system_lost = any(turn.role == "system" and turn.content.strip() not in text for turn in attempt)
        if system_lost and not notices:
            continue
        return Rendered(text, notices)
    raise UserError(
        f"This model's chat template ({template.source}) refuses the conversation: {refusal}."
    ) from refusal


def _render(template: Applies, turns: Sequence[Turn], *, continue_reply: bool) -> str:
    if not continue_reply:
        return template.apply(turns)
    partial = turns[-1].content
    if template.thinking is not None and len(turns) > 1:
        opened = template.apply(turns[:-1])
        if template.thinking.open_in(opened):  # the reply was written after this, so it goes on there
            return opened + partial.lstrip().removeprefix(template.thinking.opens)
    try:
        return template.apply(turns, continue_reply=True)
    except TemplateRefusedError:
        if len(turns) < 2:
            raise
        return template.apply(turns[:-1]) + partial


def _attempts(turns: Sequence[Turn]) -> list[tuple[list[Turn], tuple[str, ...]]]:
    attempts: list[tuple[list[Turn], tuple[str, ...]]] = [(list(turns), ())]
    folded = fold_system(turns)
    system = (SYSTEM_FOLDED,) if folded != list(turns) else ()
    if system:
        attempts.append((folded, system))
    joined = join_turns(folded)
    if joined != folded:
        joined_only = join_turns(turns)
        if system and joined_only != list(turns):
            attempts.append((joined_only, (TURNS_FOLDED,)))
        attempts.append((joined, (*system, TURNS_FOLDED)))
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
