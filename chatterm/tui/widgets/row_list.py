"""A list that draws the rows in sight and nothing else, so that thousands of rows cost no more than ten."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from chatterm.tui.widgets.paint import Paint


class RowList(ScrollView, can_focus=True):
    """Rows of one or more lines, one of them under the cursor. What derives from it draws them."""

    DEFAULT_CSS = """
    RowList {
        height: 1fr;
        background: $background;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
    }
    """

    @dataclass
    class Chosen(Message):
        """A row was clicked, or Enter was pressed on it."""

        row: int

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._paint = Paint(self)
        self._starts: list[int] = [0]  # first line of each row, and the end
        self.cursor = -1  # the row; -1 while there is none that could be chosen

    # --- for what derives from it -----------------------------------------------------------------------

    def draw(self, row: int, line: int, width: int, base: Style) -> list[Segment]:
        """One line of a row in at most `width` cells; `base` already says whether the cursor is there."""
        raise NotImplementedError

    def can_choose(self, row: int) -> bool:
        """Whether the cursor can stand on a row."""
        return True

    def cursor_moved(self) -> None:
        """The cursor is on another row, or other rows are in sight."""

    # --- rows -------------------------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self._starts) - 1

    def lay_out(self, heights: Sequence[int], cursor: int) -> None:
        """Take rows of these heights, in lines, and put the cursor on one, or on the next it may be on."""
        self._starts = [0, *accumulate(heights)]
        self.virtual_size = Size(self.size.width, self._starts[-1])
        self.cursor = self._nearest(min(max(cursor, 0), self.rows - 1), 1)
        self.refresh()

    def _nearest(self, row: int, step: int) -> int:
        """The next row from `row` on that can be chosen, the other way round if there is none; or -1."""
        for way in (range(row, self.rows), range(row, -1, -1))[:: 1 if step > 0 else -1]:
            for place in way:
                if 0 <= place < self.rows and self.can_choose(place):
                    return place
        return -1

    def top_of(self, row: int) -> int:
        """The first line of a row, as it stands on the screen below the top of the list."""
        return self._starts[row] - round(self.scroll_y)

    def put_cursor(self, row: int, step: int = 1) -> None:
        """Put the cursor on a row, or near it in the direction of `step`, and bring it into view."""
        place = self._nearest(min(max(row, 0), self.rows - 1), step)
        if place < 0:
            return
        self.cursor = place
        self.show_cursor()
        self.refresh()
        self.cursor_moved()

    def show_cursor(self) -> None:
        """Bring the row under the cursor into view."""
        if self.cursor < 0:
            return
        top, bottom = self._starts[self.cursor], self._starts[self.cursor + 1]
        if all(not self.can_choose(row) for row in range(self.cursor)):
            top = 0
        height = max(1, self.size.height)
        if top < self.scroll_y:
            self.scroll_to(y=top, animate=False, immediate=True)
        elif bottom > self.scroll_y + height:
            self.scroll_to(y=bottom - height, animate=False, immediate=True)

    def page(self, direction: int) -> None:
        """The cursor a screenful on."""
        line = self._starts[max(0, self.cursor)] + direction * max(1, self.size.height - 2)
        row = bisect_right(self._starts, max(0, min(line, self._starts[-1] - 1))) - 1
        self.put_cursor(row, direction)

    def action_move(self, step: int) -> None:
        """To the row before or after."""
        self.put_cursor(self.cursor + step, step)

    def action_edge(self, direction: int) -> None:
        """To the first row, or the last."""
        self.put_cursor(0 if direction < 0 else self.rows - 1, -direction)

    def action_choose(self) -> None:
        """The row under the cursor."""
        if self.cursor >= 0:
            self.post_message(self.Chosen(self.cursor))

    # --- drawing ----------------------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the view."""
        width = self.size.width
        base = self.rich_style
        number = y + round(self.scroll_y)
        row = bisect_right(self._starts, number) - 1
        if not 0 <= row < self.rows:
            return Strip.blank(width, base)
        if row == self.cursor and self.has_focus:
            base += Style(bgcolor=self._paint.variable("block-cursor-background"))
        segments = self.draw(row, number - self._starts[row], width, base)
        return Strip(segments).crop_extend(0, width, base)

    def watch_has_focus(self, _has_focus: bool) -> None:
        """The cursor is shown where the keys go."""
        super().watch_has_focus(_has_focus)
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolled."""
        super().watch_scroll_y(old_value, new_value)
        if self.is_mounted:
            self.cursor_moved()

    def on_resize(self) -> None:
        """Another size."""
        self.virtual_size = Size(self.size.width, self._starts[-1])
        self.show_cursor()

    def on_click(self, event: events.Click) -> None:
        """Choose the row under the pointer."""
        row = bisect_right(self._starts, event.y + round(self.scroll_y)) - 1
        if 0 <= row < self.rows and self.can_choose(row):
            self.cursor = row
            self.refresh()
            self.post_message(self.Chosen(row))
