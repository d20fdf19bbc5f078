"""Bars, shades and dots for a terminal, readable without colour."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from chatterm import inert

EIGHTHS = " ▏▎▍▌▋▊▉"
SHADES = " ░▒▓█"
POSITIVE, NEGATIVE = "green", "red"
BRAILLE = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bit of each dot in a braille character, rows from the top."""


def bar(share: float, width: int) -> str:
    """A bar of `share` (0 to 1) of `width` cells, to an eighth of a cell; a trace where there is anything."""
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    if share > 0 and eighths == 0:
        return "▏"
    full, rest = divmod(eighths, 8)
    return "█" * full + (EIGHTHS[rest] if rest else "")


def signed_bar(share: float, width: int) -> Text:
    """From the middle of `2 × width + 1` cells to the left (negative) or right, to half a cell."""
    halves = round(min(1.0, abs(share)) * width * 2)
    full, half = divmod(halves, 2)
    if share < 0:
        left = ("▐" if half else "") + "█" * full
        return Text.assemble((left.rjust(width), NEGATIVE), "│", " " * width)
    right = "█" * full + ("▌" if half else "")
    return Text.assemble(" " * width, "│", (right.ljust(width), POSITIVE))


def shade(share: float) -> str:
    """One of five shades for 0 to 1; what is over nothing is never blank."""
    level = math.ceil(min(1.0, max(0.0, share)) * (len(SHADES) - 1) - 1e-9)
    return SHADES[level]


def token(text: str, width: int | None = None) -> Text:
    """A token made visible and harmless, cut or padded to `width` cells if that is given."""
    shown = inert.token(text)
    if width is None:
        return Text(shown)
    if cell_len(shown) > width:
        shown = set_cell_size(shown, width - 1).rstrip() + "…"
    return Text(set_cell_size(shown, width))


def heat_map(rows: Sequence[Sequence[float]], labels: Sequence[str], top: float) -> list[Text]:
    """One line per row of numbers, shaded up to `top`, two cells a number, behind its label."""
    width = min(16, max((cell_len(inert.token(label)) for label in labels), default=0))
    return [
        Text.assemble(token(label, width), " ", "".join(shade(number / top) * 2 for number in row))
        for label, row in zip(labels, rows, strict=True)
    ]


def dots(points: Sequence[tuple[float, float]], width: int, height: int) -> list[str]:
    """Points with coordinates from 0 to 1 (y upwards) as braille, `width` × `height` cells."""
    cells = [[0] * width for _ in range(height)]
    for x, y in points:
        column = min(2 * width - 1, int(x * 2 * width))
        row = min(4 * height - 1, int((1 - y) * 4 * height))
        cells[max(0, row) // 4][max(0, column) // 2] |= BRAILLE[row % 4][column % 2]
    return ["".join(chr(0x2800 + bits) for bits in row) for row in cells]


def scatter(points: Sequence[tuple[str, float, float]], width: int, height: int) -> list[str]:
    """Words at their places (coordinates from 0 to 1, y upwards); a word that would cover another moves down.

    Words that find no free line are left out.
    """
    lines: list[dict[int, str]] = [{} for _ in range(height)]
    for word, x, y in sorted(points, key=lambda point: -point[2]):
        shown = inert.line(word)
        size = cell_len(shown)
        column = max(0, min(width - size - 1, round(x * (width - 1))))
        wanted = min(height - 1, int((1 - y) * height))
        for row in sorted(range(height), key=lambda line: abs(line - wanted)):
            if all(column + size < at or column > at + cell_len(other) for at, other in lines[row].items()):
                lines[row][column] = shown
                break
    drawn = []
    for line in lines:
        text = ""
        for column, word in sorted(line.items()):
            text += " " * (column - cell_len(text)) + word
        drawn.append(text)
    return drawn
