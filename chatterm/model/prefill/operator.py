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
from chatterm.model.native.checked import address, rows_address
from chatterm.model.native.tiles import Pool, Tiles
from chatterm.model.vectors import NARROW, Stored

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
"""bfloat16 numbers that together stand for one float32 number of a product."""

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
    "chatterm_prefill_attention_memory": (c_size_t, (c_int, c_int, c_int, c_int)),
    "chatterm_prefill_most_depth": (c_int, ()),
    "chatterm_prefill_attention": (
        None,
        (
            *(c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_size_t),
            *(c_int, c_int, c_int, c_int, c_int, c_int, c_int),
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

    Anything else is a ValueError. Working memory is kept from call to call; one call at a time.
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
        for matrix in matrices:
            if matrix.columns != columns or matrix.rows % ROWS:
                raise ValueError(
                    f"{matrix.rows} rows of {columns} columns cannot be multiplied: {matrix.columns}"
                )
        out_features = sum(matrix.rows for matrix in matrices)
        steps = -(-columns // COLUMNS)
        operands = self.room("operands", blocks * steps * self.parts * BLOCK, dtype=torch.int16)
        handle = self.pool.handle
        self.library.chatterm_prefill_split(
            handle,
            rows_address(x, "tokens", (count, columns)),
            x.stride(0),
            count,
            columns,
            blocks,
            self.parts,
            operands.data_ptr(),
        )
        out = self.room(name, blocks * 16, out_features)
        place = out.data_ptr()
        for matrix in matrices:
            self.library.chatterm_prefill_product(
                *(handle, ctypes.byref(matrix.matrix), operands.data_ptr(), blocks, self.parts),
                *(place, out_features, 0),
            )
            place += matrix.rows * out.element_size()
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
        narrow = stored.key_scales is not None
        size = self.library.chatterm_prefill_attention_memory(kv_heads, head_size, seen, narrow)
        operands = self.room("keys and values", size, dtype=torch.int16)
        out = self.room(name, count, heads * head_size)
        self.library.chatterm_prefill_attention(
            *(self.pool.handle, rows_address(queries, "queries", queries.shape), queries.stride(0)),
            *_stored_addresses(stored, (kv_heads, seen, head_size)),
            *(count, heads, kv_heads, head_size, seen, first, window or 0, scale, soft_cap or 0.0),
            *(operands.data_ptr(), out.data_ptr()),
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
