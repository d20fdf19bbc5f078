"""What tokens can be coloured by, and an entropy curve in eighth blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from chatterm.chat.turns import ReadToken
from chatterm.language import mark
from chatterm.tui.themes import SURPRISE_NATS, surprise_step

Measure = Literal["surprisal", "entropy", "rank"]
MEASURES: tuple[Measure, ...] = ("surprisal", "entropy", "rank")
RANKS = (2, 4, 11, 101)
"""Where the steps of the scale begin for ranks, after the first, which is rank 1."""

LEGENDS: dict[Measure, tuple[str, tuple[str, ...]]] = {
    "surprisal": (
        mark("surprise in nats"),
        (f"<{SURPRISE_NATS[0]:g}", *(f"{n:g}" for n in SURPRISE_NATS[:-1]), f"≥{SURPRISE_NATS[-1]:g}"),
    ),
    "entropy": (
        mark("entropy in nats"),
        (f"<{SURPRISE_NATS[0]:g}", *(f"{n:g}" for n in SURPRISE_NATS[:-1]), f"≥{SURPRISE_NATS[-1]:g}"),
    ),
    "rank": (mark("rank"), ("1", "2", "4", "11", ">100")),
}
"""The name of each measure, and where each step of its scale begins."""

BLOCKS = "▁▂▃▄▅▆▇█"
CEILINGS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""What a full block may stand for, in nats: few values, so that the curve seldom changes its scale."""


def step_of(measure: Measure, token: ReadToken) -> int | None:
    """The step of a token on the scale, 0 to 4; None where its number is not known."""
    match measure:
        case "surprisal":
            return surprise_step(-token.logprob) if token.logprob is not None else None
        case "entropy":
            return surprise_step(token.entropy) if token.entropy is not None else None
        case "rank":
            return sum(token.rank >= bound for bound in RANKS) if token.rank is not None else None


@dataclass(frozen=True)
class Sparkline:
    """A curve in one line. Where there are more values than cells, a cell shows the largest of its values."""

    text: str
    per_cell: int
    ceiling: float  # what a full block stands for

    def cell_of(self, index: int) -> int:
        """The cell that shows value `index`."""
        return index // self.per_cell


def sparkline(values: Sequence[float], width: int) -> Sparkline:
    """The curve of `values` (≥ 0) in at most `width` cells, from 0 to the lowest ceiling above them."""
    per_cell = max(1, -(-len(values) // max(1, width)))
    pooled = [max(values[n : n + per_cell]) for n in range(0, len(values), per_cell)]
    top = max(pooled, default=0.0)
    ceiling = next((bound for bound in CEILINGS if top <= bound), CEILINGS[-1])
    steps = len(BLOCKS)
    text = "".join(BLOCKS[min(steps - 1, int(value / ceiling * steps))] for value in pooled)
    return Sparkline(text, per_cell, ceiling)
