"""Other words for a message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static, TextArea

from chatterm.errors import UserError
from chatterm.language import _
from chatterm.tui import keys
from chatterm.tui.dialogs.dialog import Dialog


class Words(TextArea):
    """Enter is done; ctrl+j is a new line, as where messages are written."""

    async def _on_key(self, event: events.Key) -> None:
        action = keys.pressed("editing", event.key)
        if action is None:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()  # the text area would take it for itself
        await self.screen.run_action(action)


Check = Callable[[str], Awaitable[None]]
"""Raises a `UserError` where a text cannot be taken."""


class EditScreen(Dialog[str]):
    """Answers with the text exactly as it was left, spaces and all; None if the user goes back.

    What cannot be taken is said here, while the text still stands in the editor.
    """

    DEFAULT_CSS = """
    EditScreen {
        & > .box { height: 80%; }
        & Static { color: $text-muted; height: auto; margin-bottom: 1; }
        & Words { height: 1fr; border: none; background: $panel; padding: 0 1; scrollbar-size-vertical: 1; }
        & Words:focus { border: none; }
        & Words .text-area--cursor-line { background: transparent; }
    }
    """
    SCOPE = "editing"
    CLOSED_FROM_BESIDE = False
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("editing")

    def __init__(self, title: str, note: str, text: str, check: Check) -> None:
        super().__init__()
        self._title = title
        self._note = note
        self._text = text
        self._check = check

    def compose(self) -> ComposeResult:
        """The words, the cursor at their end."""
        with Vertical(classes="box") as box:
            box.border_title = self._title
            box.border_subtitle = _("enter goes on from here · ctrl+j new line · esc back")
            yield Static(self._note, markup=False)
            yield Words(self._text, soft_wrap=True, show_line_numbers=False, tab_behavior="focus")

    async def action_go_on(self) -> None:
        """Done, if it can be taken."""
        text = self.query_one(Words).text
        try:
            await self._check(text)
        except UserError as error:
            self.query_one(Static).update(error.sentence)
            return
        self.dismiss(text)

    def action_newline(self) -> None:
        """A new line."""
        self.query_one(Words).insert("\n")

    def on_mount(self) -> None:
        """At the end."""
        words = self.query_one(Words)
        words.move_cursor(words.document.end)
        words.focus()
