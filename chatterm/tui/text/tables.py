"""Markdown tables in cells."""

from __future__ import annotations

from typing import NamedTuple

from chatterm.tui.text.lines import FAINT, STRONG, Line, Span, width_of
from chatterm.tui.text.wrap import wrap

NARROWEST = 4


class Cell(NamedTuple):
    """One cell: its spans, and `left`, `center`, `right` or nothing."""

    spans: list[Span]
    align: str


def _widths(rows: list[list[Cell]], room: int) -> list[int]:
    """Column widths: what each wants, and where there is no room the widest give way first."""
    columns = max(len(row) for row in rows)
    widths = [
        max([NARROWEST, *(width_of(row[index].spans) for row in rows if index < len(row))])
        for index in range(columns)
    ]
    while sum(widths) > room and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def table_lines(rows: list[list[Cell]], width: int, first: list[Span], rest: list[Span]) -> list[Line]:
    """A table: the first row is the head, under it a rule."""
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
        for height in range(max(len(cell) for cell in cells)):
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
