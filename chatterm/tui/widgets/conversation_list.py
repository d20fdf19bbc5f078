"""The saved conversations, or the places where something was found in them, as rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.message import Message

from chatterm import inert
from chatterm.language import _, mark
from chatterm.library import Conversation, Hit
from chatterm.tui import keys
from chatterm.tui.text import bars
from chatterm.tui.text.lines import MARK, MUTED, STRONG, Line, Span
from chatterm.tui.text.wrap import wrap
from chatterm.tui.widgets.row_list import RowList

NOTHING_SAVED = mark("Nothing has been saved yet.")
NOTHING_FOUND = mark("Nothing was found.")
SNIPPET_LINES = 2
AHEAD = 60
"""Lines under those in sight at which more rows are fetched."""
WEEK = 7


def clock() -> datetime:
    """The time on the user's wall: days begin at midnight there."""
    return datetime.now()


@dataclass
class Row:
    """A heading (neither), a conversation, or a hit in one."""

    text: str
    conversation: Conversation | None = None
    hit: Hit | None = None
    gap: bool = False  # an empty line in front

    @property
    def number(self) -> int | None:
        """Of the conversation."""
        if self.hit is not None:
            return self.hit.conversation
        return self.conversation.id if self.conversation is not None else None

    @property
    def height(self) -> int:
        """Lines."""
        if self.hit is not None:
            return SNIPPET_LINES
        return 2 if self.conversation is not None else 1 + self.gap


class ConversationList(RowList):
    """Shows rows; the sidebar around it fetches them and does what its keys ask for."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("conversations")

    class MoreWanted(Message):
        """The end of the rows comes into sight."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._rows: list[Row] = []
        self._shown: tuple[list[Row], int | None, frozenset[int]] | None = None
        self.current: int | None = None  # the conversation that is open here …
        self.elsewhere: frozenset[int] = frozenset()  # … and those that are open in other windows

    @property
    def row(self) -> Row | None:
        """Under the cursor."""
        return self._rows[self.cursor] if self.cursor >= 0 else None

    def show(self, rows: list[Row], *, keep: bool) -> None:
        """Show these. `keep`: the cursor stays on its conversation, or hit, if that is still there."""
        shown = (rows, self.current, self.elsewhere)
        if keep and shown == self._shown:
            return
        self._shown = shown
        before, was = self.row, self.cursor
        self._rows = rows
        place = next((n for n, row in enumerate(rows) if keep and _same(row, before)), None)
        if place is None:
            place = was if keep else next((n for n, row in enumerate(rows) if row.number == self.current), 0)
        self.lay_out([row.height for row in rows], place)
        if not keep:
            self.show_cursor()

    def can_choose(self, row: int) -> bool:
        """Headings are no conversations."""
        return self._rows[row].number is not None

    def cursor_moved(self) -> None:
        """Fetch more in time."""
        if self._starts[-1] - self.scroll_y - self.size.height <= AHEAD:
            self.post_message(self.MoreWanted())

    def draw(self, row: int, line: int, width: int, base: Style) -> list[Segment]:
        """A heading; a title and below it time and model; or the words around a hit."""
        shown = self._rows[row]
        muted = base + self._paint.style(MUTED)
        if shown.hit is not None:
            lines = snippet_lines(shown.hit, width - 3)
            spans = lines[line].spans if line < len(lines) else []
            pieces = [Segment(span.text, base + self._paint.style(span.style)) for span in spans]
            return [Segment("   ", base), *pieces]
        conversation = shown.conversation
        if conversation is None:
            words = "" if shown.gap and line == 0 else f" {shown.text}"
            return [Segment(bars.fit(words, width), muted + Style(bold=self._is_title(row)))]
        here = conversation.id == self.current
        elsewhere = conversation.id in self.elsewhere
        if line == 0:
            sign = " ● " if here else " ○ " if elsewhere else "   "
            return [Segment(sign, base), Segment(bars.fit(shown.text, width - 3), base + Style(bold=here))]
        facts = [_("open in another window")] if elsewhere else []
        facts += [time_of(conversation.updated, clock().date()), inert.line(conversation.model or "")]
        return [Segment(f"   {bars.fit(' · '.join(filter(None, facts)), width - 3)}", muted)]

    def _is_title(self, row: int) -> bool:
        return row + 1 < len(self._rows) and self._rows[row + 1].hit is not None


def _same(row: Row, other: Row | None) -> bool:
    if other is None or row.number is None or row.number != other.number:
        return False
    return (row.hit.message if row.hit else None) == (other.hit.message if other.hit else None)


def conversation_rows(conversations: Sequence[Conversation], today: date) -> list[Row]:
    """Conversations under headings: pinned, today, yesterday, the last week, and months before that."""
    rows: list[Row] = []
    heading = None
    for conversation in conversations:
        words = _("pinned") if conversation.pinned else day_of(conversation.updated, today)
        if words != heading:
            rows.append(Row(words, gap=bool(rows)))
            heading = words
        rows.append(Row(title_of(conversation), conversation))
    return rows


def hit_rows(titled: Sequence[Conversation], hits: Sequence[Hit]) -> list[Row]:
    """Conversations whose titles have the words, then the messages that have them, under their titles."""
    rows = [Row(_("in titles"))] if titled else []
    rows += [Row(title_of(conversation), conversation) for conversation in titled]
    rows += _grouped(hits, gap=bool(rows))
    return rows


def _grouped(hits: Sequence[Hit], *, gap: bool) -> Iterator[Row]:
    before = None
    for hit in hits:
        if hit.conversation != before:
            yield Row(inert.line(hit.title) or "…", gap=gap)
            before, gap = hit.conversation, True
        yield Row("", hit=hit)


def title_of(conversation: Conversation) -> str:
    """As it is shown; never empty."""
    return inert.line(conversation.title) or "…"


def _moment(moment: float) -> datetime | None:
    """Where no calendar has it, None: clocks go wrong, and files of other programs say anything."""
    try:
        return datetime.fromtimestamp(moment)
    except (ValueError, OverflowError, OSError):
        return None


def day_of(moment: float, today: date) -> str:
    """The day of a time as people say it."""
    then = _moment(moment)
    if then is None:
        return "–"
    day = then.date()
    ago = (today - day).days
    if ago <= 0:
        return _("today")
    if ago == 1:
        return _("yesterday")
    return _("the last seven days") if ago < WEEK else day.strftime("%Y-%m")


def time_of(moment: float, today: date) -> str:
    """The time; and the day, where the heading does not say it."""
    then = _moment(moment)
    return (
        "" if then is None else then.strftime("%H:%M" if (today - then.date()).days <= 1 else "%m-%d %H:%M")
    )


def snippet_lines(hit: Hit, width: int) -> list[Line]:
    """The words around the first hit on `SNIPPET_LINES` lines, what was searched for marked."""
    text = inert.line(hit.snippet)
    first = hit.spans[0][0] if hit.spans else 0
    begin = max(0, first - max(6, width // 3))
    while begin > 0 and begin < first and not text[begin - 1].isspace() and text[begin].isascii():
        begin += 1
    spans, place = [], begin
    for start, end in hit.spans:
        if start >= place:
            spans += [Span(text[place:start], place, MUTED), Span(text[start:end], start, MARK | STRONG)]
            place = end
    spans.append(Span(text[place:], place, MUTED))
    lead = [Span("…", style=MUTED)] if begin else []
    lines = wrap(spans, max(8, width), lead, [])
    return lines[:SNIPPET_LINES]
