"""GGUF's types of numbers: how many bytes a block has, and what numbers it stands for.

The numbers of the types are those of llama.cpp's `ggml.h`, of October 2026. Most are decoded by the
`gguf` package; Q1_0 and Q2_0, which its newest release (0.19) does not decode, are decoded here as
llama.cpp's `ggml-quants.c` does. Nothing here imports torch.
"""

from __future__ import annotations

from enum import IntEnum

import gguf
import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


class BlockType(IntEnum):
    """What a tensor of a GGUF file is stored as."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q4_1 = 3
    Q5_0 = 6
    Q5_1 = 7
    Q8_0 = 8
    Q8_1 = 9
    Q2_K = 10
    Q3_K = 11
    Q4_K = 12
    Q5_K = 13
    Q6_K = 14
    Q8_K = 15
    IQ2_XXS = 16
    IQ2_XS = 17
    IQ3_XXS = 18
    IQ1_S = 19
    IQ4_NL = 20
    IQ3_S = 21
    IQ2_S = 22
    IQ4_XS = 23
    I8 = 24
    I16 = 25
    I32 = 26
    I64 = 27
    F64 = 28
    IQ1_M = 29
    BF16 = 30
    TQ1_0 = 34
    TQ2_0 = 35
    MXFP4 = 39
    NVFP4 = 40
    Q1_0 = 41
    Q2_0 = 42


SIZES: dict[BlockType, tuple[int, int]] = {
    kind: GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    for kind in BlockType
    if kind not in (BlockType.Q1_0, BlockType.Q2_0)
} | {BlockType.Q1_0: (128, 18), BlockType.Q2_0: (64, 18)}
"""Numbers in a block, and its bytes."""

_NO_WEIGHTS = frozenset(
    {BlockType.Q8_1, BlockType.Q8_K, BlockType.I8, BlockType.I16, BlockType.I32, BlockType.I64}
)
"""What llama.cpp rounds activations to while it computes, and whole numbers: no weights are kept in them."""


def holds_weights(kind: BlockType) -> bool:
    """Whether weights are stored in this type, so that it can be decoded."""
    return kind not in _NO_WEIGHTS


def decode(blocks: Bytes, kind: BlockType) -> Floats:
    """The numbers of whole blocks, rows of bytes `(rows, bytes)` → `(rows, numbers)`."""
    with np.errstate(all="ignore"):  # damaged scales decode to inf or nan, which `check` reports
        if kind == BlockType.Q1_0:  # a bit each: −d or d
            scale, bits = _scaled(blocks, kind, bits=1)
            return _rows(np.where(bits, scale, -scale), blocks)
        if kind == BlockType.Q2_0:  # two bits each: −d, 0, d or 2d
            scale, quarters = _scaled(blocks, kind, bits=2)
            return _rows((quarters.astype(np.float32) - 1) * scale, blocks)
        numbers: Floats = gguf.dequantize(blocks, GGMLQuantizationType(kind))
    return numbers


def _scaled(blocks: Bytes, kind: BlockType, *, bits: int) -> tuple[Floats, Bytes]:
    """Scale, in half precision, and unsigned numbers, lowest bits first: `(blocks, 1)`, `(blocks, size)`."""
    size, block_bytes = SIZES[kind]
    each = blocks.reshape(-1, block_bytes)
    scale = np.ascontiguousarray(each[:, :2]).view(np.float16).astype(np.float32)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    numbers = each[:, 2:, None] >> shifts & np.uint8((1 << bits) - 1)
    return scale, numbers.reshape(-1, size)


def _rows(numbers: Floats, blocks: Bytes) -> Floats:
    return numbers.reshape(*blocks.shape[:-1], -1)
