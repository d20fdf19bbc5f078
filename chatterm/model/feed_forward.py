"""The feed-forward part of a block: neurons that read the residual stream and write to it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from chatterm.checkpoint.architecture import Activation, Architecture
from chatterm.model.linear import Linear
from chatterm.model.taps import Taps

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "silu": functional.silu,
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "relu_squared": lambda x: functional.relu(x).square(),
}


class FeedForward(nn.Module):
    """`down(f(up x))`, or gated `down(f(gate x) · up x)` (arXiv:2002.05202)."""

    def __init__(self, architecture: Architecture, layer: int, *, up: Linear, down: Linear) -> None:
        """`up` gives the gate first where there is one."""
        super().__init__()
        self.layer = layer
        self.gated = architecture.gated
        self.kind = architecture.activation
        self.activation = ACTIVATIONS[self.kind]
        self.up, self.down = up, down

    def forward(self, x: Tensor, taps: Taps | None) -> Tensor:
        """`(T, width)` → `(T, width)`."""
        hidden = self.up(x)
        if self.gated:
            gate, value = hidden.chunk(2, dim=-1)
            hidden = self.activation(gate) * value
        else:
            hidden = self.activation(hidden)
        if taps is not None:
            hidden = taps("activations", self.layer, hidden)
        out: Tensor = self.down(hidden)
        return out
