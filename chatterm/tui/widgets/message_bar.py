"""Choosing a message with the keys: a line that says which one it is, and takes the keys meanwhile."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.strip import Strip
from textual.widget import Widget

from chatterm import inert
from chatterm.chat.turns import Turn
from chatterm.language import _
from chatterm.tui import keys
from chatterm.tui.text.lines import MUTED
from chatterm.tui.widgets.paint import Paint


class MessageBar(Widget, can_focus=True):
    """In sight while a message is chosen."""

    DEFAULT_CSS = """
    MessageBar { height: 1; display: none; background: $panel; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("messages")

    def __init__(self) -> None:
        super().__init__()
        self._paint = Paint(self)
        self._words = ("", "")
        self.turn: Turn | None = None  # that is chosen

    def show(self, turn: Turn | None, place: int = 0, total: int = 0) -> None:
        """Say which message is chosen: number `place` of `total`; None: none is."""
        self.turn = turn
        self.display = turn is not None
        if turn is None:
            return
        who = _("you") if turn.role == "user" else inert.line(turn.model) or _("model")
        which = _("message {place} of {total}").format(place=place, total=total)
        if turn.siblings > 1:
            which += " · " + _("version {number} of {count}").format(number=turn.sibling, count=turn.siblings)
        self._words = (which, who)
        self.refresh()

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()

    def render_line(self, y: int) -> Strip:
        """The only line."""
        base = self.rich_style
        which, who = self._words
        segments = [
            Segment(which, base + Style(bold=True)),
            Segment(f" · {who}", base + self._paint.style(MUTED)),
        ]
        return Strip(segments).crop_extend(0, self.size.width, base)
