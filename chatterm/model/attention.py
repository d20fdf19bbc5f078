"""Attention: what each position takes from those before it (arXiv:1706.03762, grouped: 2305.13245)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from chatterm.checkpoint.architecture import Architecture
from chatterm.model.cache import KeyValues, Span
from chatterm.model.linear import Linear
from chatterm.model.norm import Norm
from chatterm.model.rotary import Turn
from chatterm.model.taps import Taps

MAX_SCORES = 1 << 25
"""Scores held at once on the explicit path (128 MB in float32); more queries are done in several goes."""


class Attention(nn.Module):
    """Self-attention of one block."""

    def __init__(
        self,
        architecture: Architecture,
        layer: int,
        *,
        qkv: Linear,
        output: Linear,
        query_norm: Norm | None,
        key_norm: Norm | None,
    ) -> None:
        """`qkv` gives all queries, then all keys, then all values of a position."""
        super().__init__()
        options = architecture.layer_options[layer]
        self.layer = layer
        self.heads, self.kv_heads = architecture.heads, architecture.kv_heads
        self.head_size = architecture.head_size
        self.window, self.scale = options.window, options.attention_scale
        self.soft_cap = architecture.attention_soft_cap
        self.norms_vector = architecture.query_key_norm == "vector"
        self.qkv, self.output = qkv, output
        self.query_norm, self.key_norm = query_norm, key_norm

    def forward(self, x: Tensor, cache: KeyValues, turn: Turn | None, taps: Taps | None) -> Tensor:
        """`(T, width)` → `(T, width)`; the new keys and values go into the cache."""
        queries, keys, values = self.project(x, turn)
        if taps is not None:
            queries = taps("queries", self.layer, queries)
            keys = taps("keys", self.layer, keys)
            values = taps("values", self.layer, values)
        whole = taps is not None and taps.wants("attention_weights", self.layer)
        seen_keys, seen_values, span = cache.append(self.layer, keys, values, self.window, whole=whole)
        if not whole and queries.shape[0] == 1:
            mixed = self.single(queries, seen_keys, seen_values, span.mask)
        elif whole or self.soft_cap is not None:
            mixed = self.explicit(queries, seen_keys, seen_values, span, taps if whole else None)
        else:
            mixed = self.fused(queries, seen_keys, seen_values, span)
        if taps is not None:
            mixed = taps("heads", self.layer, mixed)
        out: Tensor = self.output(mixed.reshape(x.shape[0], -1))
        return out

    def project(self, x: Tensor, turn: Turn | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries `(T, heads, head_size)`, keys and values `(T, kv_heads, head_size)`."""
        count = x.shape[0]
        projected = self.qkv(x)
        both = self.heads + self.kv_heads
        if self.norms_vector:
            projected = self.normed_vectors(projected)
        parts = projected.view(count, both + self.kv_heads, self.head_size)
        queries_keys, values = parts[:, :both], parts[:, both:]
        if self.query_norm is not None and self.key_norm is not None and not self.norms_vector:
            normed = (
                self.query_norm(queries_keys[:, : self.heads]),
                self.key_norm(queries_keys[:, self.heads :]),
            )
            queries_keys = torch.cat(normed, dim=1)
        if turn is not None:
            queries_keys = turn(queries_keys)
        return queries_keys[:, : self.heads], queries_keys[:, self.heads :], values

    def normed_vectors(self, projected: Tensor) -> Tensor:
        """OLMo 2: the norm runs over the queries of all heads at once, and over the keys of all."""
        assert self.query_norm is not None and self.key_norm is not None
        first_key = self.heads * self.head_size
        first_value = first_key + self.kv_heads * self.head_size
        queries, keys = projected[:, :first_key], projected[:, first_key:first_value]
        return torch.cat([self.query_norm(queries), self.key_norm(keys), projected[:, first_value:]], dim=-1)

    def single(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """One query `(1, heads, head_size)`; `mask` `(1, S)` says what it sees. Returns the same shape."""
        grouped = (queries * self.scale).view(self.kv_heads, -1, self.head_size)
        if self.soft_cap is None:
            scores = grouped @ keys.transpose(1, 2)
        else:
            scores = grouped.float() @ keys.float().transpose(1, 2)
            scores = self.soft_cap * torch.tanh(scores / self.soft_cap)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        weights = scores.softmax(-1, dtype=torch.float32).to(values.dtype)
        return (weights @ values).view(1, self.heads, self.head_size)

    def fused(self, queries: Tensor, keys: Tensor, values: Tensor, span: Span) -> Tensor:
        """Several queries `(T, heads, head_size)`, by torch's own kernel. Returns the same shape."""
        mixed = functional.scaled_dot_product_attention(
            queries.transpose(0, 1)[None],
            keys[None],
            values[None],
            attn_mask=span.mask,
            is_causal=span.causal,
            scale=self.scale,
            enable_gqa=self.heads != self.kv_heads,
        )
        return mixed[0].transpose(0, 1)

    def explicit(
        self, queries: Tensor, keys: Tensor, values: Tensor, span: Span, taps: Taps | None
    ) -> Tensor:
        """Step by step, for soft-capped scores and for taps. `(T, heads, head_size)` → the same."""
        count, seen = queries.shape[0], keys.shape[1]
        mask = (
            torch.ones(count, seen, dtype=torch.bool, device=keys.device).tril() if span.causal else span.mask
        )
        rows = count if taps is not None else max(1, MAX_SCORES // (self.heads * seen))
        mixed = [
            self.some_rows(
                queries[at : at + rows], keys, values, None if mask is None else mask[at : at + rows], taps
            )
            for at in range(0, count, rows)
        ]
        return mixed[0] if len(mixed) == 1 else torch.cat(mixed)

    def some_rows(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, taps: Taps | None
    ) -> Tensor:
        """The explicit path for some queries, each with its row of the mask."""
        weights = self.weights(queries, keys, mask)
        if taps is not None:
            weights = taps("attention_weights", self.layer, weights)
        mixed = weights.to(values.dtype) @ values.repeat_interleave(self.heads // self.kv_heads, 0)
        return mixed.transpose(0, 1)

    def weights(self, queries: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        """How much each query `(T, heads, head_size)` takes from each position, `(heads, T, S)` float32."""
        count, seen = queries.shape[0], keys.shape[1]
        by_group = queries.float().transpose(0, 1).reshape(self.kv_heads, -1, self.head_size)
        scores = (by_group @ keys.float().transpose(1, 2)).view(self.heads, count, seen) * self.scale
        if self.soft_cap is not None:
            scores = self.soft_cap * torch.tanh(scores / self.soft_cap)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        return scores.softmax(-1)
