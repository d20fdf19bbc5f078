"""MXFP4 and NVFP4 in one form that the native operator's tiles hold: a float32 scale for every 16 columns.

MXFP4 has an eight-bit power of two for 32 columns, NVFP4 an eight-bit float for 16 and one number for the
whole matrix (`PackedWeight.scale`). Both are kept here as their product, which is rounded once; four bits
a number stay as they are.
"""

from __future__ import annotations

import numpy as np

from chatterm.checkpoint.blocks import BlockType, Bytes, decode
from chatterm.checkpoint.tensors import PackedWeight

FP4 = 1000
"""The form's number in `pack.h`; none that GGUF gives."""

GROUP = 16
GROUP_BYTES = 12  # a float32 scale, then 16 nibbles, the even column first
KINDS = frozenset({BlockType.MXFP4, BlockType.NVFP4})

_ONE = 2
"""The four bits of 1.0: sign, two of exponent, one of mantissa."""


def four_bit_groups(weight: PackedWeight) -> Bytes:
    """The blocks of an MXFP4 or NVFP4 matrix, row by row: `(rows, columns / 16 * 12)` bytes."""
    rows = weight.shape[0]
    numbers = _nibbles(weight).reshape(rows, -1, GROUP)
    groups = np.empty((*numbers.shape[:2], GROUP_BYTES), np.uint8)
    groups[..., :4] = _scales(weight).reshape(rows, -1, 1).view(np.uint8)
    groups[..., 4:] = numbers[..., 0::2] | numbers[..., 1::2] << 4
    return groups.reshape(rows, -1)


def _nibbles(weight: PackedWeight) -> Bytes:
    """Four bits for each number, in the order of the columns: of a group's bytes first all low halves."""
    half, header, size = (16, 1, 17) if weight.type == BlockType.MXFP4 else (8, 4, 36)
    packed = weight.laid_out().reshape(-1, size)[:, header:].reshape(-1, half)
    return np.concatenate([packed & 15, packed >> 4], axis=1)


def _scales(weight: PackedWeight) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """What a tile multiplies the doubled numbers 0 … 12 by, for every 16 columns; from the decoder."""
    header, size = (1, 17) if weight.type == BlockType.MXFP4 else (4, 36)
    ones = weight.laid_out().reshape(-1, size).copy()
    ones[:, header:] = _ONE | _ONE << 4
    of_one = decode(ones, weight.type).reshape(-1, GROUP)[:, 0]
    return (of_one / 2 * np.float32(weight.scale)).astype(np.float32)
