"""The sampler's arrays as the small records that the interface shows."""

from __future__ import annotations

from collections.abc import Sequence

from chatterm.checkpoint.tokenizer import Tokenizer
from chatterm.decode.sampling import SampledDistribution
from chatterm.records.generation import Candidate, Distribution, Removal


def to_distribution(
    step: SampledDistribution,
    tokenizer: Tokenizer,
    *,
    position: int,
    candidates: int,
    also: Sequence[int] = (),
) -> Distribution:
    """What could come at `position`: the `candidates` most probable tokens under the model, and `also`."""
    return Distribution(
        position=position,
        entropy=step.entropy(),
        kept=step.kept,
        removed=tuple(Removal(name, tokens, mass) for name, tokens, mass in step.removals()),
        candidates=tuple(
            Candidate(
                id=row.id,
                text=tokenizer.piece(row.id),
                logprob=row.logprob,
                rank=row.rank,
                sampled=row.sampled,
                removed_by=row.removed_by,
            )
            for row in step.top(candidates, also)
        ),
    )
