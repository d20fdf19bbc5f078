"""Markdown tables in cells."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from chatterm.tui.text.lines import FAINT, STRONG, Line, Span, width_of
from chatterm.tui.text.wrap import wrap

NARROWEST = 4

MOST_PARTS = 1000
"""Lines of cells that any table may have, however little is written in it."""


class Cell(NamedTuple):
    """One cell: its spans, and `left`, `center`, `right` or nothing."""

    spans: list[Span]
    align: str


def _widths(rows: list[list[Cell]], room: int) -> list[int]:
    """Column widths: what each wants, and where there is no room the widest give way first."""
    wanted = [NARROWEST] * max(len(row) for row in rows)
    for row in rows:
        for index, cell in enumerate(row):
            wanted[index] = max(wanted[index], width_of(cell.spans))
    if sum(wanted) <= room:
        return wanted
    # the widest that all may have, and one more for the last of those that want it
    widest = bisect_right(
        range(NARROWEST + 1, max(room, NARROWEST) + 1), room, key=lambda w: _at_most(wanted, w)
    )
    widest += NARROWEST
    spare = max(0, room - _at_most(wanted, widest))
    widths = [min(want, widest) for want in wanted]
    for index in [index for index, want in enumerate(wanted) if want > widest][::-1][:spare]:
        widths[index] += 1
    return widths


def _at_most(widths: list[int], widest: int) -> int:
    return sum(min(width, widest) for width in widths)


def table_lines(
    rows: list[list[Cell]], width: int, first: list[Span], rest: list[Span], *, most: int = MOST_PARTS
) -> list[Line] | None:
    """A table: the first row is the head, under it a rule.

    None if it would have more than `most` parts, which are the lines of all cells: each row is as high as its
    highest cell, so that a long text in one of many columns would fill the screen with spaces for ever.
    """
    rows = [row for row in rows if row]
    if not rows:
        return []
    columns = max(len(row) for row in rows)
    widths = _widths(rows, width - width_of(rest) - 3 * (columns - 1))
    lines: list[Line] = []
    for number, row in enumerate(rows):
        cells = [
            wrap([Span(s.text, s.offset, s.style | (STRONG if number == 0 else 0)) for s in cell.spans], room)
            for cell, room in zip(row, widths, strict=False)
        ]
        highest = max(len(cell) for cell in cells)
        most -= highest * columns
        if most < 0:
            return None
        for height in range(highest):
            spans = list(rest if lines else first)
            for column, room in enumerate(widths):
                if column:
                    spans.append(Span(" │ ", style=FAINT))
                here = (
                    cells[column][height].spans if column < len(cells) and height < len(cells[column]) else []
                )
                spare = room - width_of(here)
                align = row[column].align if column < len(row) else ""
                left = spare if align == "right" else spare // 2 if align == "center" else 0
                spans += [Span(" " * left), *here, Span(" " * (spare - left))]
            lines.append(Line([span for span in spans if span.text]))
        if number == 0:
            rule = "─┼─".join("─" * room for room in widths)
            lines.append(Line([*rest, Span(rule, style=FAINT)]))
    return lines
