"""One step of a decoder with everything at a fixed place: what a CUDA graph can be captured from.

The same modules compute it as ever. Only what they read from is another: keys and values are a fixed number
of positions, of which a mask hides those beyond the text, and token and position are numbers on the device.
So the step is the same operations on the same memory for every token, and the host waits for none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from chatterm.model.block import Block
from chatterm.model.cache import Cache, Span
from chatterm.model.rotary import Turn

if TYPE_CHECKING:
    from chatterm.model.decoder import Decoder

SMALLEST = 256
"""Positions that a step looks over at least; then twice as many, and so on."""

GATHERED_SHARE = 4
"""A layer with a window reads only the window's positions where there are at least so many times more."""


class NotFixedError(Exception):
    """A text or a cache whose step depends on more than token and position."""


def bucket(length: int, allocated: int) -> int:
    """Positions that a step looks over in a text of `length` tokens, its own among them.

    The next power of two, from `SMALLEST` on, but no more than have been allocated.
    """
    return min(allocated, max(SMALLEST, 1 << (length - 1).bit_length()))


class StaticKeyValues:
    """The first positions of a cache, at which one token is written where `position` says."""

    def __init__(self, keys: Tensor, values: Tensor, position: Tensor) -> None:
        """`keys` and `values` are `(layers, kv_heads, S, head_size)`, `position` is `(1,)` int64."""
        self.keys, self.values, self.position = keys, values, position
        self._places = torch.arange(keys.shape[2], device=keys.device)
        self._visible: dict[int | None, tuple[Tensor | None, Tensor]] = {}

    def begin(self) -> None:
        """A step begins."""
        self._visible.clear()

    def append(
        self, layer: int, keys: Tensor, values: Tensor, window: int | None, *, whole: bool = False
    ) -> tuple[Tensor, Tensor, Span]:
        """As `Cache.append`, for one token; the span is all positions, or the window's, and has a mask."""
        assert not whole
        own_keys, own_values = self.keys[layer], self.values[layer]
        own_keys.index_copy_(1, self.position, keys.transpose(0, 1))
        own_values.index_copy_(1, self.position, values.transpose(0, 1))
        if window not in self._visible:
            self._visible[window] = self._look(window)
        places, mask = self._visible[window]
        if places is not None:
            own_keys, own_values = own_keys.index_select(1, places), own_values.index_select(1, places)
        return own_keys, own_values, Span(0, own_keys.shape[1], mask, causal=False)

    def _look(self, window: int | None) -> tuple[Tensor | None, Tensor]:
        """Which positions a layer reads, None for all, and which of those the token sees, `(1, S)`."""
        size = self._places.shape[0]
        if window is None or window >= size:
            return None, (self._places <= self.position)[None]
        if size < GATHERED_SHARE * window:
            seen = (self._places <= self.position) & (self._places > self.position - window)
            return None, seen[None]
        places = self.position - self._places[:window]
        return places.clamp(min=0), (places >= 0)[None]


class StaticStep:
    """The step of one decoder over the first `positions` positions of one cache."""

    def __init__(self, decoder: Decoder, cache: Cache, positions: int, length: int) -> None:
        """Prepare for texts whose rotation is that of one of `length` tokens.

        Raises:
            NotFixedError: every length has a rotation of its own, or the cache has another number type than
                the computation, so that the host would have to look at every number that is stored.
        """
        if cache.keys.dtype != decoder.dtype:
            raise NotFixedError(f"keys in {cache.keys.dtype} beside {decoder.dtype}")
        self._decoder = decoder
        self._tables: list[tuple[int, Tensor, Tensor] | None] = []
        for table in decoder.rotary_tables:
            if table is None:
                self._tables.append(None)
            elif (whole := table.whole(positions, length)) is None:
                raise NotFixedError("every length has a rotation of its own")
            else:
                self._tables.append((table.rotary.dimensions, *whole))
        with torch.inference_mode(False):
            self.token = torch.zeros(1, dtype=torch.int64, device=decoder.device)
            """What is read; set it before the step."""
            self.position = torch.zeros(1, dtype=torch.int64, device=decoder.device)
            """Where it stands, below `positions`."""
        self._cache = StaticKeyValues(
            cache.keys[:, :, :positions], cache.values[:, :, :positions], self.position
        )

    def __call__(self) -> Tensor:
        """Read `token` at `position`: float32 logits `(vocabulary,)`. Its keys and values are stored.

        The values at positions not yet written must be finite: they are multiplied by zero.
        """
        decoder = self._decoder
        self._cache.begin()
        turns = [None if table is None else self._turn(*table) for table in self._tables]
        x = decoder.embed(self.token, self.position)
        for layer, module in enumerate(decoder.blocks):
            x = cast(Block, module)(x, self._cache, turns[decoder.rotary_kind(layer)], None)
        return decoder.unembed(x)[0]

    def _turn(self, dimensions: int, cos: Tensor, sin: Tensor) -> Turn:
        return Turn(dimensions, cos.index_select(0, self.position), sin.index_select(0, self.position))
