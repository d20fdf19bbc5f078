"""The functions of `prefill.c`, compiled once per machine, on tensors."""

from __future__ import annotations

import ctypes
import functools
import os
from ctypes import POINTER, c_float, c_int, c_size_t, c_void_p
from pathlib import Path

import torch
from torch import Tensor

from chatterm.model.native.binding import Matrix
from chatterm.model.native.build import NotBuiltError, compiled
from chatterm.model.native.checked import address, rows_address
from chatterm.model.native.tiles import Pool, Tiles
from chatterm.model.vectors import NARROW, Stored

SOURCES = (
    "prefill.c",
    "attending.h",
    "attention.h",
    "attention_lanes.h",
    "product.h",
    "rows.h",
    "scratch.h",
    "unit.h",
    "unpack.h",
    "ways.h",
    "whole.h",
    "wide.h",
    "../native/pool.h",
    "../native/tiles.h",
    "../native/slices.h",
    "../native/simd.h",
)
ROWS = 32
"""Results have room for a multiple of so many tokens."""
WITHOUT_UNIT = "CHATTERM_MATRIX_UNIT"
"""Set to 0 in the environment, it makes chatterm do without the processor's matrix unit."""

_SIGNATURES = {
    "chatterm_prefill_product": (
        None,
        (
            *(c_void_p, POINTER(POINTER(Matrix)), c_int, c_void_p, c_size_t, c_int, c_int, c_int),
            *(c_void_p, c_void_p, c_size_t),
        ),
    ),
    "chatterm_prefill_operand_bytes": (c_size_t, (c_int, c_int)),
    "chatterm_prefill_norm": (
        None,
        (
            *(c_void_p, c_void_p, c_size_t, c_int, c_int, c_int, c_void_p, c_void_p),
            *(c_int, c_float, c_void_p, c_size_t),
        ),
    ),
    "chatterm_prefill_gate": (
        None,
        (c_void_p, c_void_p, c_size_t, c_int, c_int, c_int, c_int, c_void_p),
    ),
    "chatterm_prefill_turn": (
        None,
        (c_void_p, c_void_p, c_size_t, c_int, c_int, c_int, c_void_p, c_void_p, c_int),
    ),
    "chatterm_prefill_add": (None, (c_void_p, c_void_p, c_void_p, c_size_t, c_int, c_int, c_float)),
    "chatterm_prefill_attention_memory": (c_size_t, (c_int, c_int, c_int, c_int, c_int)),
    "chatterm_prefill_most_depth": (c_int, ()),
    "chatterm_prefill_attention": (
        None,
        (
            *(c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_size_t),
            *(c_int, c_int, c_int, c_int, c_int, c_int, c_int),
            *(c_float, c_float, c_int, c_void_p, c_void_p),
        ),
    ),
}


@functools.cache
def prefill_library() -> ctypes.CDLL:
    """The operator.

    Raises:
        NotBuiltError: it cannot be compiled or loaded, or this processor multiplies in no way that it knows.
    """
    file = compiled(Path(__file__).parent, SOURCES)
    try:
        library = ctypes.CDLL(str(file))
    except OSError as error:
        raise NotBuiltError(f"it cannot be loaded ({error})") from error
    if not library.chatterm_prefill_way():
        raise NotBuiltError("this processor multiplies neither pairs of numbers (AVX2) nor matrices (AMX)")
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, list(arguments)
    return library


def matrix_unit() -> bool:
    """Whether the operator may and can use a matrix unit here.

    Raises:
        NotBuiltError: see `prefill_library`.
    """
    return os.environ.get(WITHOUT_UNIT) != "0" and prefill_library().chatterm_prefill_way() == 2


class Operator:
    """The operator on the threads of one pool. All tensors are float32, on the CPU, rows contiguous.

    Anything else is a ValueError. Working memory is kept from call to call; one call at a time.
    """

    def __init__(self, pool: Pool, *, unit: bool | None = None) -> None:
        """Prepare.

        Args:
            pool: whose threads compute.
            unit: use the matrix unit; None = where `matrix_unit` says so.

        Raises:
            NotBuiltError: see `prefill_library`.
        """
        self.library = prefill_library()
        self.pool = pool
        self.unit = matrix_unit() if unit is None else unit
        self.whole_numbers = True
        """Whether quantised weights are multiplied in whole numbers of 16 bits."""
        self.most_depth: int = self.library.chatterm_prefill_most_depth()
        """The largest head that `attention` serves."""
        self._kept: dict[str, Tensor] = {}

    def room(self, name: str, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Working memory, whatever was in it; the same memory at the next call with that name."""
        size = 1
        for length in shape:
            size *= length
        kept = self._kept.get(name)
        if kept is None or kept.numel() < size:
            kept = self._kept[name] = torch.empty(size, dtype=dtype)
        return kept[:size].view(shape)

    def product(self, x: Tensor, matrices: list[Tiles], name: str) -> Tensor:
        """`x` `(T, columns)` times all matrices, biases added: `(T, rows of all)`, in room `name`."""
        count, columns = x.shape
        for matrix in matrices:
            if matrix.columns != columns:
                raise ValueError(f"a matrix of {matrix.columns} columns cannot be multiplied with {columns}")
        out_features = sum(matrix.rows for matrix in matrices)
        size = self.library.chatterm_prefill_operand_bytes(count, columns)
        operands = self.room("operands", size, dtype=torch.uint8)
        out = self.room(name, -(-count // ROWS) * ROWS, out_features)
        pointers = (POINTER(Matrix) * len(matrices))(*(ctypes.pointer(m.matrix) for m in matrices))
        self.library.chatterm_prefill_product(
            *(self.pool.handle, pointers, len(matrices), rows_address(x, "tokens", (count, columns))),
            *(x.stride(0), count, int(self.unit), int(not self.whole_numbers)),
            *(operands.data_ptr(), out.data_ptr(), out_features),
        )
        return out[:count]

    def norm(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, *, layer: bool, eps: float, out: Tensor
    ) -> Tensor:
        """RMSNorm, or LayerNorm if `layer`, over the last dimension of `(T, width)` or `(T, vectors, width)`.

        `out` may be `x` itself.
        """
        vectors, width = x.shape[1] if x.dim() == 3 else 1, x.shape[-1]
        biases = None if bias is None else address(bias, "biases", (width,), torch.float32)
        self.library.chatterm_prefill_norm(
            *(self.pool.handle, rows_address(x, "tokens", x.shape), x.stride(0), x.shape[0], vectors, width),
            *(address(weight, "weights", (width,), torch.float32), biases),
            *(int(layer), eps, rows_address(out, "the result", x.shape), out.stride(0)),
        )
        return out

    def gate(self, x: Tensor, activation: int, *, gated: bool, name: str) -> Tensor:
        """`f(x)`, or `f(first half) · second half`: `(T, width)`, in room `name`.

        `activation` is the index in `chatterm.checkpoint.architecture.Activation`; not "gelu".
        """
        count, width = x.shape[0], x.shape[1] // 2 if gated else x.shape[1]
        activations = rows_address(x, "activations", (count, 2 * width if gated else width))
        out = self.room(name, count, width)
        self.library.chatterm_prefill_gate(
            *(self.pool.handle, activations, x.stride(0), count, width, activation, int(gated)),
            out.data_ptr(),
        )
        return out

    def turn(self, x: Tensor, cosines: Tensor, sines: Tensor, dimensions: int) -> None:
        """Rotate `(T, heads, head_size)` in place; see `chatterm.model.rotary.Turn`."""
        count, heads, size = x.shape
        if dimensions > size or dimensions % 2:
            raise ValueError(f"{dimensions} of {size} numbers cannot be rotated in pairs")
        shape = (count, 1, dimensions)
        self.library.chatterm_prefill_turn(
            *(self.pool.handle, rows_address(x, "heads", x.shape), x.stride(0), count, heads, size),
            *(
                address(cosines, "cosines", shape, torch.float32),
                address(sines, "sines", shape, torch.float32),
            ),
            dimensions,
        )

    def add(self, x: Tensor, y: Tensor, scale: float) -> None:
        """`x += scale · y`; `x` is contiguous `(T, width)`."""
        count, width = x.shape
        stream = address(x, "the residual stream", (count, width), torch.float32)
        branch = rows_address(y, "what is added", (count, width))
        self.library.chatterm_prefill_add(self.pool.handle, stream, branch, y.stride(0), count, width, scale)

    def attention(
        self,
        queries: Tensor,
        stored: Stored,
        *,
        first: int,
        window: int | None,
        scale: float,
        soft_cap: float | None,
        name: str,
    ) -> Tensor:
        """Attention of `(T, heads, head_size)` over some positions of a layer.

        Args:
            queries: of consecutive tokens.
            stored: the keys and values seen; each head's are contiguous.
            first: where among the keys the first query's own key is.
            window: how many keys a query sees at most.
            scale: of the scores.
            soft_cap: of the scores.
            name: the room for the result.

        Returns:
            `(T, heads · head_size)`.
        """
        count, heads, head_size = queries.shape
        kv_heads, seen = stored.keys.shape[:2]
        if heads % kv_heads or head_size > self.most_depth or first < 0 or first + count > seen:
            raise ValueError(
                f"{count} queries of {heads} heads of {head_size} numbers cannot look at {seen} keys of "
                f"{kv_heads} heads from {first} on"
            )
        narrow, unit = int(stored.key_scales is not None), int(self.unit)
        size = self.library.chatterm_prefill_attention_memory(kv_heads, head_size, seen, narrow, unit)
        operands = self.room("keys and values", size, dtype=torch.int16)
        out = self.room(name, count, heads * head_size)
        self.library.chatterm_prefill_attention(
            *(self.pool.handle, rows_address(queries, "queries", queries.shape), queries.stride(0)),
            *_stored_addresses(stored, (kv_heads, seen, head_size)),
            *(count, heads, kv_heads, head_size, seen, first, window or 0, scale, soft_cap or 0.0),
            *(unit, operands.data_ptr(), out.data_ptr()),
        )
        return out


def _stored_addresses(stored: Stored, shape: tuple[int, int, int]) -> tuple[int | None, ...]:
    """Keys, values, distance of their heads; their scales, distance of theirs."""
    keys, values, key_scales, value_scales = stored
    narrow = key_scales is not None and value_scales is not None
    kind = NARROW if narrow else torch.float32
    places = rows_address(keys, "keys", shape, kind), rows_address(values, "values", shape, kind)
    if keys.stride(0) != values.stride(0):
        raise ValueError("values must be laid out as the keys are")
    if key_scales is None or value_scales is None:
        return (*places, keys.stride(0), None, None, 0)
    scales = (
        rows_address(key_scales, "the keys' scales", shape[:2]),
        rows_address(value_scales, "the values' scales", shape[:2]),
    )
    if key_scales.stride(0) != value_scales.stride(0):
        raise ValueError("the values' scales must be laid out as the keys' are")
    return (*places, keys.stride(0), *scales, key_scales.stride(0))
