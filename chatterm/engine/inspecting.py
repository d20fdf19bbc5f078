"""Questions of the glass box and their answers (`chatterm.records.inspection`), for one session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chatterm.engine import editing, looking
from chatterm.records.generation import Tokens
from chatterm.records.inspection import (
    Analogy,
    AnyAnswer,
    AnyQuestion,
    ApplyEdits,
    AttentionHead,
    AttentionOverview,
    Compare,
    Contributions,
    EmbeddingMap,
    HeadPatterns,
    HiddenNeighbours,
    Lens,
    Neighbours,
    Neurons,
    RankCurve,
    Score,
    SelfCheck,
)

if TYPE_CHECKING:
    from chatterm.engine.session import Session

Stopped = Callable[[], bool]
"""Whether the client wants the answer no more."""

Looking = (
    Score
    | RankCurve
    | Lens
    | AttentionOverview
    | AttentionHead
    | HeadPatterns
    | Contributions
    | Neurons
    | HiddenNeighbours
)
"""Questions about the tokens of a prompt."""

MOST_REPLAYED = 16
"""Tokens that may be computed again while a reply waits: a fraction of a second."""

LENS_COST = 8
"""A lens unembeds a state per block; it counts as so many tokens."""


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
        case Score():
            return looking.read_scores(session, question, stopped)
        case RankCurve():
            return looking.read_rank_curve(session, question, stopped)
        case Lens():
            return looking.read_lens(session, question, stopped)
        case AttentionOverview():
            return looking.read_attention_overview(session, question, stopped)
        case AttentionHead():
            return looking.read_attention(session, question, stopped)
        case HeadPatterns():
            return looking.read_head_patterns(session, question, stopped)
        case Contributions():
            return looking.read_contributions(session, question, stopped)
        case Neurons():
            return looking.read_neurons(session, question, stopped)
        case Neighbours():
            return looking.read_neighbours(session, question)
        case HiddenNeighbours():
            return looking.read_hidden_neighbours(session, question, stopped)
        case Analogy():
            return looking.read_analogy(session, question)
        case EmbeddingMap():
            return looking.read_map(session, question)


def can_answer_now(session: Session, question: AnyQuestion) -> bool:
    """Whether a reply in progress need not wait for the answer.

    It need not if all that the answer looks at is in the cache, and not much of it must be computed again.
    """
    match question:
        case ApplyEdits() | Compare() | SelfCheck():
            return False
        case Neighbours() | Analogy() | EmbeddingMap():
            return True
    held = isinstance(question.prompt, Tokens) and session.context.holds(question.prompt.ids)
    return held and _replayed(question) <= MOST_REPLAYED


def _replayed(question: Looking) -> int:
    """How many tokens are computed once more for the answer, or as much work as that."""
    assert isinstance(question.prompt, Tokens)
    length = len(question.prompt.ids)
    match question:
        case Score():
            return length - max(0, question.first)
        case HeadPatterns():
            return length
        case Lens():
            return min(length, question.positions) * LENS_COST
        case AttentionHead():
            return min(length, question.rows)
        case _:
            return 1
