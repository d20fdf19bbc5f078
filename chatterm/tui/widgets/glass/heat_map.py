"""Square maps of weights: two rows in a line of half blocks, or one row a line where there is no colour."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style

from chatterm.tui.widgets.glass.shades import Shades, glyph

Weights = Sequence[Sequence[float]]


def pooled(weights: Weights, rows: int, columns: int) -> tuple[list[list[float]], int]:
    """The largest weight of each square, so that at most `rows` × `columns` are left, and a square's side."""
    side = 1
    height, width = len(weights), max((len(row) for row in weights), default=0)
    while height > rows * side or width > columns * side:
        side += 1
    if side == 1:
        return [list(row) for row in weights], 1
    result = []
    for top in range(0, height, side):
        band = weights[top : top + side]
        result.append(
            [max(max(row[left : left + side], default=0.0) for row in band) for left in range(0, width, side)]
        )
    return result, side


def half_blocks(weights: Weights, shades: Shades, base: Style) -> list[list[Segment]]:
    """Lines of `▀`: the upper weight is the colour of the letter, the lower one that of its background."""
    lines = []
    for row in range(0, len(weights), 2):
        upper = weights[row]
        lower = weights[row + 1] if row + 1 < len(weights) else [0.0] * len(upper)
        lines.append(
            [
                Segment("▀", base + Style(color=shades.colour(a), bgcolor=shades.colour(b)))
                for a, b in zip(upper, lower, strict=True)
            ]
        )
    return lines


def glyphs(weights: Weights, base: Style) -> list[list[Segment]]:
    """A line for each row and two cells for each weight, for terminals without shades."""
    return [[Segment("".join(glyph(weight) * 2 for weight in row), base)] for row in weights]
