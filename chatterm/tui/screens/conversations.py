"""Earlier conversations, to go on with one of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from chatterm import inert
from chatterm.library import Conversation
from chatterm.tui import bars, keys
from chatterm.tui.screens.dialog import Dialog

TITLE_WIDTH = 46


class ConversationsScreen(Dialog[int]):
    """Dismissed with the number of the conversation, or None."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("conversations")

    def __init__(self, conversations: Sequence[Conversation]) -> None:
        super().__init__()
        self._conversations = conversations

    def compose(self) -> ComposeResult:
        """The list, newest first."""
        options = [Option(_row(conversation), str(conversation.id)) for conversation in self._conversations]
        with Vertical(classes="box") as box:
            box.border_title = "Earlier conversations"
            box.border_subtitle = "enter opens · esc back"
            yield OptionList(*(options or [Option("Nothing has been saved yet.", disabled=True)]))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(int(event.option_id or 0))


def _row(conversation: Conversation) -> Content:
    title = bars.fit(inert.line(conversation.title) or "…", TITLE_WIDTH)
    when = datetime.fromtimestamp(conversation.updated).strftime("%Y-%m-%d %H:%M")
    model = inert.line(conversation.model or "")
    assert cell_len(title) == TITLE_WIDTH
    return Content(f"{title}  ") + Content.styled(f"{when}  {model}", "$muted")
