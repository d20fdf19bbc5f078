"""Keys and values of the text so far.

The cache knows where it stands: it hands attention the keys that the new tokens may look at, and the mask, so
that nothing else computes with positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from chatterm.checkpoint.architecture import Architecture
from chatterm.model.vectors import NARROW, Stored, Vectors

FIRST = 512
"""Positions for which memory is taken at first."""


@dataclass(frozen=True)
class Span:
    """What the new tokens see: cached positions `start` … `stop - 1`, through a mask where one is needed."""

    start: int
    stop: int
    mask: Tensor | None  # (T, stop - start) bool, True = seen; None = all, or `causal`
    causal: bool  # the plain triangle, start = 0 and as many queries as keys


class KeyValues(Protocol):
    """What attention needs of a cache."""

    def append(
        self, layer: int, keys: Tensor, values: Tensor, window: int | None, *, whole: bool = False
    ) -> tuple[Tensor, Tensor, Span]:
        """Store the new ones of a layer and hand out those that they see; see `Cache.append`."""


class Cache:
    """Keys and values of up to `capacity` tokens, of which `length` are there.

    They may be stored in 16 bits while everything is computed in float32: half the memory to keep and to
    read (`chatterm.model.vectors.NARROW`). Whether that is exact enough depends on the checkpoint
    (`chatterm.model.precision`).
    """

    def __init__(
        self,
        architecture: Architecture,
        capacity: int,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (architecture.layers, architecture.kv_heads, min(capacity, FIRST), architecture.head_size)
        # ordinary tensors even if the caller is in inference mode, so that anybody may write to them later
        with torch.inference_mode(False):
            self._keys = Vectors(*shape, device=device, dtype=dtype)
            self._values = Vectors(*shape, device=device, dtype=dtype)
            self.tokens = torch.empty(capacity, device=device, dtype=torch.int64)
        self.capacity = capacity
        self.length = 0
        self.regime: tuple[int, ...] | None = None
        """Which rotary frequencies the keys have (`chatterm.model.rotary.regime`, per layer kind)."""
        self.rotated_at: list[int] = []
        """Per position, the length of the text when its key was rotated; dynamic scaling depends on it."""
        self.prompt_length = 0
        """Tokens of the prompt; dynamic scaling gives all of them the same frequencies."""
        self.replayed_at: int | None = None
        """While replaying: the length of the text when the replayed tokens' keys were rotated."""
        self._incoming = 0
        self._spans: dict[int | None, Span] = {}

    @property
    def keys(self) -> Tensor:
        """`(layers, kv_heads, allocated, head_size)`; replaced by a larger one as the text grows."""
        return self._keys.numbers

    @property
    def values(self) -> Tensor:
        """Likewise."""
        return self._values.numbers

    @property
    def key_scales(self) -> Tensor | None:
        """What narrow `keys` are multiples of: `(layers, kv_heads, allocated)` float32."""
        return self._keys.scales

    @property
    def value_scales(self) -> Tensor | None:
        """Likewise."""
        return self._values.scales

    @property
    def nbytes(self) -> int:
        """Memory that the keys and values take now."""
        return self._keys.nbytes + self._values.nbytes

    @property
    def free(self) -> int:
        """Tokens that still fit."""
        return self.capacity - self.length

    def begin(self, tokens: Tensor, rotated_at: int) -> None:
        """Announce a forward pass over `tokens` `(T,)`, the next of the text.

        Raises:
            ValueError: they do not fit.
        """
        count = tokens.shape[0]
        if count > self.free:
            raise ValueError(f"{count} tokens do not fit: {self.length} of {self.capacity} are taken")
        self._reserve(self.length + count)
        self.tokens[self.length : self.length + count] = tokens
        self.rotated_at[self.length :] = [rotated_at] * count
        self._incoming = count
        self._spans.clear()

    def append(
        self, layer: int, keys: Tensor, values: Tensor, window: int | None, *, whole: bool = False
    ) -> tuple[Tensor, Tensor, Span]:
        """Store the new tokens' keys and values `(T, kv_heads, head_size)` of one layer.

        Args:
            layer: index of the block.
            keys: of the new tokens, already rotated.
            values: of the new tokens.
            window: of the layer.
            whole: hand out all positions even where a window makes the first ones invisible.

        Returns:
            Keys and values `(kv_heads, S, head_size)` of the span that the new tokens see, in the dtype of
            the new ones, and the span.
        """
        span = self.store(layer, keys, values, window, whole=whole)
        return (*self.read(layer, span.start, span.stop, keys.dtype), span)

    def store(
        self, layer: int, keys: Tensor, values: Tensor, window: int | None, *, whole: bool = False
    ) -> Span:
        """As `append`, but hand out only the span."""
        span = self._span(None if whole and window is None else window, whole=whole)
        self._keys.put(layer, self.length, span.stop, keys)
        self._values.put(layer, self.length, span.stop, values)
        return span

    def read(self, layer: int, start: int, stop: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Keys and values of some positions of a layer, `(kv_heads, stop - start, head_size)` each."""
        return self._keys.get(layer, start, stop, dtype), self._values.get(layer, start, stop, dtype)

    def stored(self, layer: int, start: int, stop: int) -> Stored:
        """Keys and values of some positions of a layer as they are kept; no copy."""
        place = layer, slice(None), slice(start, stop)
        scales = (None if each is None else each[place] for each in (self.key_scales, self.value_scales))
        return Stored(self.keys[place], self.values[place], *scales)

    def store_at(self, layer: int, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        """Keep keys and values `(T, kv_heads, head_size)` of one layer at these T places."""
        self._keys.put_at(layer, slots, keys)
        self._values.put_at(layer, slots, values)

    def read_at(self, layer: int, slots: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Keys and values at some places of a layer, `(kv_heads, len(slots), head_size)` each."""
        return self._keys.get_at(layer, slots, dtype), self._values.get_at(layer, slots, dtype)

    def clear(self, start: int, stop: int) -> None:
        """Let keys and values at these places be zero."""
        self._keys.clear(start, stop)
        self._values.clear(start, stop)

    def finish(self) -> None:
        """The forward pass is over; the new tokens count."""
        self.length += self._incoming
        self._incoming = 0

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens.

        Raises:
            ValueError: there are fewer.
        """
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot cut {self.length} cached tokens to {length}")
        self.length = length
        del self.rotated_at[length:]

    def take_back(self) -> None:
        """Undo one step of the last `truncate`: the token that was cut off first belongs to the text again.

        Nothing may have been read since, except in a `replay`.
        """
        self.length += 1
        self.rotated_at.append(self.length)

    @contextmanager
    def replay(self, position: int, count: int = 1) -> Iterator[Cache]:
        """This cache as it was before the token at `position`, for decoding `count` tokens from there again.

        Within the block the cache has length `position`; afterwards it is as if nothing had happened,
        whatever the replayed tokens were and however they were edited.

        Raises:
            ValueError: those positions are not in the cache.
        """
        if not 0 <= position < position + count <= self.length:
            raise ValueError(
                f"positions {position} … {position + count - 1} are not among {self.length} cached tokens"
            )
        place = slice(position, position + count)
        before = self.length, self.regime, list(self.rotated_at)
        kept = self._keys.copied(place), self._values.copied(place), self.tokens[place].clone()
        capacity, self.capacity, self.length = self.capacity, position + count, position
        self.replayed_at = self.rotated_at[position + count - 1]
        try:
            yield self
        finally:
            self.capacity, self.replayed_at = capacity, None
            self.length, self.regime, self.rotated_at = before
            self._keys.restore(place, kept[0])
            self._values.restore(place, kept[1])
            self.tokens[place] = kept[2]

    def _reserve(self, positions: int) -> None:
        """Make room for that many positions; at least twice as many as before, so that it happens seldom."""
        if positions > self._keys.allocated:
            self.allocate(min(self.capacity, max(positions, 2 * self._keys.allocated)))

    def allocate(self, size: int) -> None:
        """Take memory for that many positions, which may be more than the cache's capacity."""
        if size <= self._keys.allocated:
            return
        with torch.inference_mode(False), torch.no_grad():
            # Both or none: there may be memory for one of them only.
            self._keys, self._values = (old.grown(size, self.length) for old in (self._keys, self._values))

    def _span(self, window: int | None, *, whole: bool) -> Span:
        key = window if not whole else -1 if window is None else -1 - window
        if key not in self._spans:
            self._spans[key] = self._make_span(window, whole=whole)
        return self._spans[key]

    def _make_span(self, window: int | None, *, whole: bool) -> Span:
        count, stop = self._incoming, self.length + self._incoming
        start = 0 if window is None or whole else max(0, self.length - window + 1)
        if window is not None and window >= stop:
            window = None
        if count == 1 and (window is None or not whole):
            return Span(start, stop, None, causal=False)
        if self.length == 0 and window is None:
            return Span(start, stop, None, causal=True)
        mask = visible(self.length, start, stop, window, self.keys.device)
        return Span(start, stop, mask, causal=False)


def visible(
    first: int, start: int, stop: int, window: int | None, device: torch.device | str = "cpu"
) -> Tensor:
    """Which positions `start` … `stop - 1` the tokens at `first` … `stop - 1` see: a mask, True = seen."""
    queries = torch.arange(first, stop, device=device)[:, None]
    keys = torch.arange(start, stop, device=device)
    mask = keys <= queries
    if window is not None:
        mask &= keys > queries - window
    return mask


def token_bytes(architecture: Architecture, dtype: torch.dtype) -> int:
    """Memory of one token's keys and values in a cache of that type."""
    scales = 2 * architecture.layers * architecture.kv_heads * 4 if dtype == NARROW else 0
    return architecture.cache_bytes(1, dtype.itemsize) + scales
