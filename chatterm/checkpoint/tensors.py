"""The weights of a checkpoint as torch tensors, or as the packed blocks they are stored in.

The one module of `chatterm.checkpoint` that needs torch. Nothing is copied until it must be: a plain tensor
is a view of the memory-mapped file, packed blocks stay packed until somebody asks for numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import gguf
import numpy as np
import torch
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from torch import Tensor

from chatterm.checkpoint.gguf import Bytes
from chatterm.checkpoint.layout import Part, Rows
from chatterm.checkpoint.open import Checkpoint
from chatterm.checkpoint.safetensors_folder import SafeTensor
from chatterm.errors import UserError

_PLAIN_GGUF = {
    GGMLQuantizationType.F32: torch.float32,
    GGMLQuantizationType.F16: torch.float16,
    GGMLQuantizationType.BF16: torch.bfloat16,
    GGMLQuantizationType.F64: torch.float64,
}
_SAFETENSORS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_CHUNK_BLOCKS = 1 << 16
"""Blocks decoded at a time: 2 million numbers of a 32-wide type, so that the temporaries stay small."""


@dataclass(frozen=True)
class PackedWeight:
    """A matrix in GGUF blocks. Its rows can be chosen and joined without unpacking."""

    type: GGMLQuantizationType
    blocks: Bytes  # (rows, bytes per row)
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the packed blocks."""
        return self.blocks.nbytes

    def take(self, rows: Rows) -> PackedWeight:
        """These rows, in this order."""
        return PackedWeight(self.type, self.blocks[rows], (len(rows), *self.shape[1:]))

    def dequantise(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The numbers, `shape`.

        Raises:
            UserError: the installed `gguf` package cannot decode this block type.
        """
        block, block_bytes = GGML_QUANT_SIZES[self.type]
        flat = np.ascontiguousarray(self.blocks).reshape(-1)
        numbers = torch.empty(flat.size // block_bytes * block, dtype=dtype)
        for start in range(0, flat.size, _CHUNK_BLOCKS * block_bytes):
            chunk = flat[start : start + _CHUNK_BLOCKS * block_bytes]
            # any grouping of whole blocks into rows decodes alike; few long rows are fastest
            rows = 16 if chunk.size % (16 * block_bytes) == 0 else 1
            decoded = self._decode(chunk.reshape(rows, -1))
            at = start // block_bytes * block
            numbers[at : at + decoded.size] = torch.from_numpy(decoded.reshape(-1))
        return numbers.reshape(self.shape)

    def _decode(self, blocks: Bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        try:
            with np.errstate(all="ignore"):  # damaged scales decode to inf or nan, which `check` reports
                decoded: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = gguf.dequantize(
                    blocks, self.type
                )
        except NotImplementedError as error:
            raise UserError(
                f"blocks of type {self.type.name} cannot be decoded by the installed gguf package; update "
                "it with "
                "“pip install -U gguf”."
            ) from error
        return decoded


Weight = Tensor | PackedWeight


def read_weight(checkpoint: Checkpoint, name: str) -> Weight:
    """The parameter `name` of `checkpoint.layout`, in the decoder's form.

    A plain tensor keeps the dtype in which it is stored and may be a view of the file.

    Raises:
        UserError: it is stored in a type that no weight can have.
    """
    part = checkpoint.layout[name]
    pieces = [_stored(checkpoint, tensor) for tensor in part.tensors]
    weight = pieces[0] if len(pieces) == 1 else torch.stack([dense(piece) for piece in pieces])
    return _arrange(weight, part)


def read_dense(checkpoint: Checkpoint, name: str, dtype: torch.dtype | None = None) -> Tensor:
    """The parameter as numbers; `dtype` None keeps that of the file (float32 for packed blocks)."""
    return dense(read_weight(checkpoint, name), dtype)


def dense(weight: Weight, dtype: torch.dtype | None = None) -> Tensor:
    """The numbers of a weight."""
    if isinstance(weight, PackedWeight):
        return weight.dequantise(dtype or torch.float32)
    return weight if dtype is None else weight.to(dtype)


def join_rows(weights: list[Weight]) -> Weight | None:
    """One matrix with the rows of all, or None if they are packed in different types."""
    first = weights[0]
    if isinstance(first, PackedWeight):
        packed = [
            weight for weight in weights if isinstance(weight, PackedWeight) and weight.type == first.type
        ]
        if len(packed) < len(weights):
            return None
        rows = sum(weight.shape[0] for weight in packed)
        blocks = np.concatenate([weight.blocks for weight in packed])
        return PackedWeight(first.type, blocks, (rows, *first.shape[1:]))
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
