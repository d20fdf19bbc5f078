"""Where the heads look."""

from __future__ import annotations

import msgspec

from chatterm.records.generation import Prompt
from chatterm.records.inspection.question import Question


class AttentionOverviewRead(msgspec.Struct, frozen=True, tag="attention-overview-read"):
    """How every head looks back from the last position: `[layer][head]`."""

    tokens: tuple[str, ...]
    entropy: tuple[tuple[float, ...], ...]  # nats
    strongest: tuple[tuple[int, ...], ...]  # the position looked at most
    strongest_weight: tuple[tuple[float, ...], ...]
    to: int | None
    weight: tuple[tuple[float, ...], ...] | None  # on position `to`
    windows: tuple[int | None, ...]  # per layer: how many positions are visible, itself included; None = all


class AttentionOverview(Question[AttentionOverviewRead], frozen=True, tag="attention-overview"):
    """All heads of all layers at the last position, and their weight on position `to`."""

    prompt: Prompt
    to: int | None = None


class AttentionRead(msgspec.Struct, frozen=True, tag="attention-read"):
    """Attention weights of one head. Each row sums to 1; what may not be seen is 0."""

    tokens: tuple[str, ...]  # of the whole prompt: the columns
    first: int  # position of the first row
    weights: tuple[tuple[float, ...], ...]  # (rows, columns)
    window: int | None


class AttentionHead(Question[AttentionRead], frozen=True, tag="attention-head"):
    """One head's attention: the last `rows` queries against all positions."""

    prompt: Prompt
    layer: int
    head: int
    rows: int = 1


class HeadPatternsRead(msgspec.Struct, frozen=True, tag="head-patterns-read"):
    """Small maps of many heads, max-pooled to at most `size` × `size`."""

    tokens: tuple[str, ...]
    heads: tuple[tuple[int, int], ...]  # (layer, head)
    maps: tuple[tuple[tuple[float, ...], ...], ...]
    pooled: int  # positions per cell; 1 = nothing was pooled


class HeadPatterns(Question[HeadPatternsRead], frozen=True, tag="head-patterns"):
    """Maps of all heads of one layer, or of one head across all layers, over the whole prompt."""

    prompt: Prompt
    layer: int | None = None
    head: int | None = None
    size: int = 24
