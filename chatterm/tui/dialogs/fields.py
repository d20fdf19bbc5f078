"""A few lines to fill in, over the chat."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from chatterm.language import _
from chatterm.tui import keys
from chatterm.tui.dialogs.dialog import Dialog


class Field(NamedTuple):
    """One line: its name, what stands in it at first, and a word on what belongs there."""

    name: str
    value: str = ""
    hint: str = ""


class FieldsScreen(Dialog[tuple[str, ...]]):
    """Enter in the last field gives their texts, exactly as typed; escape gives nothing."""

    DEFAULT_CSS = """
    FieldsScreen {
        & > .box { max-width: 72; }
        & Input { margin-bottom: 1; }
        & Static { color: $muted; height: auto; }
    }
    """
    SCOPE = "asking"
    CLOSED_FROM_BESIDE = False
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("asking")

    def __init__(self, title: str, fields: tuple[Field, ...]) -> None:
        super().__init__()
        self._title = title
        self._fields = fields

    def compose(self) -> ComposeResult:
        """Names above their lines."""
        with Vertical(classes="box") as box:
            box.border_title = self._title
            box.border_subtitle = _("enter next, then done · esc back")
            for field in self._fields:
                yield Static(Content(f"{field.name} · {field.hint}" if field.hint else field.name))
                yield Input(field.value)

    async def action_done(self) -> None:
        """As enter in the line."""
        if isinstance(self.focused, Input):
            await self.focused.action_submit()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        inputs = list(self.query(Input))
        place = inputs.index(event.input)
        if place + 1 < len(inputs):
            inputs[place + 1].focus()
        else:
            self.dismiss(tuple(one.value for one in inputs))
