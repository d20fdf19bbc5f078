"""Two replies beside each other: what the comparisons have in common."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from chatterm import inert
from chatterm.records.generation import Distribution
from chatterm.tui.text import bars
from chatterm.tui.text.lines import MUTED, Span
from chatterm.tui.text.wrap import wrap
from chatterm.tui.widgets.paint import Paint

GAP = 2
"""Cells between the sides."""

WHEEL = 3

Row = list[Segment]


class TwoSides(Widget, can_focus=True):
    """Draws rows of two halves and scrolls them; the first `fixed` rows stay where they are."""

    DEFAULT_CSS = """
    TwoSides { height: 1fr; background: $surface; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._paint = Paint(self)
        self._top = 0
        self._rows: list[Row] = []
        self.fixed = 0

    def draw(self) -> list[Row]:
        """All rows, for the width that there is."""
        raise NotImplementedError

    def draw_again(self) -> None:
        """Something else is to be seen."""
        self._rows = []
        self.refresh()

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()
        self._rows = []

    def on_resize(self) -> None:
        """Another width."""
        self._rows = []

    @property
    def rows(self) -> list[Row]:
        """All rows."""
        if not self._rows:
            self._rows = self.draw()
        return self._rows

    def render_line(self, y: int) -> Strip:
        """One line."""
        rows = self.rows
        place = y if y < self.fixed else y + self._top
        row = rows[place] if place < len(rows) else []
        return Strip(row).crop_extend(0, self.size.width, self.rich_style)

    # --- parts ------------------------------------------------------------------------------------------

    @property
    def half(self) -> int:
        """Cells of a side."""
        return (self.size.width - GAP) // 2

    @property
    def muted(self) -> Style:
        """What is said by the interface."""
        return self.rich_style + self._paint.style(MUTED)

    def sentences(self, text: str) -> list[Row]:
        """A sentence over both sides."""
        lines = wrap([Span(inert.line(text))], max(8, self.size.width))
        return [[Segment(line.text, self.muted)] for line in lines]

    def beside(self, left: Row, right: Row) -> Row:
        """Two halves of a row."""
        base = self.rich_style
        fitted = Strip(left).crop_extend(0, self.half, base)
        return [*fitted, Segment(" " * GAP, base), *Strip(right).crop_extend(0, self.half, base)]

    def both(self, left: list[Row], right: list[Row]) -> list[Row]:
        """Two columns of halves, the shorter one filled up."""
        height = max(len(left), len(right))
        return [
            self.beside(left[n] if n < len(left) else [], right[n] if n < len(right) else [])
            for n in range(height)
        ]

    def table(self, distribution: Distribution, rows: int) -> list[Row]:
        """The most probable candidates, in the width of a side."""
        token = min(20, max(8, self.half // 3))
        bar = max(2, self.half - token - 7)
        return [
            [
                Segment(bars.fit(inert.token(candidate.text), token), self.rich_style),
                Segment(" " + bars.bar(candidate.p, bar), self.colour(candidate.logprob)),
                Segment(bars.percent(candidate.p), self.rich_style),
            ]
            for candidate in distribution.candidates[:rows]
        ]

    def colour(self, logprob: float) -> Style:
        """How surprising it is."""
        return self.rich_style + self._paint.surprise(-logprob)

    def fit(self, text: str) -> str:
        """A text in the width of a side."""
        return bars.fit(text, min(self.half, max(1, cell_len(text))))

    # --- scrolling --------------------------------------------------------------------------------------

    def scroll_lines(self, lines: int) -> None:
        """Down, or up if negative."""
        self._top = max(0, min(self._top + lines, len(self.rows) - self.size.height))
        self.refresh()

    def scroll_pages(self, pages: int) -> None:
        """By what is seen at once."""
        self.scroll_lines(pages * max(1, self.size.height - self.fixed - 2))

    def keep_in_view(self, row: int) -> None:
        """Scroll so far that a row can be seen."""
        seen = self.size.height
        if row - self._top >= seen:
            self.scroll_lines(row - self._top - seen + 1)
        elif row - self._top < self.fixed:
            self.scroll_lines(row - self._top - self.fixed)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll."""
        event.stop()
        self.scroll_lines(-WHEEL)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll."""
        event.stop()
        self.scroll_lines(WHEEL)
