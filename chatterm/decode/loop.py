"""The loop: logits → distribution → token → logits. Token ids only; it knows nothing of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chatterm.decode.context import Context
from chatterm.decode.sampling import SampledDistribution, Sampler
from chatterm.sampling import SamplingParameters


@dataclass(frozen=True)
class Step:
    """One token and what it was drawn from."""

    position: int
    token: int
    distribution: SampledDistribution
    parameters: SamplingParameters


def generate(context: Context, sampler: Sampler, steer: Callable[[], SamplingParameters]) -> Iterator[Step]:
    """Draw token after token until the context is full.

    `steer` is asked before every draw, so new parameters take effect on the very next token. A token is read
    back into the context only when the caller asks for the next one: whoever stops iterating at an end token
    leaves it out of the cache.
    """
    while not context.full:
        parameters = steer()
        position = len(context.tokens)
        distribution = sampler.distribution(context.logits_after(position), context.tokens, parameters)
        token = sampler.draw(distribution, parameters, position)
        yield Step(position, token, distribution, parameters)
        context.append([token])
