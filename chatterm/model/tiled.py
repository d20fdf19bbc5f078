"""A linear layer whose weights stay packed, in the tiles of the native operator."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from chatterm.model.linear import Linear
from chatterm.model.native.tiles import Tiles


class TiledLinear(Linear):
    """Packed matrices, one below the other. CPU and float32 only.

    One row at a time is multiplied as it is; for several rows the weights are unpacked as they are needed.
    """

    def __init__(self, parts: list[Tiles]) -> None:
        super().__init__()
        self.parts = parts
        self.in_features = parts[0].columns
        self.out_features = sum(part.rows for part in parts)
        biases = [part.bias for part in parts]
        known = [bias for bias in biases if bias is not None]
        self.bias = torch.cat(known) if len(known) == len(parts) else None

    def forward(self, x: Tensor) -> Tensor:
        """`(…, in_features)` → `(…, out_features)`."""
        if x.numel() != self.in_features:
            return functional.linear(x, self.dense(), self.bias)
        flat = x.reshape(-1).contiguous()
        products = [part.times(flat) for part in self.parts]
        whole = products[0] if len(products) == 1 else torch.cat(products)
        return whole.view(*x.shape[:-1], self.out_features)

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
