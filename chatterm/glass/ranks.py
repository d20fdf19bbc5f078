"""Probability against rank: on log-log axes a straight line of slope −1 is Zipf's law."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from chatterm.decode.distribution import SampledDistribution

EVERY = 32
"""Up to this rank, every rank is a point of the curve."""

FITTED = 1000
"""Ranks that the slope is fitted to."""


@dataclass(frozen=True)
class Curve:
    """Points of the curve, by rank."""

    ranks: list[int]
    p: list[float]  # the model's own
    sampled: list[float]  # of the same tokens, after the sampler
    slope: float | None  # None if fewer than two of the fitted ranks have any probability


def rank_curve(distribution: SampledDistribution, points: int) -> Curve:
    """The curve of one distribution, in about `points` points.

    The slope is that of the least-squares line through (ln rank, ln p) for the ranks 1 … `FITTED`.
    """
    order = distribution.logprobs.sort(descending=True, stable=True)
    ranks = rank_points(distribution.vocabulary, points)
    at = torch.tensor(ranks) - 1
    return Curve(
        ranks=ranks,
        p=order.values[at].double().exp().tolist(),
        sampled=distribution.sampled[order.indices[at]].tolist(),
        slope=_slope(order.values[:FITTED].double()),
    )


def rank_points(vocabulary: int, points: int) -> list[int]:
    """The first `EVERY` ranks, then evenly in the logarithm up to the last."""
    spaced = torch.logspace(0, torch.tensor(float(vocabulary)).log10(), max(2, points), dtype=torch.float64)
    every = range(1, min(EVERY, vocabulary) + 1)
    return sorted({*every, *(min(vocabulary, round(rank)) for rank in spaced.tolist())})


def _slope(logprobs: torch.Tensor) -> float | None:
    y = logprobs[logprobs > -torch.inf]
    if len(y) < 2:
        return None
    x = torch.arange(1, len(y) + 1, dtype=torch.float64).log()
    x, y = x - x.mean(), y - y.mean()
    return float((x @ y) / (x @ x))
