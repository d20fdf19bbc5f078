"""Questions of the glass box and their answers (`chatterm.engine.inspection`), for one session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chatterm.engine.inspection import AnyAnswer, AnyQuestion
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
        case _:
            raise UserError(f"This engine cannot answer “{type(question).__name__}”.")


def can_answer_now(session: Session, question: AnyQuestion) -> bool:
    """Whether the answer disturbs no reply in progress: all that it looks at is in the cache."""
    prompt = getattr(question, "prompt", None)
    return isinstance(prompt, Tokens) and session.context.holds(prompt.ids)
