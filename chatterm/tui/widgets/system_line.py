"""The system prompt of the conversation, folded into one line above it."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from chatterm import inert
from chatterm.language import _
from chatterm.tui.text import bars
from chatterm.tui.text.lines import FAINT, MUTED
from chatterm.tui.widgets.paint import Paint


class SystemLine(Widget):
    """Its first words; a click opens it whole. Not there without a system prompt."""

    DEFAULT_CSS = """
    SystemLine { height: 1; display: none; background: $background; padding: 0 2; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._text = ""
        self._paint = Paint(self)

    def show(self, text: str) -> None:
        """Show this; nothing hides the line."""
        if text != self._text:
            self._text = text
            self.display = bool(text.strip())
            self.refresh()

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()

    def render_line(self, y: int) -> Strip:
        """The only line."""
        base, room = self.rich_style, self.size.width
        name = "▸ " + _("system prompt") + "  "
        words = inert.line(" ".join(self._text.split()))
        segments = [
            Segment(name, base + self._paint.style(MUTED)),
            Segment(bars.fit(words, max(0, room - cell_len(name))), base + self._paint.style(MUTED)),
        ]
        if room < cell_len(name):
            segments = [Segment("▸", base + self._paint.style(FAINT))]
        return Strip(segments).crop_extend(0, room, base)

    async def on_click(self) -> None:
        """Open it."""
        await self.screen.run_action("edit_system_prompt")
