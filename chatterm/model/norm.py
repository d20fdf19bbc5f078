"""Normalisation, always computed in float32."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from chatterm.checkpoint.architecture import NormKind


class Norm(nn.Module):
    """RMSNorm (arXiv:1910.07467) or LayerNorm (arXiv:1607.06450) over the last dimension.

    The weight may have one row per head, `(heads, size)`, for an input `(…, heads, size)`.
    """

    def __init__(self, kind: NormKind, weight: Tensor, bias: Tensor | None, eps: float) -> None:
        super().__init__()
        self.kind = kind
        self.eps = eps
        self.size = weight.shape[-1:]
        self.weight = nn.Parameter(weight.float(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.float(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape and dtype as `x`."""
        if self.weight.dim() > 1:
            return self._each_head(x)
        if self.kind == "rms":
            return functional.rms_norm(x.float(), self.size, self.weight, self.eps).to(x.dtype)
        return functional.layer_norm(x.float(), self.size, self.weight, self.bias, self.eps).to(x.dtype)

    def _each_head(self, x: Tensor) -> Tensor:
        bare = functional.rms_norm if self.kind == "rms" else functional.layer_norm
        y = bare(x.float(), self.size, eps=self.eps) * self.weight
        return (y if self.bias is None else y + self.bias).to(x.dtype)

    def scale(self, x: Tensor) -> Tensor:
        """The factor by which each row of `x` is multiplied before the weight, `(…, 1)` float32."""
        x = x.float()
        if self.kind == "layer":
            x = x - x.mean(-1, keepdim=True)
        return torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps)
