"""Keys or values as they are kept: plain numbers, or 16-bit integers with a scale for each vector."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NARROW = torch.int16
"""Type of a cache whose numbers are multiples of a scale: half the memory of float32.

A vector's largest number becomes 32767, and each is off by 1/65534 of the largest at most. Real keys and
values are kept three to eight times as exactly as in float16, in as many bytes, and nothing is too large.
"""
MOST = 32767
LEAST = 1e-30
"""Vectors smaller than this are nothing; the same in `native/attend.h`."""


class Stored(NamedTuple):
    """Keys and values of some positions of a layer as they are kept; scales only of narrow ones."""

    keys: Tensor  # (kv_heads, S, head_size)
    values: Tensor
    key_scales: Tensor | None  # (kv_heads, S)
    value_scales: Tensor | None


def narrowed(x: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors `(…, size)` → int16 of the same shape and their scales `(…)` float32."""
    x = x.float()
    largest = x.abs().amax(-1)
    whole = (x * (MOST / largest.clamp(min=LEAST)).unsqueeze(-1)).round_()
    return whole.to(NARROW), largest / MOST


class Vectors:
    """The keys, or the values, of all layers: `(layers, kv_heads, allocated, head_size)`."""

    def __init__(
        self,
        layers: int,
        heads: int,
        positions: int,
        size: int,
        *,
        device: torch.device | str,
        dtype: torch.dtype,
    ) -> None:
        """Take memory; what is in it is undefined."""
        self.numbers = torch.empty(layers, heads, positions, size, device=device, dtype=dtype)
        self.scales: Tensor | None = None
        """`(layers, kv_heads, allocated)` float32, of narrow ones."""
        if dtype == NARROW:
            self.scales = torch.empty(layers, heads, positions, device=device)

    @property
    def allocated(self) -> int:
        """Positions."""
        return self.numbers.shape[2]

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self.numbers.nbytes + (0 if self.scales is None else self.scales.nbytes)

    def put(self, layer: int, start: int, stop: int, x: Tensor) -> None:
        """Store `(T, kv_heads, size)` at these T positions of a layer."""
        x = x.transpose(0, 1)
        if self.scales is None:
            self.numbers[layer, :, start:stop] = x
        else:
            self.numbers[layer, :, start:stop], self.scales[layer, :, start:stop] = narrowed(x)

    def put_at(self, layer: int, slots: Tensor, x: Tensor) -> None:
        """Store `(T, kv_heads, size)` at these T positions `(T,)` int64 of a layer, in any order."""
        x = x.transpose(0, 1)
        if self.scales is None:
            self.numbers[layer, :, slots] = x.to(self.numbers.dtype)
        else:
            self.numbers[layer, :, slots], self.scales[layer, :, slots] = narrowed(x)

    def get_at(self, layer: int, slots: Tensor, dtype: torch.dtype) -> Tensor:
        """The vectors at some positions `(T,)` int64 of a layer as numbers, `(kv_heads, T, size)`."""
        numbers = self.numbers[layer, :, slots]
        if self.scales is None:
            return numbers.to(dtype)
        return (numbers * self.scales[layer, :, slots, None]).to(dtype)

    def get(self, layer: int, start: int, stop: int, dtype: torch.dtype) -> Tensor:
        """The vectors of some positions of a layer as numbers, `(kv_heads, stop - start, size)`."""
        numbers = self.numbers[layer, :, start:stop]
        if self.scales is None:
            return numbers.to(dtype)
        return (numbers * self.scales[layer, :, start:stop, None]).to(dtype)

    def clear(self, start: int, stop: int) -> None:
        """Let the vectors at these positions be zero."""
        self.numbers[:, :, start:stop] = 0
        if self.scales is not None:
            self.scales[:, :, start:stop] = 0

    def copied(self, place: slice) -> tuple[Tensor, Tensor | None]:
        """What is stored at some positions, as it is stored."""
        scales = None if self.scales is None else self.scales[:, :, place].clone()
        return self.numbers[:, :, place].clone(), scales

    def restore(self, place: slice, kept: tuple[Tensor, Tensor | None]) -> None:
        """Put back what `copied` gave."""
        numbers, scales = kept
        self.numbers[:, :, place] = numbers
        if self.scales is not None and scales is not None:
            self.scales[:, :, place] = scales

    def grown(self, positions: int, length: int) -> Vectors:
        """As many as `positions`, of which the first `length` are these."""
        layers, heads, _, size = self.numbers.shape
        larger = Vectors(layers, heads, positions, size, device=self.numbers.device, dtype=self.numbers.dtype)
        larger.restore(slice(length), self.copied(slice(length)))
        return larger
