"""A linear layer whose weights stay packed, in the tiles of the native operator."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from chatterm.model.linear import Linear
from chatterm.model.native.tiles import Product, Tiles

FEW = 16
"""Rows up to which unpacking the weights does not pay."""


class TiledLinear(Linear):
    """Packed matrices, one below the other. CPU and float32 only.

    A few rows are multiplied with them as they are; for many the weights are unpacked as they are needed.
    """

    def __init__(self, parts: list[Tiles]) -> None:
        super().__init__()
        self.parts = parts
        self._product = Product(parts)
        self.in_features = parts[0].columns
        self.out_features = sum(part.rows for part in parts)
        biases = [part.bias for part in parts]
        known = [bias for bias in biases if bias is not None]
        self.bias = torch.cat(known) if len(known) == len(parts) else None

    def forward(self, x: Tensor) -> Tensor:
        """`(…, in_features)` → `(…, out_features)`."""
        if x.numel() > FEW * self.in_features:
            return functional.linear(x, self.dense(), self.bias)
        return self._product(x.reshape(-1, self.in_features)).reshape(*x.shape[:-1], self.out_features)

    def dense(self) -> Tensor:
        """The matrix W, made anew, `(out_features, in_features)` float32."""
        whole = torch.empty(self.out_features, self.in_features)
        start = 0
        for part in self.parts:
            part.expand(whole[start : start + part.rows])
            start += part.rows
        return whole

    def rows(self, first: int, stop: int) -> Tensor:
        """Consecutive rows of W, unpacked; only of a single matrix."""
        (part,) = self.parts
        return part.expand_rows(first, torch.empty(min(stop, part.rows) - first, self.in_features))

    def look_up(self, rows: Tensor) -> Tensor:
        """Some rows of W; only of a single matrix."""
        (part,) = self.parts
        return part.look_up(rows)
