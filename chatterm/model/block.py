"""One block: attention and feed-forward, each reading the residual stream and adding to it."""

from __future__ import annotations

from torch import Tensor, nn

from chatterm.checkpoint.architecture import Architecture
from chatterm.model.attention import Attention
from chatterm.model.cache import KeyValues
from chatterm.model.feed_forward import FeedForward
from chatterm.model.norm import Norm
from chatterm.model.rotary import Turn
from chatterm.model.taps import Taps


class Block(nn.Module):
    """A transformer block. Norms that the family does not have are None."""

    def __init__(
        self,
        architecture: Architecture,
        layer: int,
        *,
        attention: Attention,
        feed_forward: FeedForward,
        attention_norm: Norm | None,
        ffn_norm: Norm | None,
        attention_output_norm: Norm | None,
        ffn_output_norm: Norm | None,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.parallel, self.shared_norm = architecture.parallel, architecture.shared_norm
        self.residual_scale = architecture.residual_scale
        self.attention, self.feed_forward = attention, feed_forward
        self.attention_norm, self.ffn_norm = attention_norm, ffn_norm
        self.attention_output_norm, self.ffn_output_norm = attention_output_norm, ffn_output_norm

    def forward(self, x: Tensor, cache: KeyValues, turn: Turn | None, taps: Taps | None) -> Tensor:
        """`(T, width)` → `(T, width)`, the residual stream before and after."""
        if taps is not None:
            x = taps("input", self.layer, x)
        normed = x if self.attention_norm is None else self.attention_norm(x)
        attended = self.added(self.attention(normed, cache, turn, taps), self.attention_output_norm)
        if taps is not None:
            attended = taps("attention_output", self.layer, attended)
        middle = x + attended
        if taps is not None and not self.parallel:
            middle = taps("middle", self.layer, middle)
        if not self.shared_norm:
            source = x if self.parallel else middle
            normed = source if self.ffn_norm is None else self.ffn_norm(source)
        fed = self.added(self.feed_forward(normed, taps), self.ffn_output_norm)
        if taps is not None:
            fed = taps("ffn_output", self.layer, fed)
        out = middle + fed
        return out if taps is None else taps("output", self.layer, out)

    def added(self, branch: Tensor, norm: Norm | None) -> Tensor:
        """What a branch really adds to the residual stream."""
        if norm is not None:
            branch = norm(branch)
        return branch if self.residual_scale == 1.0 else branch * self.residual_scale
