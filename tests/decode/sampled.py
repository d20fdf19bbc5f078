"""What the tests of sampling share: parameters that do nothing, and one distribution of one row of logits."""

from __future__ import annotations

import math

import torch

from chatterm.decode.sampling import SampledDistribution, Sampler
from chatterm.sampling import SamplingParameters

NEUTRAL = SamplingParameters(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0)
DEFAULT = SamplingParameters()
INF = math.inf


def logits_of(seed: int, vocabulary: int = 500, spread: float = 3.0) -> torch.Tensor:
    return torch.randn(vocabulary, generator=torch.Generator().manual_seed(seed)) * spread


def run(
    logits: torch.Tensor | list[float], parameters: SamplingParameters, history: list[int] | None = None
) -> SampledDistribution:
    logits = torch.as_tensor(logits)
    return Sampler(logits.numel()).distribution(logits, history or [], parameters)


def kept(distribution: SampledDistribution) -> list[int]:
    return (distribution.removed_by == -1).nonzero().flatten().tolist()
