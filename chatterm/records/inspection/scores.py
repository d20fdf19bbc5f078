"""Probabilities: of every token of a text, and by rank."""

from __future__ import annotations

import msgspec

from chatterm.records.generation import Prompt
from chatterm.records.inspection.question import Question
from chatterm.sampling import SamplingParameters


class ScoredToken(msgspec.Struct, frozen=True, array_like=True):
    """One token of a text under the model's own distribution after all tokens before it."""

    id: int
    text: str
    logprob: float | None  # None for the first token: nothing comes before it
    rank: int | None
    entropy: float | None


class Scored(msgspec.Struct, frozen=True, tag="scored"):
    """Every token of the prompt, scored."""

    tokens: tuple[ScoredToken, ...]


class Score(Question[Scored], frozen=True, tag="score"):
    """How probable every token of `prompt` was; `first` leaves out the tokens before that position."""

    prompt: Prompt
    first: int = 0


class RankCurveRead(msgspec.Struct, frozen=True, tag="rank-curve-read"):
    """Probabilities by rank, at ranks spaced evenly in the logarithm (all of the first 32)."""

    ranks: tuple[int, ...]
    p: tuple[float, ...]  # the model's own
    sampled: tuple[float, ...]  # after the sampler, of the same tokens; 0 = removed
    slope: float | None  # least squares of ln p against ln rank over ranks 1 … 1000; −1 would be Zipf's law


class RankCurve(Question[RankCurveRead], frozen=True, tag="rank-curve"):
    """Next-token probabilities against rank, for a log-log plot."""

    prompt: Prompt
    sampling: SamplingParameters
    points: int = 200
