"""Turns in one scrolling widget that draws its lines itself.

No turn is a widget, so a growing reply costs the lay-out of its last block and the drawing of the lines that
changed, however long the conversation is. It follows the end until the user scrolls up.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import Self

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from chatterm.chat.turns import Turn
from chatterm.tui import messages
from chatterm.tui.text import quoted_files
from chatterm.tui.text.lines import Line
from chatterm.tui.text.token_measures import Measure
from chatterm.tui.widgets.paint import Paint
from chatterm.tui.widgets.turn_view import INDENT, TurnView

WIDEST = 100
"""Cells; longer lines are hard to read."""

MARGIN = 2
TOP = 1  # empty line above the first turn
MOST_STRIPS = 1000
AT_ONCE = 40
"""Turns that are laid out at first; those before are laid out when they are scrolled to."""


class TurnList(ScrollView):
    """Lays turns out, scrolls and draws them.

    Attributes:
        turns: what is shown.
        selected: the marked token: its turn and its index there.
        measure: that all tokens are coloured by; None: only those of the turn with the marked token.
        unfolded: whether thinking is shown.
        marked: the chosen message.
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.turns: list[Turn] = []
        self.selected: tuple[Turn, int] | None = None
        self.measure: Measure | None = None
        self.unfolded = False
        self.marked: Turn | None = None  # the chosen message
        self._pointed: tuple[Turn, int, int] | None = None  # characters that are shown as found
        self._views: list[TurnView] = []
        self._first = 0  # turns before this one are not laid out yet
        self._starts: list[int] = [TOP]  # first line of each view, and the end
        self._following = True
        self._paint = Paint(self)
        self._strips: dict[int, Strip] = {}  # lines as they are drawn, while they stay as they are
        self._thumb = (0, 0)  # the scroll bar's, as it is drawn

    # --- what to show -----------------------------------------------------------------------------------

    def show(self, turns: list[Turn]) -> None:
        """Show a conversation: another one from its end, the same one again from where it was read."""
        if turns is not self.turns:
            self.turns = turns
            self.selected = self.marked = self._pointed = None
            self._first = max(0, len(turns) - AT_ONCE)
            self._following = True
            self.post_message(messages.TurnsShown(turns[self._first :]))
        self._lay_out()

    def catch_up(self) -> None:
        """Show the turns that were added at the end of `turns`."""
        if not self.size.width:
            return
        for turn in self.turns[self._first + len(self._views) :]:
            if turn.role == "user":
                self._following = True
            self._views.append(TurnView(turn, self._text_width, unfolded=self.unfolded))
            self._measure(len(self._views) - 1)

    def grew(self, turn: Turn) -> None:
        """A turn has more text or another state."""
        for index in range(len(self._views) - 1, -1, -1):
            view = self._views[index]
            if view.turn is turn:
                height = view.height
                changed = self._starts[index] + view.update()
                if view.height != height:
                    self._measure(index, changed)
                else:
                    self._refresh_from(changed, self._starts[index + 1])
                return

    def select(self, turn: Turn | None, index: int = 0) -> None:
        """Mark a token, and bring it into view; None marks nothing."""
        self.selected = None if turn is None else (turn, index)
        self.refresh()
        if turn is not None:
            self._unfold_at(turn, turn.starts[index])
        if turn is not None and (place := self._line_of(turn, index)) is not None:
            self._following = False
            top, height = round(self.scroll_y), self.size.height
            if place < top + 1 or place >= top + height - 1:
                self.scroll_to(y=max(0, place - height // 2), animate=False)

    def mark(self, turn: Turn | None) -> None:
        """Mark a message, and bring its beginning into view; None marks none."""
        self.marked = turn
        self._pointed = None
        self.refresh()
        if turn is not None:
            self._to_line_of(turn, 0)

    def point_at(self, turn: Turn, start: int, end: int) -> None:
        """Show characters of a message as what was searched for, and bring them into view."""
        self._pointed = turn, start, end
        self.refresh()
        self._unfold_at(turn, start)
        self._to_line_of(turn, start)

    def _to_line_of(self, turn: Turn, offset: int) -> None:
        while self._first and turn in self.turns[: self._first]:
            self._reveal()
        view = next((number for number, view in enumerate(self._views) if view.turn is turn), None)
        if view is None:
            return
        body = self._views[view].body
        bounds = [line.bounds() for line in body]
        row = max(
            (n for n, bound in enumerate(bounds) if bound is not None and bound[0] <= offset), default=0
        )
        line = self._starts[view] + (len(self._views[view].head) + row if row else 0)
        top, height = round(self.scroll_y), max(1, self.size.height)
        self._following = False
        if line < top + 1 or line + 2 >= top + height:
            self.scroll_to(y=max(0, line - height // 3), animate=False, immediate=True)

    def colour(self, measure: Measure | None) -> None:
        """Colour all tokens by a measure; None colours none but those of the turn that one walks over."""
        self.measure = measure
        self.refresh()

    def flip_attachments(self, turn: Turn, number: int | None = None) -> None:
        """Open an attachment of a message or fold it again; None: all of them."""
        quoted_files.flip(turn, number)
        self.grew(turn)

    def _unfold_at(self, turn: Turn, offset: int) -> None:
        """Open the attachment in which a character stands: what one looks at can be seen."""
        number = quoted_files.at(turn, offset) if turn.role == "user" else None
        if number is not None and number not in turn.unfolded:
            self.flip_attachments(turn, number)

    def fold(self) -> None:
        """Unfold the thinking of all replies, or fold it again."""
        self.unfolded = not self.unfolded
        self._lay_out()

    def follow(self) -> None:
        """Go to the end and stay there."""
        self._following = True
        self._to_end()

    def page(self, direction: int) -> None:
        """Scroll by a page."""
        self.scroll_to(y=self.scroll_y + direction * max(1, self.size.height - 2), animate=False)

    @property
    def following(self) -> bool:
        """Whether the end is kept in view."""
        return self._following

    # --- lines ------------------------------------------------------------------------------------------

    @property
    def _text_width(self) -> int:
        return max(16, min(WIDEST, self.size.width - 2 * MARGIN))

    @property
    def _left(self) -> int:
        return max(MARGIN, (self.size.width - self._text_width) // 2)

    def _lay_out(self) -> None:
        if not self.size.width:
            return
        self._views = [
            TurnView(turn, self._text_width, unfolded=self.unfolded) for turn in self.turns[self._first :]
        ]
        self._measure(0)

    def _measure(self, index: int, changed: int | None = None) -> None:
        """Line numbers from view `index` on."""
        heights = [view.height for view in self._views[index:]]
        self._starts[index:] = accumulate(heights, initial=self._starts[index] if index else TOP)
        height = self._starts[-1]
        if self.virtual_size.height != height:
            # Setting it would arrange the whole screen anew, for a line more in here.
            shrinks = height < self.virtual_size.height
            self.set_reactive(TurnList.virtual_size, Size(self.size.width, height))
            if shrinks or not self.show_vertical_scrollbar or self._thumb_moved():
                self._scroll_update(self.virtual_size)
        self._refresh_from(self._starts[index] if changed is None else changed, height + self.size.height)
        if self._following:
            self._to_end()

    def _thumb_moved(self) -> bool:
        """Whether the scroll bar is to be drawn: while a reply grows, it rarely moves by a whole cell."""
        room, lines = self.size.height, max(1, self.virtual_size.height)
        length = max(1.0, room * room / lines)
        top = max(0.0, room - length) * self.scroll_y / max(1, lines - room)
        before, self._thumb = self._thumb, (round(top), round(top + length))
        grows = bool(self.turns) and self.turns[-1].live
        return before != self._thumb or not grows

    def _to_end(self) -> None:
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True, immediate=True)

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        """Draw again; without regions every line may be another one."""
        if not regions:
            self._strips.clear()
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def _refresh_from(self, first: int, end: int) -> None:
        self._strips = {number: strip for number, strip in self._strips.items() if not first <= number < end}
        top = max(0, first - round(self.scroll_y))
        bottom = min(self.size.height, end - round(self.scroll_y))
        if bottom > top:
            self.refresh(Region(0, top, self.size.width, bottom - top))

    def _at(self, y: int) -> tuple[TurnView, int] | None:
        index = bisect_right(self._starts, y) - 1
        if y < 0 or not 0 <= index < len(self._views):
            return None
        return self._views[index], y - self._starts[index]

    def _line_of(self, turn: Turn, index: int) -> int | None:
        """The line on which a token stands, or the one behind which its hidden text does."""
        start, end = turn.span(index)
        for number, view in enumerate(self._views):
            if view.turn is turn:
                best = 0
                for row, line in enumerate(view.body):
                    bounds = line.bounds()
                    if bounds is not None and bounds[0] < max(end, start + 1):
                        best = row
                return self._starts[number] + len(view.head) + best
        return None

    # --- drawing ----------------------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Some lines of the view, as they are written to the terminal.

        A line that is only elsewhere now is the same strip as before, so that nothing about it is done anew;
        Textual's own way begins with the strips of a widget's rows, which are all others after a scroll.
        """
        styles = self.styles
        if styles.gutter.totals != (0, 0) or self.opacity != 1 or styles.tint.a or styles.text_opacity != 1:
            return super().render_lines(crop)
        background = self.background_colors[1]
        strips = [self.render_line(y) for y in crop.line_range]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, background) for strip in strips]
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def render_line(self, y: int) -> Strip:
        """One line of the view."""
        number = y + round(self.scroll_y)
        strip = self._strips.get(number)
        if strip is None:
            if len(self._strips) > MOST_STRIPS:
                self._strips.clear()
            strip = self._strips[number] = self._draw(number)
        return strip

    def _draw(self, number: int) -> Strip:
        width = self.size.width
        place = self._at(number)
        base = self._paint.base
        if place is None:
            return Strip.blank(width, base)
        view, index = place
        line, indented = view.line(index)
        user = view.turn.role == "user" and index < view.height - 1
        background = self._paint.user if user else base
        chosen = view.turn is self.marked and index < view.height - 1
        bar = background + Style(bold=True) if chosen else self._paint.user_bar if user else base
        left = Segment(" " * (self._left - 2), base)
        segments = [left, Segment("█ " if chosen else "▌ " if user else "  ", bar)]
        if self._pointed is not None and self._pointed[0] is view.turn:
            line = line.marked(*self._pointed[1:])
        if indented and not (user and not line.spans):
            segments.append(Segment(" " * INDENT, background))
        marked = self._marks(view.turn)
        if view.spark is not None and index == len(view.head) + len(view.body):
            line = view.spark_line(marked)
        measure = self.measure or ("surprisal" if marked is not None else None)
        segments += self._paint.line(line, view.turn, background, marked, measure)
        if view.turn.live and index == len(view.head) + max(0, len(view.body) - 1):
            if not view.body:
                segments.append(Segment(" " * INDENT, base))
            segments.append(Segment("▌", self._paint.caret))
        used = sum(segment.cell_length for segment in segments)
        right = self._left + self._text_width
        fill = self._paint.style(line.fill) if line.fill else background
        segments.append(Segment(" " * max(0, right - used), background + fill))
        strip = Strip(segments).crop_extend(0, width, base)
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(number)) is not None:
            strip = self._paint.selected(strip, *span)
        return strip.apply_offsets(0, number)

    def _marks(self, turn: Turn) -> int | None:
        """The selected token of `turn`, if one of it is selected."""
        if self.selected is None or self.selected[0] is not turn:
            return None
        return self.selected[1]

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The words under a selection made with the mouse, without the margin."""
        lines = []
        for number in range(self._starts[-1]):
            place = self._at(number)
            line, indented = place[0].line(place[1]) if place else (Line(), False)
            lines.append(" " * (self._left + (INDENT if indented else 0)) + line.text)
        words = selection.extract("\n".join(lines))
        margin = " " * (self._left + INDENT)
        return "\n".join(line.removeprefix(margin) for line in words.split("\n")), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Draw the selection."""
        self.refresh()

    # --- scrolling --------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """Other width: lay out anew, and keep the words that were at the top there."""
        if self._views and self._views[0].width == self._text_width:
            self._measure(0)
            return
        place = self._at(round(self.scroll_y))
        self._lay_out()
        if not self._following and place is not None:
            turns = [view.turn for view in self._views]
            if place[0].turn in turns:
                new = turns.index(place[0].turn)
                share = place[1] / max(1, place[0].height)
                y = self._starts[new] + round(share * self._views[new].height)
                self.scroll_to(y=y, animate=False, immediate=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolled: up lets go of the end, back at the end takes hold of it again."""
        if self._thumb_moved():
            super().watch_scroll_y(old_value, new_value)
        elif round(old_value) != round(new_value):
            self.refresh(self.size.region)
        if not self.is_mounted:
            return
        if not new_value:
            self.vertical_scrollbar.position = 0  # also while nobody sees it: it may come back
        self._following = round(new_value) >= self.max_scroll_y
        if new_value < self.size.height and self._first:
            self.call_later(self._reveal)

    def _reveal(self) -> None:
        """Lay out more of the turns before; what is on the screen stays where it is."""
        before = max(0, self._first - AT_ONCE)
        views = [
            TurnView(t, self._text_width, unfolded=self.unfolded) for t in self.turns[before : self._first]
        ]
        self.post_message(messages.TurnsShown(self.turns[before : self._first]))
        self._first = before
        self._views[:0] = views
        following, y = self._following, self.scroll_y
        self._following = False
        self._measure(0)
        self._following = following
        self.scroll_to(y=y + sum(view.height for view in views), animate=False, immediate=True)
