"""The functions of `prefill.c`, compiled once per machine, on tensors."""

from __future__ import annotations

import ctypes
import functools
from ctypes import POINTER, c_float, c_int, c_size_t, c_void_p
from pathlib import Path

import torch
from torch import Tensor

from chatterm.model.native.binding import Matrix
from chatterm.model.native.build import NotBuiltError, compiled
from chatterm.model.native.tiles import Pool, Tiles

SOURCES = (
    "prefill.c",
    "product.h",
    "attention.h",
    "rows.h",
    "../native/pool.h",
    "../native/tiles.h",
    "../native/simd.h",
)
ROWS = 32
"""Tokens are multiplied in blocks of so many, and matrices must have a multiple of so many rows."""
COLUMNS = 32
BLOCK = 512
PARTS = 2
"""bfloat16 numbers that together stand for one float32 number."""

_SIGNATURES = {
    "chatterm_prefill_possible": (c_int, ()),
    "chatterm_prefill_product": (
        None,
        (c_void_p, POINTER(Matrix), c_void_p, c_int, c_int, c_void_p, c_size_t, c_int),
    ),
    "chatterm_prefill_split": (
        None,
        (c_void_p, c_void_p, c_size_t, c_int, c_int, c_int, c_int, c_void_p),
    ),
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
    "chatterm_prefill_attention_memory": (c_size_t, (c_int, c_int, c_int)),
    "chatterm_prefill_most_depth": (c_int, ()),
    "chatterm_prefill_attention": (
        None,
        (
            *(c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_size_t),
            *(c_int, c_int, c_int, c_int, c_int, c_int, c_int, c_int),
            *(c_float, c_float, c_void_p, c_void_p),
        ),
    ),
}


@functools.cache
def prefill_library() -> ctypes.CDLL:
    """The operator.

    Raises:
        NotBuiltError: it cannot be compiled or loaded, or this processor has no matrix unit that it knows.
    """
    file = compiled(Path(__file__).parent, SOURCES)
    try:
        library = ctypes.CDLL(str(file))
    except OSError as error:
        raise NotBuiltError(f"it cannot be loaded ({error})") from error
    if not library.chatterm_prefill_possible():
        raise NotBuiltError("this processor or system offers no matrix unit")
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, list(arguments)
    return library


class Operator:
    """The operator on the threads of one pool. All tensors are float32, on the CPU, rows contiguous.

    Working memory is kept from call to call; one call at a time.
    """

    def __init__(self, pool: Pool) -> None:
        """Prepare.

        Raises:
            NotBuiltError: see `prefill_library`.
        """
        self.library = prefill_library()
        self.pool = pool
        self.parts = PARTS
        self.most_depth: int = self.library.chatterm_prefill_most_depth()
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
        blocks = 2 * -(-count // ROWS)
        out_features = sum(matrix.rows for matrix in matrices)
        steps = -(-columns // COLUMNS)
        operands = self.room("operands", blocks * steps * self.parts * BLOCK, dtype=torch.int16)
        handle = self.pool.handle
        self.library.chatterm_prefill_split(
            handle, x.data_ptr(), x.stride(0), count, columns, blocks, self.parts, operands.data_ptr()
        )
        out = self.room(name, blocks * 16, out_features)
        address = out.data_ptr()
        for matrix in matrices:
            self.library.chatterm_prefill_product(
                *(handle, ctypes.byref(matrix.matrix), operands.data_ptr(), blocks, self.parts),
                *(address, out_features, 0),
            )
            address += matrix.rows * out.element_size()
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
        """Attention of `(T, heads, head_size)` over `(kv_heads, S, head_size)` float32 or float16.

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
        size = self.library.chatterm_prefill_attention_memory(kv_heads, head_size, seen)
        operands = self.room("keys and values", size, dtype=torch.int16)
        out = self.room(name, count, heads * head_size)
        self.library.chatterm_prefill_attention(
            *(self.pool.handle, queries.data_ptr(), queries.stride(0)),
            *(keys.data_ptr(), values.data_ptr(), keys.stride(0), int(keys.dtype == torch.float16)),
            *(count, heads, kv_heads, head_size, seen, first, window or 0, scale, soft_cap or 0.0),
            *(operands.data_ptr(), out.data_ptr()),
        )
        return out
