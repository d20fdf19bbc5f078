"""Looking at tokens that were read already: their steps again, with taps on.

Keys and values of all earlier positions are in the cache, so looking at one token costs one decode step. The
cache is left as it was, and what is looked at is computed with the context's own edits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from chatterm.decode.context import Context
from chatterm.errors import UserError
from chatterm.model.taps import Edit, Place, Taps

GoOn = Callable[[], None]
"""Called between the parts of a long computation; raises if nobody wants the answer any more."""

Reduce = Callable[[int, Tensor], Tensor]
"""What to keep of a value in a block: (layer, value) → a smaller one."""


class Reduced(Taps):
    """Taps that keep a reduction of each block's value instead of the value itself.

    The attention weights of all heads of all layers are too large to be held at once.
    """

    def __init__(self, read: Iterable[str | Place], edits: Iterable[Edit], reduce: Reduce) -> None:
        super().__init__(read, edits)
        self._reduce = reduce

    def __call__(self, point: str, layer: int | None, value: Tensor) -> Tensor:
        """As `Taps`; what is kept in `values` is reduced, what goes on is not."""
        value = super().__call__(point, layer, value)
        if layer is not None and (point, layer) in self.values:
            self.values[point, layer] = self._reduce(layer, value)
        return value


def replay(
    context: Context, first: int, count: int, read: Iterable[str | Place], reduce: Reduce | None = None
) -> dict[Place, Tensor]:
    """Values of the forward pass over the tokens at positions `first` … `first + count - 1`.

    Args:
        context: has read those tokens.
        first: position.
        count: how many; their values have so many rows.
        read: points or places (`chatterm.model.taps`); `logits` are those after the last token.
        reduce: what to keep of each block's value, if not all.

    Raises:
        ValueError: those positions have not been read.
        UserError: the model's numbers are not finite.
    """
    read = list(read)
    taps = Taps(read, context.edits) if reduce is None else Reduced(read, context.edits, reduce)
    tokens = torch.tensor(context.tokens[first : first + count], device=context.decoder.device)
    with torch.inference_mode(), context.cache.replay(first, count) as view:
        logits = context.decoder(tokens, view, taps=taps)
    check_finite(logits)
    return taps.values


def check_finite(logits: Tensor) -> None:
    """Refuse logits with which nothing can be computed.

    Raises:
        UserError: they hold NaN or +∞.
    """
    if not torch.isfinite(logits.amax()):
        raise UserError(
            "The model produced numbers that are not finite, so there is nothing to look at; load the "
            "checkpoint again, in float32 if it ran at lower precision, or check its file."
        )


def parts(first: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """Positions `first` … `stop - 1` in parts of at most `size`: (first, count)."""
    for start in range(first, stop, size):
        yield start, min(size, stop - start)
