"""Linear layers behind one interface, so that a kernel may keep its weights in whatever form it likes."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from chatterm.checkpoint.tensors import Weight, dense


class Linear(nn.Module):
    """`x @ W.T + b` over the last dimension."""

    in_features: int
    out_features: int
    bias: Tensor | None

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """`(…, in_features)` → `(…, out_features)`."""

    @abstractmethod
    def dense(self) -> Tensor:
        """The matrix W as numbers, `(out_features, in_features)`; made anew where it is kept packed."""

    def rows(self, first: int, stop: int) -> Tensor:
        """Rows `first` … `stop - 1` of W; `first` is a multiple of 16. For walking over a large matrix."""
        return self.look_up(torch.arange(first, stop))

    @abstractmethod
    def look_up(self, rows: Tensor) -> Tensor:
        """Some rows of W, for `(T,)` int64 indices: `(T, in_features)`. An embedding is a matrix used so."""


class DenseLinear(Linear):
    """Plain numbers."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(…, in_features)` → `(…, out_features)`."""
        return functional.linear(x, self.weight, self.bias)

    def dense(self) -> Tensor:
        """The matrix itself, not a copy."""
        return self.weight

    def rows(self, first: int, stop: int) -> Tensor:
        """Consecutive rows of W, not a copy."""
        return self.weight[first:stop]

    def look_up(self, rows: Tensor) -> Tensor:
        """Some rows of W."""
        return functional.embedding(rows, self.weight)


def make_linear(
    weights: list[Weight], biases: list[Tensor], *, dtype: torch.dtype, device: torch.device | str
) -> Linear:
    """The layer whose output is that of all `weights`, one after the other.

    Args:
        weights: matrices `(out, in)` with the same `in`.
        biases: one for each matrix, or none at all.
        dtype: of the computation.
        device: where the weights go.
    """
    matrices = [dense(weight, dtype).to(device) for weight in weights]
    weight = matrices[0] if len(matrices) == 1 else torch.cat(matrices)
    bias = torch.cat([bias.to(device, dtype) for bias in biases]) if biases else None
    return DenseLinear(weight.contiguous(), bias)
