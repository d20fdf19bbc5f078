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
from chatterm.model.native.tiles import Pool, Tiles

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
            *(c_void_p, POINTER(POINTER(Matrix)), c_int, c_void_p, c_size_t, c_int, c_int),
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
    "chatterm_prefill_attention_memory": (c_size_t, (c_int, c_int, c_int, c_int)),
    "chatterm_prefill_most_depth": (c_int, ()),
    "chatterm_prefill_attention": (
        None,
        (
            *(c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_size_t),
            *(c_int, c_int, c_int, c_int, c_int, c_int, c_int, c_int, c_int),
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

    Working memory is kept from call to call; one call at a time.
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
        out_features = sum(matrix.rows for matrix in matrices)
        size = self.library.chatterm_prefill_operand_bytes(count, columns)
        operands = self.room("operands", size, dtype=torch.uint8)
        out = self.room(name, -(-count // ROWS) * ROWS, out_features)
        pointers = (POINTER(Matrix) * len(matrices))(*(ctypes.pointer(m.matrix) for m in matrices))
        self.library.chatterm_prefill_product(
            *(self.pool.handle, pointers, len(matrices), x.data_ptr(), x.stride(0), count, int(self.unit)),
            *(operands.data_ptr(), out.data_ptr(), out_features),
        )
        return out[:count]

    def norm(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, *, layer: bool, eps: float, out: Tensor
    ) -> Tensor:
        """RMSNorm, or LayerNorm if `layer`, over the last dimension of `(T, width)` or `(T, vectors, width)`.

        `out` may be `x` itself.
        """
        vectors = x.shape[1] if x.dim() == 3 else 1
        self.library.chatterm_prefill_norm(
            *(self.pool.handle, x.data_ptr(), x.stride(0), x.shape[0], vectors, x.shape[-1]),
            *(weight.data_ptr(), None if bias is None else bias.data_ptr()),
            *(int(layer), eps, out.data_ptr(), out.stride(0)),
        )
        return out

    def gate(self, x: Tensor, activation: int, *, gated: bool, name: str) -> Tensor:
        """`f(x)`, or `f(first half) · second half`: `(T, width)`, in room `name`.

        `activation` is the index in `chatterm.checkpoint.architecture.Activation`; not "gelu".
        """
        count, width = x.shape[0], x.shape[1] // 2 if gated else x.shape[1]
        out = self.room(name, count, width)
        self.library.chatterm_prefill_gate(
            *(self.pool.handle, x.data_ptr(), x.stride(0), count, width, activation, int(gated)),
            out.data_ptr(),
        )
        return out

    def turn(self, x: Tensor, cosines: Tensor, sines: Tensor, dimensions: int) -> None:
        """Rotate `(T, heads, head_size)` in place; see `chatterm.model.rotary.Turn`."""
        self.library.chatterm_prefill_turn(
            *(self.pool.handle, x.data_ptr(), x.stride(0), *x.shape),
            *(cosines.data_ptr(), sines.data_ptr(), dimensions),
        )

    def add(self, x: Tensor, y: Tensor, scale: float) -> None:
        """`x += scale · y`; `x` is contiguous `(T, width)`."""
        self.library.chatterm_prefill_add(
            self.pool.handle, x.data_ptr(), y.data_ptr(), y.stride(0), x.shape[0], x.shape[1], scale
        )

    def attention(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        *,
        first: int,
        window: int | None,
        scale: float,
        soft_cap: float | None,
        name: str,
    ) -> Tensor:
        """Attention of `(T, heads, head_size)` over `(kv_heads, S, head_size)` float32 or float16, each.

        Args:
            queries: of consecutive tokens.
            keys: those seen; each head's are contiguous.
            values: likewise, laid out as the keys are.
            first: where among the keys the first query's own key is.
            window: how many keys a query sees at most.
            scale: of the scores.
            soft_cap: of the scores.
            name: the room for the result.

        Returns:
            `(T, heads · head_size)`.
        """
        count, heads, head_size = queries.shape
        kv_heads, seen = keys.shape[:2]
        unit = int(self.unit)
        size = self.library.chatterm_prefill_attention_memory(kv_heads, head_size, seen, unit)
        operands = self.room("keys and values", size, dtype=torch.int16)
        out = self.room(name, count, heads * head_size)
        self.library.chatterm_prefill_attention(
            *(self.pool.handle, queries.data_ptr(), queries.stride(0)),
            *(keys.data_ptr(), values.data_ptr(), keys.stride(0)),
            *(int(keys.dtype == torch.float16), int(values.dtype == torch.float16)),
            *(count, heads, kv_heads, head_size, seen, first, window or 0, scale, soft_cap or 0.0),
            *(unit, operands.data_ptr(), out.data_ptr()),
        )
        return out
