"""Other words for a message."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static, TextArea

from chatterm.language import _
from chatterm.tui.screens.dialog import Dialog

NEWLINE_KEYS = ("ctrl+j", "shift+enter", "alt+enter")


class Words(TextArea):
    """Enter is done; ctrl+j is a new line, as where messages are written."""

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter" or event.key in NEWLINE_KEYS:
            event.stop()
            event.prevent_default()
            if event.key == "enter":
                self.screen.dismiss(self.text)
            else:
                self.insert("\n")
            return
        await super()._on_key(event)


class EditScreen(Dialog[str]):
    """Answers with the text exactly as it was left, spaces and all; None if the user goes back."""

    DEFAULT_CSS = """
    EditScreen {
        & > .box { height: 80%; }
        & Static { color: $text-muted; height: auto; margin-bottom: 1; }
        & Words { height: 1fr; border: none; background: $panel; padding: 0 1; scrollbar-size-vertical: 1; }
        & Words:focus { border: none; }
        & Words .text-area--cursor-line { background: transparent; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "Back", show=False)]

    def __init__(self, title: str, note: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._note = note
        self._text = text

    def compose(self) -> ComposeResult:
        """The words, the cursor at their end."""
        with Vertical(classes="box") as box:
            box.border_title = self._title
            box.border_subtitle = _("enter goes on from here · ctrl+j new line · esc back")
            yield Static(self._note, markup=False)
            yield Words(self._text, soft_wrap=True, show_line_numbers=False, tab_behavior="focus")

    def on_mount(self) -> None:
        """At the end."""
        words = self.query_one(Words)
        words.move_cursor(words.document.end)
        words.focus()
