"""A norm at one position as the linear map that it is there.

RMSNorm multiplies x by a number that depends on x, then by its weight; LayerNorm subtracts the mean first and
adds a bias at the end. With that number fixed to what it actually was, each part of a sum x = Σ parts has a
share of its own in the result: norm(x) = Σ share(part) + bias (TransformerLens calls this "applying the
LayerNorm to the stack with the cached scale").
"""

from __future__ import annotations

from torch import Tensor

from chatterm.model.norm import Norm


def through(norm: Norm, scale: Tensor, parts: Tensor) -> Tensor:
    """The shares of `parts` `(…, width)` in `norm(x)`, bias apart; `scale` is `norm.scale(x)`, one number."""
    if norm.kind == "layer":
        parts = parts - parts.mean(-1, keepdim=True)
    return parts * scale * norm.weight


def pulled_back(norm: Norm, scale: Tensor, direction: Tensor) -> Tensor:
    """What a part is multiplied with for its share of `norm(x) · direction`, bias apart.

    Args:
        norm: RMSNorm or LayerNorm.
        scale: `norm.scale(x)`, one number.
        direction: `(width,)` float64.

    Returns:
        d `(width,)` float64: share(part) · direction = part · d, for every part.
    """
    weighted = direction * norm.weight.double()
    if norm.kind == "layer":
        weighted = weighted - weighted.mean()  # (part − mean(part)) · w = part · (w − mean(w))
    return weighted * scale.double()


def bias_share(norm: Norm, direction: Tensor) -> float:
    """The bias' share of `norm(x) · direction`."""
    return 0.0 if norm.bias is None else float(norm.bias.double() @ direction)
