"""The next-token panel: what the model was choosing between, under the model and under the sampler."""

from __future__ import annotations

import math
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from chatterm import inert
from chatterm.chat.token_view import Look
from chatterm.engine.messages import TokenEvent
from chatterm.language import _, mark
from chatterm.records.generation import Candidate
from chatterm.tui import keys, messages
from chatterm.tui.text import bars
from chatterm.tui.text.checkpoint_rules import STEPS as RULES
from chatterm.tui.text.lines import MUTED, Span
from chatterm.tui.text.wrap import wrap
from chatterm.tui.widgets.candidates import STEP_NAMES, Candidates, Row
from chatterm.tui.widgets.paint import Paint

BEGINNINGS = {"user": mark("the beginning of your message"), "assistant": mark("the beginning of the reply")}
BEGINNING = mark("the beginning of the text")
DRAWN = "▶"
CHOSEN = "›"
FOUND = "⌕"
PERCENT = 6
GAP = 2
MARGIN = 2  # cells in front of a row, for its sign
ASKED_FOR = 8
"""Rows below the last one in sight that are asked for in advance."""


class NextTokenPanel(Widget, can_focus=True):
    """Draws a `Look` line by line; its size never depends on what it shows, so that nothing flickers.

    With the focus it has a cursor, fills its whole height with candidates and asks for more as one scrolls.
    """

    DEFAULT_CSS = """
    NextTokenPanel {
        width: 46;
        height: 1fr;
        background: $surface;
        padding: 0 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("candidates")

    def __init__(self, candidates: int, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._paint = Paint(self)
        self._rows = Candidates(candidates)
        self._look: Look | None = None
        self._empty = ""
        self._vocabulary = 0
        self._lines: list[Strip] = []
        self._first_row = 0  # the line on which the candidates begin

    def show(
        self, look: Look | None, vocabulary: int = 0, empty: str = "", found: tuple[int, ...] = ()
    ) -> None:
        """Show a position; `empty` says why there is nothing. `found` are rows that were asked for."""
        same = look == self._look and found == self._rows.found
        if same and empty == self._empty and vocabulary == self._vocabulary:
            return
        before = self._look
        if before is None or look is None or (before.turn, before.index) != (look.turn, look.index):
            self._rows.rewind()
        self._look, self._empty, self._vocabulary = look, empty, vocabulary
        self._rows.show(look, found)
        self._redraw()

    def show_rows(self, candidates: int) -> None:
        """Another number of rows without the focus."""
        self._rows.usual = candidates
        self._redraw()

    @property
    def chosen(self) -> Candidate | None:
        """The candidate under the cursor."""
        return self._rows.chosen

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()
        self._lines = []
        self._redraw()

    def on_resize(self, _event: events.Resize) -> None:
        """Other width."""
        self._lines = []
        self._redraw()

    def on_focus(self) -> None:
        """The cursor appears."""
        self._redraw()
        self._ask_for_more()

    def on_blur(self) -> None:
        """The cursor goes."""
        self._rows.offset = 0
        self._redraw()

    def _redraw(self) -> None:
        """Draw anew the lines that are others now: while a reply grows, few of them are."""
        before, self._lines = self._lines, []
        if not before or not self.is_on_screen:
            self.refresh()
            return
        self._lines = self._painted()
        if len(before) != len(self._lines):
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(before, self._lines, strict=True)):
            if old != new:
                self.refresh(Region(0, y, self.size.width, 1))

    # --- acts -------------------------------------------------------------------------------------------

    def action_cursor(self, step: int) -> None:
        """To the candidate before or after."""
        self._rows.move(step, self._vocabulary)
        self._redraw()
        self._ask_for_more()

    def action_cursor_home(self) -> None:
        """To the most probable candidate."""
        self._rows.rewind()
        self._redraw()

    def page(self, direction: int) -> None:
        """By as many candidates as are in sight."""
        self.action_cursor(direction * max(1, self._room - 1))

    def action_fork(self) -> None:
        """Go on from the candidate under the cursor."""
        if self._look is not None and self._rows.chosen is not None:
            self.post_message(messages.CandidateChosen(self._rows.chosen))

    def action_write(self) -> None:
        """Go on from words of the user's own."""
        self.post_message(messages.WordsWanted())

    def action_find(self) -> None:
        """Find the rank of a word."""
        self.post_message(messages.FindWanted())

    def action_token(self, step: int) -> None:
        """Look at the token before or after."""
        self.post_message(messages.TokenStep(step))

    def action_back(self) -> None:
        """Back to the words."""
        self.post_message(messages.PanelLeft())

    def _ask_for_more(self) -> None:
        wanted = self._rows.offset + self._room + ASKED_FOR
        wanted = max(wanted, self._rows.cursor + 1)
        if self._look is not None and self.has_focus and self._rows.known < min(wanted, self._vocabulary):
            self.post_message(messages.MoreWanted(2 * wanted))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on a candidate; a click on the one that has it goes on from there."""
        row = event.y - self._first_row
        place = self._rows.at(row) if 0 <= row < self._room else None
        if place is None or self._look is None:
            return
        again = self.has_focus and place == self._rows.cursor
        self._rows.cursor = place
        if again:
            self.action_fork()
        else:
            self.post_message(messages.PanelEntered())
        self._redraw()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Further down the candidates."""
        self._scroll(event, 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Back up."""
        self._scroll(event, -3)

    def _scroll(self, event: events.MouseEvent, step: int) -> None:
        if self.has_focus:
            event.stop()
            self.action_cursor(step)

    # --- drawing ----------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One line."""
        if not self._lines:
            self._lines = self._painted()
        if y < len(self._lines):
            return self._lines[y]
        return Strip.blank(self.size.width, self.rich_style)

    def _painted(self) -> list[Strip]:
        base, width = self.rich_style, self.size.width
        return [Strip(bars.fit_row(row, width)).crop_extend(0, width, base) for row in self._draw()]

    def _head(self, state: str) -> list[Segment]:
        base = self.rich_style
        title = _("next token")
        gap = max(1, self.size.width - cell_len(title) - cell_len(state))
        return [
            Segment(title, base + Style(bold=True)),
            Segment(" " * gap, base),
            Segment(state, base + self._paint.style(MUTED)),
        ]

    def _draw(self) -> list[list[Segment]]:
        look = self._look
        if look is None:
            return [self._head(""), [], *self._words(self._empty)]
        head = [self._head(self._state(look)), self._after(look)]
        if look.distribution is None:
            return [*head, [], *self._words(self._empty or _("Asking the model what could stand here …"))]
        sums = self._sums(look)
        gap: list[list[Segment]] = [[]] if self._has_gaps else []  # low terminals need every line
        lines = [*head, *gap, self._columns(look)]
        self._first_row = len(lines)
        rows = self._rows.visible(self._room)
        cursor = self._rows.cursor if self.has_focus else None
        lines += [self._row(row, cursor) for row in rows]
        lines += [[] for _ in range(self._room - len(rows))]
        muted = self.rich_style + self._paint.style(MUTED)
        return [*lines, *gap, *([Segment(bars.fit(line, self.size.width), muted)] for line in sums)]

    def _words(self, text: str) -> list[list[Segment]]:
        muted = self.rich_style + self._paint.style(MUTED)
        return [[Segment(line.text, muted)] for line in wrap([Span(text)], max(8, self.size.width))]

    @property
    def _has_gaps(self) -> bool:
        return self.size.height >= 3 + 2 + self._rows.usual + SUMS

    @property
    def _room(self) -> int:
        """Lines for candidates."""
        used = 3 + SUMS + (2 if self._has_gaps else 0)
        room = max(3, self.size.height - used)
        return room if self.has_focus else min(room, self._rows.usual)

    @staticmethod
    def _state(look: Look) -> str:
        latest = _("following") if look.turn.live else _("last of the reply")
        return _("selected · esc follows") if look.pinned else latest

    def _after(self, look: Look) -> list[Segment]:
        muted = self.rich_style + self._paint.style(MUTED)
        before = inert.line(look.before)
        if not before:
            whose = BEGINNINGS.get(look.turn.role, BEGINNING)
            return [Segment(_(whose), muted)]
        room = self.size.width - cell_len(_("after “{text}”").format(text=""))
        return [Segment(_("after “{text}”").format(text=bars.fit_end(before, room)), muted)]

    def _geometry(self) -> tuple[int, int, int]:
        """Cells of the token, of the model's bar and of the sampled bar."""
        room = self.size.width - MARGIN - 2 * PERCENT - 2 * GAP
        token = max(8, min(20, room * 2 // 5))
        bar = max(3, (room - token) // 2)
        return room - 2 * bar, bar, bar

    def _columns(self, look: Look) -> list[Segment]:
        base = self.rich_style
        muted = base + self._paint.style(MUTED)
        token, bar, sampled = self._geometry()
        heading = _("sampled") + f" T {look.temperature:.2f}"
        if cell_len(heading) > sampled + PERCENT:
            heading = f"T {look.temperature:.2f}" if sampled + PERCENT >= 6 else "T"
        return [
            Segment(" " * (MARGIN + token + GAP), base),
            Segment(set_cell_size(_("model"), bar + PERCENT), muted),
            Segment(" " * GAP, base),
            Segment(set_cell_size(heading, sampled + PERCENT), muted),
        ]

    def _row(self, row: Row, cursor: int | None) -> list[Segment]:
        base = self.rich_style
        here = cursor is not None and row.place == cursor
        if here:
            base += Style(bgcolor=self._paint.variable("block-cursor-background"))
        muted = base + self._paint.style(MUTED)
        colour = base + self._paint.surprise(-row.logprob)
        token, bar, sampled = self._geometry()
        name = base + Style(bold=row.drawn or here)
        rank = f"{row.rank}. " if row.numbered else ""
        if row.removed_by is not None:
            name = muted + Style(strike=True, bold=row.drawn)
            colour = muted
        sign = DRAWN if row.drawn else CHOSEN if here else FOUND if row.found else " "
        segments = [
            Segment(f"{sign} ", base + Style(bold=True)),
            *self._token_cells(f"{rank}{inert.token(row.text)}", token, name, base),
            Segment(" " * GAP, base),
            Segment(bars.bar(row.p, bar), colour),
            Segment(bars.percent(row.p), muted if row.removed_by else base),
            Segment(" " * GAP, base),
        ]
        if row.removed_by is not None:
            step = _step_name(row.removed_by)
            room = sampled + PERCENT
            full = _("removed: {step}").format(step=step)
            whose = (
                [_("removed: {step} by the checkpoint").format(step=step)] if row.removed_by in RULES else []
            )
            words = next((w for w in (*whose, full, f"✕ {step}") if cell_len(w) <= room), "✕")
            return [*segments, Segment(bars.fit(words, room), muted)]
        return [
            *segments,
            Segment(bars.bar(row.sampled, sampled), colour),
            Segment(bars.percent(row.sampled), base + Style(bold=row.drawn)),
        ]

    @staticmethod
    def _token_cells(text: str, width: int, style: Style, base: Style) -> list[Segment]:
        """The token in its cells; the padding behind it is not struck through."""
        shown = bars.fit(text, width)
        text = shown.rstrip(" ")
        return [Segment(text, style), Segment(" " * (width - cell_len(text)), base)]

    def _by(self, steps: list[str]) -> str:
        """The steps that removed something; closer together where there are many."""
        ways = (_("by {steps}").format(steps=", ".join(steps)), " · ".join(steps), " ".join(steps))
        return next((way for way in ways if cell_len(way) <= self.size.width), ways[-1])

    def _sums(self, look: Look) -> list[str]:
        distribution = look.distribution
        assert distribution is not None
        removed = [
            f"{_step_name(removal.step)} {bars.percent(removal.mass).strip()}"
            for removal in distribution.removed
            if removal.tokens
        ]
        here = self._rows.drawn
        came = _("came here") if here is None else _("rank {rank} · p {p} · surprise {nats} nats").format(
            rank=here.rank,
            p=bars.percent(math.exp(here.logprob)).strip(),
            nats=f"{max(0.0, -here.logprob):.2f}",
        )  # fmt: skip
        kept, mass = bars.count(distribution.kept), bars.percent(distribution.removed_mass).strip()
        of = bars.count(self._vocabulary) if self._vocabulary else kept
        return [
            came,
            _("entropy {nats} nats").format(nats=f"{distribution.entropy:.2f}") + f" · {_how_it_came(look)}",
            _("kept {count} of {all} · removed {mass}").format(count=kept, all=of, mass=mass),
            self._by(removed) if removed else _("nothing was removed"),
            _("token {number} of {count} · position {position}").format(
                number=look.index + 1, count=len(look.turn.seen), position=distribution.position
            ),
        ]


SUMS = 5
"""Lines under the candidates."""


def _how_it_came(look: Look) -> str:
    if not isinstance(look.token, TokenEvent):
        return _("given to the model")
    if look.turn.put_there(look.index):
        return _("put there by you at T {value}").format(value=f"{look.token.temperature:.2f}")
    return _("drawn at T {value}").format(value=f"{look.token.temperature:.2f}")


def _step_name(step: str) -> str:
    """A step of the sampler; that of a saved reply may come from a file of somebody else's."""
    return _(RULES[step]) if step in RULES else STEP_NAMES.get(step) or inert.line(step)
