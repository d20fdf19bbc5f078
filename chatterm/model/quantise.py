"""Dense weights → GGUF blocks while a checkpoint is loaded, for who wants them smaller."""

from __future__ import annotations

from typing import Literal

import gguf
import torch
from gguf.constants import GGMLQuantizationType
from torch import Tensor

from chatterm.checkpoint.blocks import BlockType
from chatterm.checkpoint.tensors import PackedWeight, Weight

Quantisation = Literal["none", "int8", "int4"]

GROUP = 32
"""Columns that share a scale."""

_TYPES = {"int8": BlockType.Q8_0, "int4": BlockType.Q4_1}


def quantised(weight: Weight, kind: Quantisation) -> Weight:
    """A matrix with the `gguf` package's own quantisers: int8 as Q8_0, int4 as Q4_1.

    In groups of 32 columns: Q8_0 is w ≈ s·q with q in −127 … 127; Q4_1 is w ≈ s·q + m with q in 0 … 15. What
    is packed already, and a matrix whose columns are no multiple of 32, stays as it is.
    """
    if kind == "none" or not isinstance(weight, Tensor) or weight.dim() != 2 or weight.shape[1] % GROUP:
        return weight
    type_ = _TYPES[kind]
    blocks = gguf.quantize(weight.to(torch.float32).contiguous().numpy(), GGMLQuantizationType(type_))
    return PackedWeight(type_, blocks.reshape(weight.shape[0], -1), tuple(weight.shape))
