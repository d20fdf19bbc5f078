"""How probable each token of a text was, under the model's own distribution after all tokens before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from chatterm.decode.context import Context
from chatterm.glass.replay import GoOn, check_finite, parts, replay
from chatterm.glass.vocabulary import entropy, logits_in_parts, rank
from chatterm.model.taps import Taps

READ_AT_ONCE = 256
"""Tokens of one forward pass: few enough that Stop is heard soon."""


class Score(NamedTuple):
    """One token under the distribution it could have been drawn from."""

    logprob: float  # nats
    rank: int  # 1 = the most probable
    entropy: float  # nats, of that distribution


def scores(context: Context, ids: Sequence[int], first: int, go_on: GoOn) -> Iterator[Score]:
    """The scores of the tokens at positions `first` … of a text, in one pass.

    What the context has read is replayed and stays; what it has not read is read.

    Args:
        context: is left holding the text (and what followed it, where it had read more).
        ids: the whole text.
        first: at least 1: nothing comes before the first token.
        go_on: called between parts.

    Raises:
        UserError: the model's numbers are not finite.
    """
    if not context.holds(ids):
        context.begin(ids)
    for start, states in _states(context, ids, first - 1, go_on):
        for offset, logits in logits_in_parts(context.decoder, states):
            go_on()
            check_finite(logits)
            logprobs = logits.log_softmax(-1)
            entropies = entropy(logprobs)
            for index, row in enumerate(logprobs):
                token = ids[start + offset + index + 1]
                yield Score(float(row[token]), rank(row, token), float(entropies[index]))


def _states(context: Context, ids: Sequence[int], first: int, go_on: GoOn) -> Iterator[tuple[int, Tensor]]:
    """The last residual stream of positions `first` … `len(ids) - 2`, in parts: (position, `(n, width)`)."""
    place, stop = ("output", context.decoder.architecture.layers - 1), len(ids) - 1
    read = min(len(context.tokens), len(ids))
    for start, count in parts(first, min(read, stop), READ_AT_ONCE):
        go_on()
        yield start, replay(context, start, count, [place])[place]
    for start, count in parts(read, len(ids), READ_AT_ONCE):
        go_on()
        taps = Taps([place], context.edits)
        check_finite(context.append(ids[start : start + count], taps))
        begin = max(start, first)
        if begin < min(start + count, stop):
            yield begin, taps.values[place][begin - start : stop - start]
