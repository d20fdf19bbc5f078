"""The system prompt of the conversation, in a larger editor."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static, TextArea

from chatterm.chat.session import ChatSession
from chatterm.language import _
from chatterm.tui import keys
from chatterm.tui.dialogs.dialog import Dialog


class SystemPromptScreen(Dialog[None]):
    """What is written here stands in front of this conversation from the next reply on."""

    DEFAULT_CSS = """
    SystemPromptScreen {
        & > .box { height: 80%; }
        & Static { color: $text-muted; height: auto; }
        & TextArea { height: 1fr; border: none; background: $panel; padding: 0 1; &:focus { border: none; } }
    }
    """
    SCOPE = "system_prompt"
    CLOSED_FROM_BESIDE = False
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("system_prompt")

    def __init__(self, session: ChatSession) -> None:
        super().__init__()
        self._session = session

    def compose(self) -> ComposeResult:
        """A note and the text."""
        with Vertical(classes="box") as box:
            box.border_title = _("System prompt")
            box.border_subtitle = _("ctrl+s keep · esc back")
            yield Static(_("In front of this conversation, and saved with it. Empty: none."), markup=False)
            yield TextArea(self._session.system_prompt, soft_wrap=True, tab_behavior="focus")

    def on_mount(self) -> None:
        """Write at the end."""
        area = self.query_one(TextArea)
        area.focus()
        area.move_cursor(area.document.end)

    def action_keep(self) -> None:
        """Keep what is written."""
        self._session.system_prompt = self.query_one(TextArea).text.strip()
        self.dismiss(None)
