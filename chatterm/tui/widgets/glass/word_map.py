"""Words at their places in the plane, in character cells."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from chatterm import inert
from chatterm.records.inspection import MapPoint
from chatterm.tui.text import bars

DOT = "•"


def draw(points: Sequence[MapPoint], width: int, height: int) -> tuple[list[str], list[str]]:
    """Lines of exactly `width` cells, and the words that found no room.

    Each word has a dot at its place and its name beside it, or above or below where that place is taken.
    Both axes have the same scale in cells twice as high as wide, so distances can be compared.
    """
    if not points or width < 2 or height < 1:
        return [" " * max(0, width)] * max(0, height), [point.word for point in points]
    low_x, high_x = min(p.x for p in points), max(p.x for p in points)
    low_y, high_y = min(p.y for p in points), max(p.y for p in points)
    longest = max(cell_len(inert.line(p.word)) for p in points) + 1
    across = max(1, width - 1 - min(longest, width // 3))
    unit = max((high_x - low_x) / across, (high_y - low_y) / (2 * max(1, height - 1)), 1e-9)
    grid: list[list[str]] = [[" "] * width for _ in range(height)]
    left = (across - (high_x - low_x) / unit) / 2
    above = (height - 1 - (high_y - low_y) / (2 * unit)) / 2
    places = {}
    for point in points:
        x = round(left + (point.x - low_x) / unit)
        y = round(above + (high_y - point.y) / (2 * unit))
        places[point.word] = min(x, width - 1), min(y, height - 1)
        grid[places[point.word][1]][places[point.word][0]] = DOT
    lost = [word for word, place in places.items() if not _name(grid, inert.line(word), *place)]
    return ["".join(row) for row in grid], lost


def _name(grid: list[list[str]], word: str, x: int, y: int) -> bool:
    """Write a word near its dot; whether there was room."""
    shown = bars.fit(word, min(cell_len(word), len(grid[0]) // 2))
    cells = cell_len(shown)
    right, before = x + 1, x - cells
    for row, column in (
        (y, right),
        (y, before),
        (y - 1, right),
        (y + 1, right),
        (y - 1, before),
        (y + 1, before),
    ):
        if not (0 <= row < len(grid) and column >= 0 and column + cells <= len(grid[0])):
            continue
        if all(grid[row][c] == " " for c in range(column, column + cells)):
            at = column
            for character in shown:
                wide = cell_len(character)
                if wide == 0:
                    grid[row][at - 1] += character
                    continue
                grid[row][at] = character
                for extra in range(1, wide):
                    grid[row][at + extra] = ""
                at += wide
            return True
    return False
