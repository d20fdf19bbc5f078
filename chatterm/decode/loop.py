"""The loop: logits → distribution → token → logits. Token ids only; it knows nothing of text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chatterm.decode.context import Context
from chatterm.decode.lookup import Guesser
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

    Where the text repeats itself, the tokens that are likely to come are read along in the same step. Every
    token is drawn all the same, from the same distribution and so with the same result.
    """
    guesser: Guesser | None = None
    while not context.full:
        parameters = steer()
        position = len(context.tokens)
        distribution = sampler.distribution(context.logits_after(position), context.tokens, parameters)
        token = sampler.draw(distribution, parameters, position)
        yield Step(position, token, distribution, parameters)
        if context.most_ahead == 0:
            context.append([token])
            continue
        guesser = guesser or Guesser(context.tokens)
        guess = guesser.guess(token, min(context.most_ahead, context.capacity - position - 1))
        began, free = time.perf_counter(), context.expects(token)
        context.append([token], guess=guess)
        if not free:
            guesser.learn(1 + len(guess), time.perf_counter() - began)
