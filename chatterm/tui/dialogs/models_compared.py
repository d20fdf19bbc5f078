"""Two models side by side: how each answers the last message, and how sure it was of every token."""

from __future__ import annotations

import math
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from chatterm import inert
from chatterm.chat.comparison import Comparison, Side
from chatterm.chat.turns import Turn
from chatterm.language import _
from chatterm.tui import keys
from chatterm.tui.dialogs.dialog import Dialog
from chatterm.tui.text import bars
from chatterm.tui.text.lines import Line
from chatterm.tui.text.markdown import plain
from chatterm.tui.widgets.turn_view import ENDINGS
from chatterm.tui.widgets.two_sides import GAP, Row, TwoSides

TABLE, SHORT_TABLE = 5, 3
"""Candidates under the cursor; fewer where there is little room."""

LOW = 24
FRAME = 1 / 15
"""Seconds between two drawings while the replies grow."""


class ModelsScreen(Dialog[None]):
    """Lets both write; enter keeps the reply of the chosen side as a branch."""

    DEFAULT_CSS = """
    ModelsScreen {
        & > .box { width: 96%; max-width: 180; height: 90%; }
    }
    """
    SCOPE = "models"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("models")

    def __init__(self, comparison: Comparison) -> None:
        super().__init__()
        self._comparison = comparison
        self._left = False

    def compose(self) -> ComposeResult:
        """The two replies."""
        with Vertical(classes="box") as box:
            box.border_title = _("Two models")
            box.border_subtitle = _("tab side · ←→ token · enter keep it as a branch · esc back")
            yield Replies(self._comparison)

    def on_mount(self) -> None:
        """Begin."""
        self.query_one(Replies).focus()
        self.app.run_worker(self._comparison.run(), exit_on_error=True)
        self.set_interval(FRAME, self.query_one(Replies).follow)

    # --- keys -------------------------------------------------------------------------------------------

    def action_side(self) -> None:
        """To the other reply."""
        self.query_one(Replies).flip()

    def action_token(self, step: int) -> None:
        """To the token before or after."""
        self.query_one(Replies).step(step)

    def action_parted(self) -> None:
        """To where the replies part."""
        self.query_one(Replies).to_parted()

    def action_scroll(self, lines: int) -> None:
        """Scroll."""
        self.query_one(Replies).scroll_lines(lines)

    def action_page(self, pages: int) -> None:
        """Scroll by a page."""
        self.query_one(Replies).scroll_pages(pages)

    def action_stop(self) -> None:
        """Stop both; what was written stays to be looked at."""
        self._comparison.stop()

    def action_keep(self) -> None:
        """Keep the chosen reply as a branch."""
        side = self.query_one(Replies).chosen
        if side.turn.tokens:
            self._leave(side)

    def action_back(self) -> None:
        """To the chat; nothing is kept."""
        self._leave(None)

    def _leave(self, kept: Side | None) -> None:
        if not self._left:
            self._left = True
            self.app.run_worker(self._comparison.leave(kept), exit_on_error=True)
            self.dismiss(None)


class Replies(TwoSides):
    """Both replies, coloured by surprise; above them what each could have said at the cursor."""

    def __init__(self, comparison: Comparison) -> None:
        super().__init__()
        self._comparison = comparison
        self._side = 0
        self._cursor: int | None = None  # token of the chosen reply; None: the newest
        self._seen: tuple[object, ...] = ()
        self._lines: list[list[Line]] = [[], []]

    @property
    def chosen(self) -> Side:
        """The side with the cursor."""
        return self._comparison.sides[self._side]

    def follow(self) -> None:
        """Draw what is new."""
        comparison = self._comparison
        seen = (comparison.note, *((side.state, len(side.turn.text)) for side in comparison.sides))
        if seen != self._seen:
            self._seen = seen
            self.draw_again()
            if self._cursor is None:
                self.scroll_lines(len(self.rows))

    # --- the cursor -------------------------------------------------------------------------------------

    def flip(self) -> None:
        """To the other side, at the same place in the text."""
        place = self._place()
        self._side = 1 - self._side
        self._cursor = None if place is None else _token_at(self.chosen.turn, place)
        self._show_cursor()

    def step(self, step: int) -> None:
        """To the token before or after."""
        last = len(self.chosen.turn.tokens) - 1
        here = last if self._cursor is None else self._cursor
        if last >= 0:
            self._cursor = min(max(0, here + step), last)
            self._show_cursor()

    def to_parted(self) -> None:
        """To the first token that differs."""
        parted = self._comparison.parted
        if parted is not None:
            self._cursor = _token_at(self.chosen.turn, parted)
            self._show_cursor()

    def _place(self) -> int | None:
        """Where in the text the cursor is; None at the end."""
        return None if self._cursor is None else self.chosen.turn.starts[self._cursor]

    def _show_cursor(self) -> None:
        self.draw_again()
        place = self._place()
        if place is None:
            return
        for number, line in enumerate(self._lines_of(self._side)):
            bounds = line.bounds()
            if bounds is not None and bounds[0] <= place <= bounds[1]:
                self.keep_in_view(self.fixed + number)

    def _lines_of(self, side: int) -> list[Line]:
        return self._lines[side] if self.rows else []

    # --- drawing ----------------------------------------------------------------------------------------

    def draw(self) -> list[Row]:
        """Names and speeds, candidates, then the texts."""
        comparison = self._comparison
        sides = comparison.sides
        rows = self.sentences(self._about())
        rows.append(self.beside(self._heading(0), self._heading(1)))
        rows.append(self.beside(*([Segment(self.fit(f" {_state(side)}"), self.muted)] for side in sides)))
        tokens = (self._token(0), self._token(1))
        rows.append(
            self.beside(*(self._said(side, token) for side, token in zip(sides, tokens, strict=True)))
        )
        count = SHORT_TABLE if self.size.height < LOW else TABLE
        tables = [
            [] if token is None else self.table(side.turn.tokens[token].distribution, count)
            for side, token in zip(sides, tokens, strict=True)
        ]
        tables = [table + [[] for _row in range(count - len(table))] for table in tables]
        rows += [*self.both(*tables), []]
        self.fixed = len(rows)
        return rows + self.both(self._text(0, tokens[0]), self._text(1, tokens[1]))

    def _about(self) -> str:
        sampling, parted = self._comparison.sampling, self._comparison.parted
        values = f"T {sampling.temperature:.2f} · " + _("seed {seed}").format(seed=sampling.seed)
        sentences = [self._comparison.note] if self._comparison.note else []
        if parted is not None:
            number = (_token_at(self._comparison.sides[0].turn, parted) or 0) + 1
            sentences.append(_("They part at token {number} of the left reply.").format(number=number))
        return " · ".join(filter(None, (values, " ".join(sentences))))

    def _heading(self, side: int) -> Row:
        one = self._comparison.sides[side]
        here = side == self._side
        words = f"{'▸' if here else ' '}{inert.line(one.turn.model)}"
        speed = one.tokens_per_second
        if speed is not None:
            words += " · " + _("{speed} tok/s").format(speed=f"{speed:.1f}")
        style = self.rich_style + Style(bold=True, reverse=here)
        return [Segment(self.fit(words), style)]

    def _token(self, side: int) -> int | None:
        """The token to look at: the cursor's, and on the other side the one at the same place."""
        turn = self._comparison.sides[side].turn
        if not turn.tokens:
            return None
        if side == self._side:
            return len(turn.tokens) - 1 if self._cursor is None else min(self._cursor, len(turn.tokens) - 1)
        place = self._place()
        return len(turn.tokens) - 1 if place is None else _token_at(turn, place)

    def _said(self, side: Side, token: int | None) -> Row:
        if token is None:
            return []
        event = side.turn.tokens[token]
        place = _("token {number} of {count}").format(number=token + 1, count=len(side.turn.tokens))
        percent = bars.percent(math.exp(event.logprob)).strip()
        word = inert.token(side.turn.piece(token))
        words = " · ".join((f"“{word}”", percent, _("rank {rank}").format(rank=event.rank), place))
        return [Segment(self.fit(f" {words}"), self.rich_style)]

    def _text(self, side: int, token: int | None) -> list[Row]:
        one = self._comparison.sides[side]
        parted = self._comparison.parted
        lines = plain(one.turn.text, self.half) if one.turn.text else []
        self._lines[side] = lines
        selected = token if self._cursor is not None else None
        if parted is not None and (at := _token_at(one.turn, parted)) is not None:
            start, end = one.turn.span(at)
            lines = [line.marked(start, end) for line in lines]
        return [self._paint.line(line, one.turn, self.rich_style, selected, "surprisal") for line in lines]

    # --- the mouse --------------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """Choose a side, and a token where there is one."""
        side = 0 if event.x < self.half + GAP else 1
        self._side, self._cursor = side, None
        number = event.y + self._top - self.fixed
        lines = self._lines_of(side)
        if event.y >= self.fixed and number < len(lines):
            offset = lines[number].offset_at(event.x - side * (self.half + GAP))
            self._cursor = self.chosen.turn.token_at(offset) if offset >= 0 else None
        self.draw_again()


def _token_at(turn: Turn, offset: int) -> int | None:
    """The token at a place in the text, else the last one."""
    found = turn.token_at(offset)
    return found if found is not None or not turn.tokens else len(turn.tokens) - 1


def _state(side: Side) -> str:
    if side.state:
        return side.state
    return _(ENDINGS[side.turn.finish]) if side.turn.finish in ENDINGS else _("ends here")
