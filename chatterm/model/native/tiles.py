"""Weight matrices in the tiles that the native operator reads (`tiles.h`)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from chatterm.checkpoint.blocks import Bytes
from chatterm.checkpoint.layout import Rows
from chatterm.checkpoint.pages import Pages
from chatterm.checkpoint.tensors import PackedWeight, Weight
from chatterm.model.native.binding import ALIGNMENT, MOST_MATRICES, Matrix
from chatterm.model.native.build import library
from chatterm.model.native.checked import address, indices_address
from chatterm.model.native.four_bit import FP4, KINDS, four_bit_groups

LANES = 16
PLAIN_KINDS = frozenset({0, 1, 2, 9})
"""Kinds of tiles (`tiles.h`) with which many vectors are multiplied in float32."""
GIVEN_BACK = 8 << 20
"""Bytes of a mapped file that are packed, about, before their memory is given back."""

_DENSE_TYPES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 30}
"""GGUF's numbers for the plain types."""


class Pool:
    """Threads of the native operator."""

    def __init__(self, threads: int) -> None:
        """Start `threads` threads, the caller's own among them."""
        self.handle = library().chatterm_pool(threads)
        if not self.handle:
            raise MemoryError("no memory for the native operator's threads")
        self.threads: int = library().chatterm_threads(self.handle)
        self._scratch = torch.zeros(0)

    def scratch(self, floats: int) -> Tensor:
        """Memory for one call, at least so much; the threads do one piece of work at a time."""
        if self._scratch.numel() < floats:
            self._scratch = torch.zeros(floats)
        return self._scratch

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            library().chatterm_end_pool(self.handle)


class Tiles:
    """One matrix W `(rows, columns)` and perhaps a bias, packed for the native operator.

    Quantised blocks keep their numbers exactly, in about as many bytes.
    """

    def __init__(self, weight: Weight, bias: Tensor | None, pool: Pool, pages: Pages | None = None) -> None:
        """Pack a matrix; the memory of what was read of it is given back to `pages` on the way.

        Raises:
            TypeError: no tile holds this type; see `fits`.
            ValueError: the bias does not belong to the matrix.
        """
        self.pool = pool
        self.rows, self.columns = weight.shape
        if bias is not None and bias.shape != (self.rows,):
            raise ValueError(f"{self.rows} rows cannot have a bias of the shape {tuple(bias.shape)}")
        source = _source(weight)
        tile_kind = library().chatterm_kind(source.kind)
        if tile_kind < 0:
            raise TypeError(f"no tile holds {source.kind}")
        size = library().chatterm_packed_bytes(tile_kind, self.rows, self.columns)
        self._memory = np.zeros(size + ALIGNMENT, np.uint8)
        start = self._memory.ctypes.data
        start += -start % ALIGNMENT
        tile_bytes = _tile_bytes(tile_kind, self.columns)
        step = self.rows if source.order is not None else source.rows_at_once
        for first in range(0, self.rows, step):
            count = min(step, self.rows - first)
            source.pack(pool, first, count, self.columns, start + first // LANES * tile_bytes, pages)
        self.matrix = Matrix(tile_kind, self.rows, self.columns, 0, start, None)
        self._bias: Tensor | None = None
        if bias is not None:
            self._bias = torch.nn.functional.pad(bias.float(), (0, -self.rows % LANES)).contiguous()
            self.matrix.bias = self._bias.data_ptr()

    @property
    def bias(self) -> Tensor | None:
        """`(rows,)` float32."""
        return None if self._bias is None else self._bias[: self.rows]

    @property
    def is_plain(self) -> bool:
        """Whether many vectors are multiplied with it in float32 where no matrix unit is used."""
        return int(self.matrix.kind) in PLAIN_KINDS

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self._memory.nbytes

    def times(self, x: Tensor) -> Tensor:
        """W x + b for one contiguous float32 vector `(columns,)`; `(rows,)`."""
        return Product([self])(x[None])[0]

    def expand(self, out: Tensor) -> Tensor:
        """W as numbers, written to `out` `(rows, columns)`, contiguous float32 or bfloat16."""
        if out.shape[0] != self.rows:
            raise ValueError(f"W has {self.rows} rows, not {out.shape[0]}")
        return self._expand(self.matrix, out)

    def expand_rows(self, first: int, out: Tensor) -> Tensor:
        """As `expand`, for rows `first` … of W, as many as `out` has; `first` is a multiple of 16."""
        if first < 0 or first % LANES or first + out.shape[0] > self.rows:
            raise ValueError(f"rows {first} … {first + out.shape[0] - 1} are no tiles of {self.rows} rows")
        kind, columns = self.matrix.kind, self.columns
        data = self.matrix.data + first // LANES * _tile_bytes(kind, columns)
        return self._expand(Matrix(kind, out.shape[0], columns, 0, data, None), out)

    def _expand(self, matrix: Matrix, out: Tensor) -> Tensor:
        place = address(
            out, "what is written to", (matrix.rows, matrix.columns), torch.float32, torch.bfloat16
        )
        wide = out.dtype == torch.float32
        library().chatterm_expand(self.pool.handle, ctypes.byref(matrix), place, int(wide))
        return out

    def look_up(self, rows: Tensor) -> Tensor:
        """Some rows `(T,)` int64 of W; `(T, columns)` float32."""
        rows = rows.contiguous()
        out = torch.empty(rows.numel(), self.columns)
        indices = indices_address(rows, "rows", rows.numel(), self.rows)
        library().chatterm_rows(ctypes.byref(self.matrix), indices, rows.numel(), out.data_ptr())
        return out


class Product:
    """Some matrices over the same columns, times a few vectors at once."""

    def __init__(self, parts: Sequence[Tiles]) -> None:
        """`parts` are at most `MOST_MATRICES`, with as many columns and the same threads.

        Raises:
            ValueError: they are not.
        """
        if not 1 <= len(parts) <= MOST_MATRICES:
            raise ValueError(f"1 to {MOST_MATRICES} matrices are multiplied at once, not {len(parts)}")
        if any(part.columns != parts[0].columns for part in parts):
            raise ValueError(
                f"matrices with {[part.columns for part in parts]} columns have no common vectors"
            )
        self._parts = list(parts)
        self._matrices = (ctypes.POINTER(Matrix) * len(parts))(*(ctypes.pointer(p.matrix) for p in parts))
        self._multiply = library().chatterm_multiply
        self.most_rows: int = library().chatterm_most_rows()
        """Vectors at once, at most."""
        self._scratch_size: int = library().chatterm_scratch(parts[0].columns)
        starts = list(accumulate((part.rows + -part.rows % LANES for part in parts), initial=0))
        self._width = starts[-1]
        self._places = [slice(start, start + part.rows) for start, part in zip(starts, parts, strict=False)]
        self._is_gapless = all(part.rows % LANES == 0 for part in parts[:-1])
        self._rows = sum(part.rows for part in parts)

    def __call__(self, x: Tensor) -> Tensor:
        """`(T, columns)` float32 → W x + b of all matrices side by side, `(T, rows in all)`, for any T.

        Each row is the same to the last bit as alone.
        """
        x = x.contiguous()
        count = x.shape[0]
        address(x, "vectors", (count, self._parts[0].columns), torch.float32)
        y = torch.empty(count, self._width)
        pool = self._parts[0].pool
        scratch = pool.scratch(self._scratch_size)
        for first in range(0, count, self.most_rows):
            self._multiply(
                pool.handle,
                self._matrices,
                len(self._parts),
                x.data_ptr() + first * x.stride(0) * x.element_size(),
                min(self.most_rows, count - first),
                scratch.data_ptr(),
                y.data_ptr() + first * y.stride(0) * y.element_size(),
            )
        if self._is_gapless:
            return y[:, : self._rows]
        return torch.cat([y[:, place] for place in self._places], dim=1)


def fits(weight: Weight) -> bool:
    """Whether tiles can hold this weight exactly."""
    if isinstance(weight, PackedWeight):
        return weight.type in KINDS or (weight.scale == 1 and library().chatterm_kind(int(weight.type)) >= 0)
    return weight.dtype in _DENSE_TYPES


def _tile_bytes(kind: int, columns: int) -> int:
    """Bytes from one tile to the next."""
    size: Callable[[int, int, int], int] = library().chatterm_packed_bytes
    return size(kind, LANES, columns) - size(kind, 0, columns)


@dataclass(frozen=True)
class _Source:
    """Rows of blocks in memory."""

    kind: int  # GGUF's number of the type
    data: Tensor | Bytes  # keeps them there
    address: int
    row_bytes: int
    order: Rows | None = None  # which of them are wanted, one after the other; None = all

    @property
    def rows_at_once(self) -> int:
        """As many rows, of whole tiles, as are given back together."""
        return max(1, GIVEN_BACK // (self.row_bytes * LANES)) * LANES

    def pack(self, pool: Pool, first: int, count: int, columns: int, start: int, pages: Pages | None) -> None:
        """Pack `count` rows from `first` on to memory at `start`; `first` is 0 where there is an order."""
        at, size = self.address + first * self.row_bytes, count * self.row_bytes
        order = 0
        if self.order is not None:
            order = self.order.ctypes.data
            lowest = int(self.order.min())
            size = (int(self.order.max()) + 1 - lowest) * self.row_bytes
        if pages is not None:
            pages.fetch(at + size, size)
        library().chatterm_pack(
            pool.handle, self.kind, at, self.row_bytes, order or None, count, columns, start
        )
        if pages is not None:
            pages.give_back(at if self.order is None else at + lowest * self.row_bytes, size)


def _source(weight: Weight) -> _Source:
    if isinstance(weight, PackedWeight) and weight.type in KINDS:
        groups = four_bit_groups(weight)
        return _Source(FP4, groups, groups.ctypes.data, groups.strides[0])
    if isinstance(weight, PackedWeight):
        blocks = np.ascontiguousarray(weight.blocks).reshape(weight.blocks.shape[0], -1)
        order = None if weight.order is None else np.ascontiguousarray(weight.order, np.int64)
        return _Source(int(weight.type), blocks, blocks.ctypes.data, blocks.strides[0], order)
    weight = weight.contiguous()
    row_bytes = weight.shape[1] * weight.element_size()
    return _Source(_DENSE_TYPES[weight.dtype], weight, weight.data_ptr(), row_bytes)
