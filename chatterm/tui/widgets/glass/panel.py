"""What the panels of the glass box have in common: a head, a scrolled body, sums below, the empty place."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.strip import Strip
from textual.widget import Widget

from chatterm import inert
from chatterm.chat.inspection import Answers, Scene
from chatterm.language import _
from chatterm.records.inspection import AnyEdit, Question
from chatterm.tui import keys, messages
from chatterm.tui.text import bars
from chatterm.tui.text.lines import FAINT, MUTED, Span
from chatterm.tui.text.wrap import wrap
from chatterm.tui.widgets.glass.shades import Shades
from chatterm.tui.widgets.paint import Paint

Row = list[Segment]
"""One line of a panel."""

WHEEL = 3


class GlassPanel(Widget, can_focus=True):
    """Draws what is known about a scene line by line; asks nothing itself.

    A view says what it needs (`questions`), draws its lines (`body`) and what stands below them (`notes`).
    Lines that belong together are kept in sight by `cursor_row`.
    """

    DEFAULT_CSS = """
    GlassPanel {
        width: 1fr;
        height: 1fr;
        background: $surface;
        padding: 0 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("glass")
    NAME: ClassVar[str] = ""
    """What the tab reads."""
    NEEDS_MOMENT: ClassVar[bool] = True
    """Whether there is nothing to show without a token."""
    HINTS: ClassVar[str] = ""
    """The keys of this view, in the last line."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.paint = Paint(self)
        self.shades = Shades(self)
        self.scene = Scene()
        self.answers = Answers()
        self.waiting = False
        self.top = 0  # first body line in sight
        self._lines: list[Strip] = []
        self._base: Style | None = None  # while the lines are as they are
        self._body_top = 0  # the line on which the body begins
        self._body_height = 0
        self._body_lines = 0

    # --- what a view is made of -------------------------------------------------------------------------

    def questions(self, scene: Scene, answers: Answers) -> list[Question[Any]]:
        """What it needs to know, the most important first."""
        raise NotImplementedError

    def body(self) -> list[Row]:
        """The lines in the middle; `self.scene` and `self.answers` say what is known."""
        raise NotImplementedError

    def notes(self) -> list[str]:
        """Lines below, always as many."""
        return []

    def cursor_row(self) -> int | None:
        """The body line to keep in sight."""
        return None

    def begin_conversation(self) -> None:
        """Another conversation is looked into from now on."""

    # --- what to show -----------------------------------------------------------------------------------

    def show(self, scene: Scene, answers: Answers) -> None:
        """Draw what is known about `scene`."""
        self.scene, self.answers = scene, answers
        self.redraw()

    def wait(self, waiting: bool) -> None:
        """Say that an answer takes its time, or no longer."""
        if waiting != self.waiting:
            self.waiting = waiting
            self.redraw()

    def redraw(self) -> None:
        """Draw anew; the size stays."""
        self._lines, self._base = [], None
        self.refresh()

    def ask(self) -> None:
        """Other answers are needed than those that are there."""
        self.redraw()
        self.post_message(messages.PanelAsks())

    def switch(self, edit: AnyEdit) -> None:
        """Switch a part of the model off, or on again."""
        self.post_message(messages.EditSwitched(edit))

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self.paint.forget()
        self.shades.forget()
        self._lines = []

    def on_resize(self, _event: events.Resize) -> None:
        """Another size may need other answers."""
        self.ask()

    def on_focus(self) -> None:
        """The cursor shows."""
        self.redraw()

    def on_blur(self) -> None:
        """The cursor steps back."""
        self.redraw()

    # --- styles -----------------------------------------------------------------------------------------

    @property
    def base(self) -> Style:
        """Ordinary text."""
        if self._base is None:
            self._base = self.rich_style
        return self._base

    @property
    def muted(self) -> Style:
        """What explains."""
        return self.base + self.paint.style(MUTED)

    @property
    def faint(self) -> Style:
        """What only separates."""
        return self.base + self.paint.style(FAINT)

    @property
    def bold(self) -> Style:
        """What counts."""
        return self.base + Style(bold=True)

    @property
    def chosen(self) -> Style:
        """Where the cursor is."""
        return self.base + Style(reverse=self.has_focus, bold=True)

    def probability(self, p: float) -> Style:
        """The colour of a probability: that of its surprise."""
        return self.base + self.paint.surprise(-math.log(p) if p > 0 else math.inf)

    # --- drawing ----------------------------------------------------------------------------------------

    @property
    def width(self) -> int:
        """Cells of a line."""
        return self.size.width

    @property
    def room(self) -> int:
        """Lines for the body."""
        return max(0, self.size.height - len(self._head()) - len(self.notes()) - len(self._hints()))

    def _hints(self) -> list[Row]:
        """The keys of this view, in as many lines as they need."""
        lines: list[str] = []
        for hint in _(self.HINTS).split(" · "):
            if lines and cell_len(lines[-1]) + 3 + cell_len(hint) <= self.width:
                lines[-1] += f" · {hint}"
            else:
                lines.append(hint)
        return [[Segment(bars.fit(line, self.width), self.muted)] for line in lines if line]

    def render_line(self, y: int) -> Strip:
        """One line."""
        if not self._lines:
            self._lines = [
                Strip(bars.fit_row(row, self.size.width)).crop_extend(0, self.size.width, self.base)
                for row in self._draw()[: self.size.height]
            ] or [Strip.blank(self.size.width, self.base)]
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width, self.base)

    def _draw(self) -> list[Row]:
        head = self._head()
        self._body_top = len(head)
        sentence = self._sentence()
        if sentence:
            self._body_height = self._body_lines = 0
            return [*head, [], *self.sentences(sentence)]
        body = self.body()
        notes: list[Row] = [[Segment(bars.fit(note, self.width), self.muted)] for note in self.notes()]
        notes += self._hints()
        height = max(0, self.size.height - len(head) - len(notes))
        self._body_height, self._body_lines = height, len(body)
        self._keep_in_sight(height, len(body))
        shown = body[self.top : self.top + height]
        shown += [[] for _ in range(height - len(shown))]
        return [*head, *shown, *notes]

    def _keep_in_sight(self, height: int, lines: int) -> None:
        row = self.cursor_row()
        if row is not None and height:
            self.top = min(max(self.top, row - height + 1), row)
        self.top = max(0, min(self.top, lines - height))

    def _head(self) -> list[Row]:
        moment = self.scene.moment
        state = "…" if self.waiting else ""
        if self.scene.edits:
            state = " ".join(filter(None, (_("model edited"), state)))
        name = _(self.NAME)
        gap = max(1, self.width - cell_len(name) - cell_len(state))
        title: Row = [Segment(name, self.bold), Segment(" " * gap + state, self.muted)]
        if not self.NEEDS_MOMENT or moment is None:
            return [title]
        came = f" → {inert.token(moment.text)}" if moment.token is not None else " → ?"
        came = bars.fit(came, min(cell_len(came), max(8, self.width // 2)))
        words = inert.line(self.scene.before)
        after = _("after “{text}”")
        room = self.width - cell_len(after.format(text="")) - cell_len(came)
        before = after.format(text=bars.fit_end(words, room)) if words else _("at the beginning")
        return [title, [Segment(before, self.muted), Segment(came, self.bold)]]

    def _sentence(self) -> str:
        """Why there is nothing to draw; "" where there is something."""
        if self.scene.why:
            return self.scene.why
        if self.NEEDS_MOMENT and self.scene.moment is None:
            return _("Looking …")
        questions = self.questions(self.scene, self.answers)
        return self.answers.trouble(questions[0]) if questions and self.NEEDS_MOMENT else ""

    def sentences(self, text: str) -> list[Row]:
        """Words of chatterm's own, in lines."""
        return [
            [Segment(line.text, self.muted)] for line in wrap([Span(inert.line(text))], max(8, self.width))
        ]

    def cells(self, text: str, width: int, style: Style) -> list[Segment]:
        """A token in exactly `width` cells; the padding has no style of its own."""
        shown = bars.fit(inert.token(text), width)
        word = shown.rstrip(" ")
        return [Segment(word, style), Segment(" " * (width - cell_len(word)), self.base)]

    # --- mouse and keys ---------------------------------------------------------------------------------

    def clicked(self, x: int, row: int) -> None:
        """A click on cell `x` of body line `row`."""

    def on_click(self, event: events.Click) -> None:
        """A click goes to the body."""
        row = event.y - self._body_top
        if 0 <= row < self._body_height:
            self.clicked(event.x - self.styles.padding.left, row + self.top)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll."""
        self._wheel(event, -1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll."""
        self._wheel(event, 1)

    def _wheel(self, event: events.MouseEvent, direction: int) -> None:
        event.stop()
        self.scroll_body(direction * WHEEL)

    def scroll_body(self, lines: int) -> None:
        """Move the body; views with a cursor move that."""
        if self.cursor_row() is not None:
            self.action_move(lines // abs(lines), 0)
            return
        self.top = max(0, min(self.top + lines, self._body_lines - self._body_height))
        self.redraw()

    def action_move(self, down: int, right: int) -> None:
        """Move the cursor, or what is in sight."""
        if down:
            self.top = max(0, min(self.top + down, self._body_lines - self._body_height))
            self.redraw()

    def action_step(self, step: int) -> None:
        """To another token of the conversation."""
        self.post_message(messages.TokenStep(step))

    def action_leave(self) -> None:
        """Back to the chat."""
        self.post_message(messages.PanelLeft())
