"""Questions of the glass box and their answers (`chatterm.engine.inspection`), for one session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chatterm.engine import editing
from chatterm.engine.inspection import AnyAnswer, AnyQuestion, ApplyEdits, Compare, SelfCheck
from chatterm.engine.records import Tokens
from chatterm.errors import UserError

if TYPE_CHECKING:
    from chatterm.engine.session import Session

Stopped = Callable[[], bool]
"""Whether the client wants the answer no more."""


def answer(session: Session, question: AnyQuestion, stopped: Stopped) -> AnyAnswer:
    """Answer a question.

    Raises:
        UserError: the question cannot be answered with this checkpoint, or it was stopped.
    """
    match question:
        case ApplyEdits():
            return editing.apply_edits(session, question)
        case Compare():
            return editing.compare(session, question, stopped)
        case SelfCheck():
            return editing.self_check(session, stopped)
        case _:
            raise UserError(f"This engine cannot answer “{type(question).__name__}”.")


def can_answer_now(session: Session, question: AnyQuestion) -> bool:
    """Whether the answer disturbs no reply in progress: all that it looks at is in the cache."""
    if isinstance(question, Compare):
        return False  # it reads and writes much, and would hold up the reply
    prompt = getattr(question, "prompt", None)
    return isinstance(prompt, Tokens) and session.context.holds(prompt.ids)
