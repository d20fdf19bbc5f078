"""A question that is answered with a line of text."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from chatterm.language import _
from chatterm.tui import keys
from chatterm.tui.dialogs.dialog import Dialog


class AskScreen(Dialog[str]):
    """Answers with the text as it was typed, spaces and all; None if the user goes back."""

    DEFAULT_CSS = """
    AskScreen {
        & > .box { max-width: 70; }
        & Static { color: $text-muted; height: auto; }
        & Input { margin: 1 0; }
    }
    """
    SCOPE = "asking"
    CLOSED_FROM_BESIDE = False
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("asking")

    def __init__(self, title: str, note: str, text: str = "") -> None:
        super().__init__()
        self._title = title
        self._note = note
        self._text = text

    def compose(self) -> ComposeResult:
        """A line to type in."""
        with Vertical(classes="box") as box:
            box.border_title = self._title
            box.border_subtitle = _("enter go · esc back")
            yield Static(self._note, markup=False)
            yield Input(self._text, select_on_focus=False)

    async def action_done(self) -> None:
        """As enter in the line."""
        await self.query_one(Input).action_submit()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Done."""
        self.dismiss(event.value or None)
