"""F1: the keys of the screen one is on, and how to read what it shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from chatterm.language import _, mark
from chatterm.tui import keys
from chatterm.tui.commands.table import COMMANDS
from chatterm.tui.dialogs.dialog import Dialog

LEGEND = (
    ("▶", mark("the token that was drawn; · is a space, ⏎ a new line, ⇥ a tab")),
    (mark("model"), mark("the model's own probability: the softmax of its logits, nothing else")),
    (mark("sampled"), mark("what the token was drawn from, after penalties, truncation and temperature")),
    (mark("struck out"), mark("removed by the sampler step that is named; its bar is the mass it held")),
    (mark("rank"), mark("1 is the model's most probable token")),
    (mark("entropy"), mark("how undecided the model was, in nats: 0 is certain")),
    (
        mark("colour"),
        mark(
            "how surprising a token was: -log p under 0.5, 1.5, 3, 5 nats, or over; "
            "from 3 nats on it is underlined in the text too"
        ),
    ),
)


TERM_WIDTH = 28
"""Cells for what is explained, beside the explanation."""


class Explanations(Widget):
    """Terms and what they mean, in two columns; one widget, since there are hundreds of lines of them."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"explanations--term"}
    DEFAULT_CSS = """
    Explanations {
        height: auto;
        & > .explanations--term { color: $muted; }
    }
    """

    def __init__(self, rows: Iterable[tuple[str, str]]) -> None:
        super().__init__()
        self._rows = tuple(rows)

    def render(self) -> Table:
        """The rows, wrapped to the width that there is."""
        table = Table.grid(expand=True)
        table.add_column(width=TERM_WIDTH, style=self.get_component_rich_style("explanations--term"))
        table.add_column(ratio=1)
        for term, says in self._rows:
            table.add_row(Text(term), Text(says))
        return table


class HelpScreen(Dialog[None]):
    """The keys by place, those of `scope` first."""

    DEFAULT_CSS = """
    HelpScreen {
        & > .box { height: 90%; scrollbar-size-vertical: 1; }
        & .scope { text-style: bold; margin-top: 1; }
        & .about { height: auto; margin-top: 1; }
    }
    """
    SCOPE = "help"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("help")

    def __init__(self, scope: keys.Scope = "chat") -> None:
        super().__init__()
        self._scope = scope

    def compose(self) -> ComposeResult:
        """One section for each place."""
        is_dialog = self._scope in keys.ABOUT
        others = (
            ("anywhere",) if is_dialog else tuple(s for s in keys.SCOPES if s not in (self._scope, "help"))
        )
        with VerticalScroll(classes="box") as box:
            box.border_title = _("Keys")
            box.border_subtitle = _("esc back")
            if is_dialog:
                yield Static(_(keys.ABOUT[self._scope]), classes="about")
            for scope in (self._scope, *others):
                yield from _section(
                    _(keys.SCOPES[scope]),
                    (("  ".join(map(keys.name, key.keys)), _(key.says)) for key in keys.of(scope)),
                )
            if is_dialog:
                return
            yield from _section(_("Commands"), ((command.usage, _(command.says)) for command in COMMANDS))
            yield from _section(
                _("Reading the next-token panel"), ((_(term), _(says)) for term, says in LEGEND)
            )

    def on_mount(self) -> None:
        """Arrow keys scroll."""
        self.query_one(VerticalScroll).focus()


def _section(title: str, rows: Iterable[tuple[str, str]]) -> ComposeResult:
    yield Static(title, classes="scope")
    yield Explanations(rows)
