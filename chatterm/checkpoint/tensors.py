"""The weights of a checkpoint as torch tensors, or as the packed blocks they are stored in.

The one module of `chatterm.checkpoint` that needs torch. Nothing is copied until it must be: a plain tensor
is a view of the memory-mapped file, packed blocks stay packed until somebody asks for numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from chatterm.checkpoint.blocks import SIZES, BlockType, Bytes, decode
from chatterm.checkpoint.layout import Part, Rows
from chatterm.checkpoint.open import Checkpoint
from chatterm.checkpoint.safetensors_folder import SafeTensor
from chatterm.errors import UserError

_PLAIN_GGUF = {
    BlockType.F32: torch.float32,
    BlockType.F16: torch.float16,
    BlockType.BF16: torch.bfloat16,
    BlockType.F64: torch.float64,
}
_SAFETENSORS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_CHUNK_BLOCKS = 1 << 16
"""Blocks decoded at a time: 2 million numbers of a 32-wide type, so that the temporaries stay small."""


@dataclass(frozen=True)
class PackedWeight:
    """A matrix in GGUF blocks. Its rows can be chosen and joined without unpacking."""

    type: BlockType
    blocks: Bytes  # (rows, bytes per row), as the file has them
    shape: tuple[int, ...]
    scale: float = 1.0  # of all of them, on top of those of the blocks
    order: Rows | None = None  # which rows of `blocks` the matrix has, one after the other; None = all

    @property
    def nbytes(self) -> int:
        """Bytes of the packed blocks."""
        return self.blocks.nbytes if self.order is None else len(self.order) * self.blocks.shape[1]

    def take(self, rows: Rows) -> PackedWeight:
        """These rows, in this order; nothing is copied."""
        order = rows if self.order is None else self.order[rows]
        return replace(self, order=order, shape=(len(rows), *self.shape[1:]))

    def laid_out(self) -> Bytes:
        """The blocks in the order of the matrix, contiguous `(rows, bytes per row)`."""
        return np.ascontiguousarray(self.blocks if self.order is None else self.blocks[self.order])

    def dequantise(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The numbers, `shape`."""
        block, block_bytes = SIZES[self.type]
        flat = self.laid_out().reshape(-1)
        numbers = torch.empty(flat.size // block_bytes * block, dtype=dtype)
        for start in range(0, flat.size, _CHUNK_BLOCKS * block_bytes):
            chunk = flat[start : start + _CHUNK_BLOCKS * block_bytes]
            # any grouping of whole blocks into rows decodes alike; few long rows are fastest
            rows = 16 if chunk.size % (16 * block_bytes) == 0 else 1
            decoded = torch.from_numpy(decode(chunk.reshape(rows, -1), self.type)).reshape(-1)
            at = start // block_bytes * block
            numbers[at : at + len(decoded)] = decoded if self.scale == 1 else decoded * self.scale
        return numbers.reshape(self.shape)


Weight = Tensor | PackedWeight


def read_weight(checkpoint: Checkpoint, name: str) -> Weight:
    """The parameter `name` of `checkpoint.layout`, in the decoder's form.

    A plain tensor keeps the dtype in which it is stored and may be a view of the file.

    Raises:
        UserError: it is stored in a type that no weight can have.
    """
    return _arrange(stored_weight(checkpoint, name), checkpoint.layout[name])


def stored_weight(checkpoint: Checkpoint, name: str) -> Weight:
    """As `read_weight`, but with rows and columns as the file has them: of the same type, and hardly read.

    Raises:
        UserError: it is stored in a type that no weight can have.
    """
    part = checkpoint.layout[name]
    pieces = [_stored(checkpoint, tensor) for tensor in part.tensors]
    weight = pieces[0] if len(pieces) == 1 else torch.stack([dense(piece) for piece in pieces])
    if part.scale is not None:
        weight = _times(weight, float(dense(_stored(checkpoint, part.scale)).item()))
    return weight


def read_dense(checkpoint: Checkpoint, name: str, dtype: torch.dtype | None = None) -> Tensor:
    """The parameter as numbers; `dtype` None keeps that of the file (float32 for packed blocks)."""
    return dense(read_weight(checkpoint, name), dtype)


def dense(weight: Weight, dtype: torch.dtype | None = None) -> Tensor:
    """The numbers of a weight."""
    if isinstance(weight, PackedWeight):
        return weight.dequantise(dtype or torch.float32)
    return weight if dtype is None else weight.to(dtype)


def join_rows(weights: list[Weight]) -> Weight | None:
    """One matrix with the rows of all, or None if they are packed in different types or scales."""
    first = weights[0]
    if isinstance(first, PackedWeight):
        packed = [
            weight
            for weight in weights
            if isinstance(weight, PackedWeight) and (weight.type, weight.scale) == (first.type, first.scale)
        ]
        if len(packed) < len(weights):
            return None
        rows = sum(weight.shape[0] for weight in packed)
        blocks = np.concatenate([weight.laid_out() for weight in packed])
        return replace(first, blocks=blocks, order=None, shape=(rows, *first.shape[1:]))
    plain = [weight for weight in weights if isinstance(weight, Tensor)]
    return torch.cat(plain) if len(plain) == len(weights) else None


def _stored(checkpoint: Checkpoint, name: str) -> Weight:
    tensor = checkpoint.stored[name]
    if isinstance(tensor, SafeTensor):
        if tensor.type not in _SAFETENSORS:
            raise UserError(
                f"{checkpoint.path}: the weight “{name}” is stored as {tensor.type}; it is damaged."
            )
        return _view(tensor.data, _SAFETENSORS[tensor.type], tensor.shape)
    if tensor.type in _PLAIN_GGUF:
        return _view(tensor.data.reshape(-1), _PLAIN_GGUF[tensor.type], tensor.shape)
    return PackedWeight(tensor.type, tensor.data, tensor.shape)


def _times(weight: Weight, scale: float) -> Weight:
    """A matrix times a number; plain ones in float32, so that nothing is rounded to what the file has."""
    if isinstance(weight, PackedWeight):
        return replace(weight, scale=weight.scale * scale)
    return weight.float() * scale


def _view(data: Bytes, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """The bytes as numbers, without a copy where they are aligned."""
    if data.ctypes.data % dtype.itemsize:
        data = data.copy()
    return torch.from_numpy(data).view(dtype).reshape(shape)


def _arrange(weight: Weight, part: Part) -> Weight:
    if part.transposed:
        weight = dense(weight).T
    if part.rows is not None:
        if isinstance(weight, PackedWeight):
            weight = weight.take(part.rows)
        else:
            # a norm with one row per head is a vector as far as rotary pairs are concerned
            flat = weight.reshape(-1) if len(part.shape) == 2 and weight.numel() == len(part.rows) else weight
            weight = flat[torch.from_numpy(part.rows)]
    if isinstance(weight, Tensor):
        return weight.reshape(part.shape)
    return weight
