"""The logit lens: what the model would say if it stopped after a block.

For the residual stream x_l after block l: softmax(W · norm(x_l) + b), with the model's own final norm,
unembedding, logit multiplier and soft cap ("interpreting GPT: the logit lens", nostalgebraist, 2020). After
the last block that is the model's own distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chatterm.decode.context import Context
from chatterm.glass.replay import GoOn, check_finite, parts, replay
from chatterm.glass.vocabulary import entropy, leading, logits_in_parts, rank

REPLAYED = 64
"""Positions looked at in one forward pass: packed weights are unpacked once for all of them."""


@dataclass(frozen=True)
class Guess:
    """What would be said after one block."""

    entropy: float  # nats
    ids: tuple[int, ...]  # the most probable tokens, most probable first
    logprobs: tuple[float, ...]  # theirs
    target_logprob: float | None
    target_rank: int | None  # 1 = the most probable


def lens(
    context: Context, first: int, targets: Sequence[int | None], candidates: int, go_on: GoOn
) -> Iterator[list[Guess]]:
    """The guesses after each block, for each of some consecutive positions.

    Args:
        context: has read the text.
        first: position of the first token looked at.
        targets: one for each position: the token to follow, or None.
        candidates: how many of the most probable tokens.
        go_on: called between parts.

    Yields:
        For each position, one guess per block.
    """
    layers = context.decoder.architecture.layers
    for start, count in parts(first, first + len(targets), REPLAYED):
        go_on()
        values = replay(context, start, count, ["output"])
        states = torch.stack(
            [values["output", layer] for layer in range(layers)], dim=1
        )  # (T, layers, width)
        wanted = [target for target in targets[start - first :][:count] for _ in range(layers)]
        found = list(_guesses(context, states.flatten(0, 1), wanted, candidates, go_on))
        for index in range(count):
            yield found[index * layers : (index + 1) * layers]


def _guesses(
    context: Context, states: Tensor, targets: Sequence[int | None], candidates: int, go_on: GoOn
) -> Iterator[Guess]:
    for first, logits in logits_in_parts(context.decoder, states):
        go_on()
        check_finite(logits)
        logprobs = logits.log_softmax(-1)
        entropies = entropy(logprobs)
        for index, row in enumerate(logprobs):
            yield _guess(row, float(entropies[index]), targets[first + index], candidates)


def _guess(logprobs: Tensor, entropy_: float, target: int | None, candidates: int) -> Guess:
    ids = leading(logprobs, candidates)
    return Guess(
        entropy=entropy_,
        ids=tuple(ids),
        logprobs=tuple(logprobs[ids].tolist()),
        target_logprob=None if target is None else float(logprobs[target]),
        target_rank=None if target is None else rank(logprobs, target),
    )
