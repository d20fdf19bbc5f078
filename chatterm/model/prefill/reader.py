"""A decoder's blocks for many tokens at once, natively: the same steps as `chatterm.model.block`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast, get_args

from torch import Tensor
from torch.nn import Module

from chatterm.checkpoint.architecture import Activation
from chatterm.model.cache import Cache
from chatterm.model.native.build import NotBuiltError
from chatterm.model.norm import Norm
from chatterm.model.prefill.operator import Operator
from chatterm.model.rotary import Turn
from chatterm.model.tiled import TiledLinear

if TYPE_CHECKING:
    from chatterm.model.attention import Attention
    from chatterm.model.block import Block
    from chatterm.model.decoder import Decoder
    from chatterm.model.feed_forward import FeedForward

Products = Literal["2×bf16", "2×bf16/int16", "int16", "float32"]
"""Two bfloat16 numbers for each, or that for many tokens and the next for fewer; whole numbers of 16 bits
where weights are quantised; float32."""

FEWEST = 12
"""Tokens from which it pays; fewer go through the blocks themselves."""


class Reader:
    """Runs blocks whose weights are in tiles, without taps."""

    def __init__(self, operator: Operator, *, quantised: bool) -> None:
        """`quantised`: whether any of the weights are."""
        self._operator = operator
        self._quantised = quantised

    @property
    def products(self) -> Products:
        """What is multiplied."""
        return _products(self._operator.unit, self._quantised and self._operator.whole_numbers)

    def leave_whole_numbers(self) -> None:
        """From now on multiply in float32, or by the matrix unit: slower, and more exact."""
        self._operator.whole_numbers = False

    def __call__(self, module: Module, x: Tensor, cache: Cache, turn: Turn | None) -> None:
        """One block; `x` `(T, width)` float32 contiguous, the residual stream, is changed in place."""
        block = cast("Block", module)
        normed = self._norm(block.attention_norm, x, "normed")
        attended = self._attention(block.attention, normed, cache, turn)
        if block.parallel:
            if not block.shared_norm:
                normed = self._norm(block.ffn_norm, x, "normed")
            fed = self._feed_forward(block.feed_forward, normed)
            self._add(block, x, attended, block.attention_output_norm)
        else:
            self._add(block, x, attended, block.attention_output_norm)
            if not block.shared_norm:
                normed = self._norm(block.ffn_norm, x, "normed")
            fed = self._feed_forward(block.feed_forward, normed)
        self._add(block, x, fed, block.ffn_output_norm)

    def _norm(self, norm: Norm | None, x: Tensor, name: str) -> Tensor:
        """A new vector for each token; `x` itself where there is no norm."""
        return x if norm is None else self._normed(norm, x, self._operator.room(name, *x.shape))

    def _normed(self, norm: Norm, x: Tensor, out: Tensor) -> Tensor:
        if norm.weight.dim() > 1:  # a row of weights for each head
            return out.copy_(norm(x))
        return self._operator.norm(
            x, norm.weight, norm.bias, layer=norm.kind == "layer", eps=norm.eps, out=out
        )

    def _add(self, block: Block, x: Tensor, branch: Tensor, norm: Norm | None) -> None:
        if norm is not None:
            branch = self._normed(norm, branch, branch)
        self._operator.add(x, branch, block.residual_scale)

    def _product(self, linear: object, x: Tensor, name: str) -> Tensor:
        assert isinstance(linear, TiledLinear)
        return self._operator.product(x, linear.parts, name)

    def _attention(self, attention: Attention, x: Tensor, cache: Cache, turn: Turn | None) -> Tensor:
        count, heads, kv_heads = x.shape[0], attention.heads, attention.kv_heads
        projected = self._product(attention.qkv, x, "projected")
        parts = projected.view(count, heads + 2 * kv_heads, attention.head_size)
        both = heads + kv_heads
        for norm, start, stop in ((attention.query_norm, 0, heads), (attention.key_norm, heads, both)):
            if norm is None:
                continue
            part = parts[:, start:stop]
            if attention.norms_vector:
                part = projected[:, start * attention.head_size : stop * attention.head_size]
            self._normed(norm, part, part)
        if turn is not None:
            self._operator.turn(parts[:, :both], turn.cos, turn.sin, turn.dimensions)
        layer = attention.layer
        span = cache.store(layer, parts[:, heads:both], parts[:, both:], attention.window)
        mixed = self._operator.attention(
            parts[:, :heads],
            cache.stored(layer, span.start, span.stop),
            first=cache.length - span.start,
            window=attention.window,
            scale=attention.scale,
            soft_cap=attention.soft_cap,
            name="mixed",
        )
        return self._product(attention.output, mixed, "attended")

    def _feed_forward(self, feed_forward: FeedForward, x: Tensor) -> Tensor:
        hidden = self._product(feed_forward.up, x, "hidden")
        kind = feed_forward.kind
        if kind == "gelu":  # with the error function, which torch has
            if feed_forward.gated:
                gate, value = hidden.chunk(2, dim=-1)
                active = feed_forward.activation(gate) * value
            else:
                active = feed_forward.activation(hidden)
        else:
            active = self._operator.gate(
                hidden, get_args(Activation).index(kind), gated=feed_forward.gated, name="active"
            )
        return self._product(feed_forward.down, active, "fed")


def _products(unit: bool, quantised: bool) -> Products:
    if quantised:
        return "2×bf16/int16" if unit else "int16"
    return "2×bf16" if unit else "float32"


def reader(decoder: Decoder) -> Reader | None:
    """A reader for a decoder, or None where its weights, its shapes or the processor do not allow it."""
    linears = [
        linear
        for block in cast("list[Block]", list(decoder.blocks))
        for linear in (
            block.attention.qkv,
            block.attention.output,
            block.feed_forward.up,
            block.feed_forward.down,
        )
    ]
    tiles = [part for linear in linears if isinstance(linear, TiledLinear) for part in linear.parts]
    if not all(isinstance(linear, TiledLinear) for linear in linears):
        return None
    try:
        operator = Operator(tiles[0].pool)
    except NotBuiltError:
        return None
    if decoder.architecture.head_size > operator.most_depth:
        return None
    return Reader(operator, quantised=any(not part.is_plain for part in tiles))
