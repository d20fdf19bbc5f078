"""What could come next: the model's own distribution, and the one that the token is drawn from.

Both are said exactly. *Model* is softmax of the logits, nothing else; *sampled* is what the draw uses, after
penalties, truncation and temperature. For every removed token it is known which step removed it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from chatterm.decode.samplers.candidates import (
    Candidates,
    Cut,
    Doubles,
    Ids,
    ModelProbabilities,
)

FEW = 512
"""Candidates up to which a table of them is made; in longer arrays the few that are asked for are sought."""

KEPT = -1
"""In `SampledDistribution.removed_by`: no step removed the token."""


class Row(NamedTuple):
    """One token of a distribution."""

    id: int
    logprob: float  # nats, of the model; -inf where the model excludes the token
    rank: int  # 1 = the model's most probable; equals by id
    sampled: float  # the probability with which it would be drawn; 0 if removed
    removed_by: str | None  # the step that removed it


class Removed(NamedTuple):
    """What one step removed."""

    step: str
    tokens: int
    mass: float  # under the model's own probabilities


class SampledDistribution:
    """The distribution at one position. Arrays over the vocabulary are made when asked for."""

    def __init__(self, position: int, model: ModelProbabilities, candidates: Candidates) -> None:
        """`candidates` is what the chain left of the model's distribution."""
        self.position = position
        """Index of the token that comes here; the prompt starts at 0."""
        self.steps: tuple[str, ...] = tuple(candidates.steps)
        """The steps that ran, in order; neutral ones are not among them."""
        self.vocabulary = candidates.vocabulary
        """V, the number of tokens."""
        self._model = model
        self._logits = model.logits
        self._log_normaliser = model.softmax.log_normaliser
        self._cuts: tuple[Cut, ...] = tuple(candidates.cuts)
        self._ids, self._probabilities = candidates.result()

    @cached_property
    def logprobs(self) -> torch.Tensor:
        """The model's log-probabilities in nats: log_softmax of the logits. Shape (V,), float32, CPU."""
        return torch.from_numpy((self._logits - np.float64(self._log_normaliser)).astype(np.float32))

    @cached_property
    def sampled(self) -> torch.Tensor:
        """The probabilities of the draw, 0 where removed; they sum to 1. Shape (V,), float64, on the CPU."""
        if self._ids is None:
            return torch.from_numpy(self._probabilities)
        whole = np.zeros(self.vocabulary)
        whole[self._ids] = self._probabilities
        return torch.from_numpy(whole)

    @cached_property
    def removed_by(self) -> torch.Tensor:
        """-1 for a token that was kept, else the index into `steps`. Shape (V,), int8, on the CPU."""
        return torch.from_numpy(self._removed_by)

    @cached_property
    def candidates(self) -> tuple[Ids, Doubles]:
        """Ids of the tokens that can be drawn, and their probabilities, which sum to 1. Shapes (kept,)."""
        if self._ids is not None:
            return self._ids, self._probabilities
        if not self._cuts:
            return np.arange(self.vocabulary), self._probabilities
        kept = np.flatnonzero(self._removed_by == KEPT)
        return kept, self._probabilities[kept]

    @cached_property
    def kept(self) -> int:
        """The number of tokens that can be drawn."""
        return self.vocabulary - sum(cut.tokens for cut in self._cuts)

    @cached_property
    def kept_mass(self) -> float:
        """The probability that the model gives to the tokens that can be drawn."""
        return self._model.mass(self.candidates[0])

    def entropy(self) -> float:
        """Of the model's own distribution, in nats."""
        return self._model.softmax.entropy

    def logprob(self, token: int) -> float:
        """The model's log-probability of one token in nats; -inf where the model excludes it."""
        return float(self._logits[token]) - self._log_normaliser

    def rank(self, token: int) -> int:
        """1 for the model's most probable token; of equally probable tokens the lowest id comes first."""
        logit = self._logits[token]
        better = int(np.count_nonzero(self._logits > logit))
        return 1 + better + int(np.count_nonzero(self._logits[:token] == logit))

    def row(self, token: int) -> Row:
        """Everything about one token."""
        return self._row(token, self.rank(token))

    def top(self, k: int, also: Iterable[int] = ()) -> list[Row]:
        """The model's k most probable tokens, and the tokens `also` whatever their rank; by rank."""
        leading = self._model.leading(k).tolist() if k > 0 else []
        rows = [self._row(token, rank) for rank, token in enumerate(leading, start=1)]
        rows += [self.row(token) for token in set(also).difference(leading)]
        return sorted(rows, key=lambda row: row.rank)

    def removals(self) -> list[Removed]:
        """What each step removed, in the order of the steps; steps that removed nothing are left out.

        The masses and `kept_mass` sum to 1.
        """
        return [Removed(self.steps[cut.step], cut.tokens, cut.mass) for cut in self._cuts]

    # --- how it is put together -----------------------------------------------------------------------

    def _row(self, token: int, rank: int) -> Row:
        step = int(self._removed_by[token])
        removed_by = None if step == KEPT else self.steps[step]
        return Row(token, self.logprob(token), rank, self._probability_of(token), removed_by)

    def _probability_of(self, token: int) -> float:
        if self._ids is None:
            return float(self._probabilities[token])
        if self._ids.size > FEW:
            found = np.flatnonzero(self._ids == token)
            return float(self._probabilities[found[0]]) if found.size else 0.0
        return self._by_id.get(token, 0.0)

    @cached_property
    def _by_id(self) -> dict[int, float]:
        ids, probabilities = self.candidates
        return dict(zip(ids.tolist(), probabilities.tolist(), strict=True))

    @cached_property
    def _removed_by(self) -> npt.NDArray[np.int8]:
        steps = np.full(self.vocabulary, KEPT, dtype=np.int8)
        for number, cut in enumerate(self._cuts):
            if cut.removed is not None:
                steps[cut.removed] = cut.step
                continue
            if number == 0:
                steps.fill(cut.step)
            else:
                steps[steps == KEPT] = cut.step
            steps[cut.kept] = KEPT
        return steps
