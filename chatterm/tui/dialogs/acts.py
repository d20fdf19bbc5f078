"""What is known of a thing, and what can be done with it: facts above, acts below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple

from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from chatterm import inert
from chatterm.language import _
from chatterm.tui import keys
from chatterm.tui.dialogs.dialog import Dialog
from chatterm.tui.widgets.options import Options


class Act(NamedTuple):
    """Something that can be done; `id` is the screen's answer."""

    id: str
    says: str


class ActsScreen(Dialog[str]):
    """Answers with the id of the chosen act; None if the user goes back."""

    DEFAULT_CSS = """
    ActsScreen {
        & > .box { max-width: 90; }
        & VerticalScroll { height: auto; max-height: 60vh; scrollbar-size-vertical: 1; }
        & #facts { height: auto; }
        & #note { height: auto; margin-top: 1; }
        & #note.-none { display: none; }
        & OptionList { margin-top: 1; max-height: 8; }
    }
    """
    SCOPE = "acts"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("acts")

    def __init__(
        self, title: str, facts: Iterable[tuple[str, str]], acts: Sequence[Act], note: str = ""
    ) -> None:
        """`facts` are pairs of a name and a value, those without one are left out; `note` is a sentence."""
        super().__init__()
        self._title = title
        self._facts = [(name, value) for name, value in facts if value]
        self._acts = acts
        self._note = note

    def compose(self) -> ComposeResult:
        """Facts, a sentence, acts."""
        with Vertical(classes="box") as box:
            box.border_title = Content(inert.line(self._title))
            box.border_subtitle = _("enter do it · esc back")
            with VerticalScroll(can_focus=False):
                yield Static(self._table(), id="facts")
                yield Static(
                    Content(inert.block(self._note)), id="note", classes="" if self._note else "-none"
                )
            yield Options(*(Option(Content(act.says), act.id) for act in self._acts))

    def on_mount(self) -> None:
        """The first act is what Enter does."""
        options = self.query_one(OptionList)
        options.highlighted = 0
        options.focus()

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, style="dim")
        table.add_column(overflow="fold")
        for name, value in self._facts:
            table.add_row(Text(name), Text(inert.line(value)))
        return table

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option_id)
