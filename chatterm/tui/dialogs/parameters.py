"""The sampling values, over the chat; what is turned here works at once."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from chatterm.chat.session import ChatSession
from chatterm.language import _
from chatterm.tui import keys, messages
from chatterm.tui.dialogs.dialog import Dialog
from chatterm.tui.widgets.knob_table import KnobTable
from chatterm.tui.widgets.knobs import BY_FIELD


class ParametersScreen(Dialog[None]):
    """Lies at the top, under the control bar, so that the reply and the panel stay in sight."""

    DEFAULT_CSS = """
    ParametersScreen {
        align: left top;
        background: $background 0%;
        & > .box { width: 78; max-width: 100%; margin-top: 1; }
    }
    """
    SCOPE = "parameters"
    BINDINGS: ClassVar[list[BindingType]] = [
        binding for binding in keys.bindings("parameters") if ".back" in str(binding)
    ]

    def __init__(self, session: ChatSession, field: str = "temperature") -> None:
        super().__init__()
        self._session = session
        self._field = field

    def compose(self) -> ComposeResult:
        """The table."""
        with Vertical(classes="box") as box:
            box.border_title = _("Sampling")
            box.border_subtitle = _("↑↓ choose · ←→ turn · digits write · r model's own · esc back")
            yield KnobTable(self._session.values, self._field)

    @on(messages.Nudged)
    def _nudged(self, event: messages.Nudged) -> None:
        knob = BY_FIELD[event.field]
        self._change(event.field, knob.turned(knob.value(self._session.values.sampling), event.steps))

    @on(messages.ValueChosen)
    def _chosen(self, event: messages.ValueChosen) -> None:
        self._change(event.field, event.value)

    def _change(self, field: str, value: float) -> None:
        table = self.query_one(KnobTable)
        try:
            self._session.change(**{field: value})
        except msgspec.ValidationError as error:
            table.refuse(_("{value} is not possible here: {error}.").format(value=f"{value:g}", error=error))
        table.refresh()

    @on(messages.Reset)
    def _reset(self, event: messages.Reset) -> None:
        if event.seed_only:
            self._session.free_seed()
        else:
            self._session.reset_sampling()
        self.query_one(KnobTable).refresh()
