"""Where heads look: softmax(q · k · scale) over the positions that may be seen (arXiv:1706.03762).

The weights are those that the model computes with: rows sum to 1, what lies in the future or outside a
layer's window is 0. Only queries are replayed; their rows are as long as the text. At most `MOST_WEIGHTS`
weights of a layer exist at once, whatever the length of the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chatterm.decode.context import Context
from chatterm.glass.replay import GoOn, parts, replay

MOST_WEIGHTS = 1 << 23
"""Weights of one layer held at once, all heads together (32 MiB in float32)."""


@dataclass(frozen=True)
class Overview:
    """All heads at one position; every tensor is `(layers, heads)`."""

    entropy: Tensor  # nats
    strongest: Tensor  # the position looked at most, int64
    strongest_weight: Tensor
    weight: Tensor | None  # on the position asked about


def overview(context: Context, position: int, to: int | None) -> Overview:
    """How every head looks back from `position`, and its weight on position `to`."""

    def summary(_: int, weights: Tensor) -> Tensor:
        row = weights[:, 0].double()  # (heads, S)
        strongest, at = row.max(-1)
        on = torch.zeros_like(strongest) if to is None else row[:, to]
        return torch.stack([torch.special.entr(row).sum(-1), at.double(), strongest, on])  # (4, heads)

    values = replay(context, position, 1, ["attention_weights"], summary)
    layers = context.decoder.architecture.layers
    both = torch.stack([values["attention_weights", layer] for layer in range(layers)], dim=1)
    entropies, at, strongest, on = both
    return Overview(entropies, at.long(), strongest, None if to is None else on)


def head_rows(context: Context, first: int, count: int, layer: int, head: int, go_on: GoOn) -> Tensor:
    """One head's weights for the queries at `first` …: `(count, first + count)`."""
    stop = first + count
    out = torch.zeros(count, stop)
    for start, size in parts(first, stop, _rows(context, stop)):
        go_on()
        values = replay(
            context, start, size, [("attention_weights", layer)], lambda _, weights: weights[head].cpu()
        )
        weights = values["attention_weights", layer]
        out[start - first : start - first + size, : weights.shape[1]] = weights
    return out


def patterns(
    context: Context, count: int, heads: Sequence[tuple[int, int]], size: int, go_on: GoOn
) -> tuple[Tensor, int]:
    """Small maps of some heads over the first `count` tokens, max-pooled to at most `size` × `size`.

    Args:
        context: has read the text.
        count: tokens of the text.
        heads: (layer, head) of each map.
        size: the most cells along a side.
        go_on: called between parts.

    Returns:
        `(len(heads), cells, cells)`, rows = queries; and how many positions a cell stands for. A cell's
        weight is the largest in it.
    """
    pooled = -(-count // size)
    cells = -(-count // pooled)
    wanted: dict[int, list[int]] = {}
    for layer, head in heads:
        wanted.setdefault(layer, []).append(head)
    maps = {layer: torch.zeros(len(of), cells, cells) for layer, of in wanted.items()}
    rows = max(1, _rows(context, count) // pooled) * pooled
    for start, queries in parts(0, count, rows):
        go_on()
        values = replay(
            context,
            start,
            queries,
            [("attention_weights", layer) for layer in wanted],
            lambda layer, weights: _pool(weights[wanted[layer]], pooled),
        )
        for layer, of in maps.items():
            part = values["attention_weights", layer].cpu()  # (heads, cells of queries, cells of keys)
            of[:, start // pooled :][:, : part.shape[1], : part.shape[2]] = part
    return torch.stack([maps[layer][wanted[layer].index(head)] for layer, head in heads]), pooled


def _rows(context: Context, seen: int) -> int:
    """Queries whose weights on `seen` positions, of all heads, may exist at once."""
    return max(1, MOST_WEIGHTS // (context.decoder.architecture.heads * seen))


def _pool(weights: Tensor, pooled: int) -> Tensor:
    """`(heads, T, S)` → the largest of each `pooled` × `pooled` square."""
    return torch.nn.functional.max_pool2d(weights[None], pooled, ceil_mode=True)[0]
