"""Settings: one row for each field of the schema, with its value, where it comes from, and what it means."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, cast, get_args, get_origin, get_type_hints

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from chatterm import inert, paths
from chatterm.errors import UserError
from chatterm.language import _, mark
from chatterm.settings import (
    Settings,
    Source,
    from_text,
    load_settings,
    save_setting,
    settings_file,
    source,
    to_text,
    variable,
)
from chatterm.tui import keys, themes
from chatterm.tui.dialogs.dialog import Dialog
from chatterm.tui.terminal import editor
from chatterm.tui.terminal.suspended import LendingApp
from chatterm.tui.text import bars
from chatterm.tui.widgets.options import Options

TITLE = 20
VALUE = 30
SOURCES: dict[Source, str] = {
    "default": mark("default"),
    "file": mark("file"),
    "environment": mark("environment"),
    "flag": mark("command line"),
}
LATER = mark("It holds from the next start on.")
AT_ONCE = frozenset({"theme", "language", "candidates", "next_token_panel", "keys"})
"""Fields whose new value is seen at once."""

Apply = Callable[[Settings, str], str]
"""Takes new settings and the field that changed, makes it hold, and returns what there is to say about it."""


class Row:
    """A field of the schema, as far as the screen needs it."""

    def __init__(self, name: str, hint: Any) -> None:
        self.name = name
        kind, *meta = get_args(hint)
        about = meta[0]
        self.title: str = about.title or name
        self.says: str = about.description or ""
        self.choices: tuple[object, ...] = ()
        if kind is bool:
            self.choices = (False, True)
        elif get_origin(kind) is Literal:
            self.choices = get_args(kind)
        elif name == "theme":
            self.choices = themes.CHOICES
        bounds = [
            f"≥ {about.ge}" if about.ge is not None else "",
            f"≤ {about.le}" if about.le is not None else "",
        ]
        self.bounds = ", ".join(filter(None, bounds))

    def matches(self, words: str) -> bool:
        """Whether the row speaks of these words."""
        texts = (self.name, self.title, self.says, _(self.title), _(self.says), variable(self.name))
        return all(any(word in text.lower() for text in texts) for word in words.lower().split())


def rows() -> tuple[Row, ...]:
    """One for each field, in the order of the schema."""
    hints = get_type_hints(Settings, include_extras=True)
    return tuple(Row(name, hints[name]) for name in Settings.__struct_fields__)


class SettingsScreen(Dialog[None]):
    """What is changed here is written to the file and holds at once where that can be."""

    DEFAULT_CSS = """
    SettingsScreen {
        & > .box { height: 90%; max-width: 110; }
        & #search { margin-bottom: 1; }
        & OptionList { height: 1fr; }
        & #says { height: auto; max-height: 5; color: $muted; margin-top: 1; }
        & #value { display: none; margin-top: 1; }
        & #value.-on { display: block; }
        & #trouble { height: auto; display: none; text-style: bold; }
        & #trouble.-on { display: block; }
    }
    """
    SCOPE = "settings"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("settings")

    def __init__(self, settings: Settings, apply: Apply) -> None:
        super().__init__()
        self._settings = settings
        self._apply = apply
        self._rows = rows()
        self._editing: Row | None = None
        self._explained: Row | None = None

    def compose(self) -> ComposeResult:
        """Search, the list, what the chosen row means, and a line to write its value in."""
        with Vertical(classes="box"):
            yield Input(id="search")
            yield Options()
            yield Static("", id="says")
            yield Input(id="value", select_on_focus=False)
            yield Static("", id="trouble")

    def on_mount(self) -> None:
        """Arrow keys walk over the rows."""
        self._name_things()
        self._list()
        self.query_one(OptionList).focus()

    def on_resize(self) -> None:
        """Other width."""
        self._list()

    def _name_things(self) -> None:
        box = self.query_one(".box")
        box.border_title = _("Settings")
        box.border_subtitle = _("enter change · ←→ other · del default · / search · o open file · esc back")
        self.query_one("#search", Input).placeholder = _("Search")

    # --- the list ---------------------------------------------------------------------------------------

    def _list(self) -> None:
        options = self.query_one(OptionList)
        chosen = self._chosen
        words = self.query_one("#search", Input).value
        shown = [row for row in self._rows if row.matches(words)]
        options.clear_options()
        options.add_options(Option(self._line(row), row.name) for row in shown)
        if not shown:
            options.add_option(Option(_("Nothing here speaks of that."), disabled=True))
        names = [row.name for row in shown]
        place = names.index(chosen.name) if chosen is not None and chosen.name in names else 0
        options.highlighted = place if shown else None
        self._explain()

    @property
    def _chosen(self) -> Row | None:
        option = self.query_one(OptionList).highlighted_option
        name = option.id if option is not None else None
        return next((row for row in self._rows if row.name == name), None)

    def _line(self, row: Row) -> Content:
        width = max(20, min(110, self.app.size.width * 9 // 10) - 6)
        value = self._shown(row)
        came = _(SOURCES[self._source(row)])
        room = max(8, min(VALUE * 2, width - TITLE - 2 - 18))
        return (
            Content(bars.fit(_(row.title), TITLE) + "  ")
            + Content.styled(bars.fit(value, room), "bold" if came != _("default") else "")
            + Content.styled(f"  {came}", "$muted")
        )

    def _shown(self, row: Row) -> str:
        return _in_words(row.name, getattr(self._settings, row.name))

    def _source(self, row: Row) -> Source:
        try:
            return source(self._settings, row.name)
        except UserError:
            return "flag"  # the file was damaged meanwhile; what holds no longer stands anywhere

    def _explain(self) -> None:
        row = self._chosen
        if row is None:
            self.query_one("#says", Static).update("")
            return
        parts = [_(row.says)]
        if row.choices:
            parts.append(" · ".join(_in_words(row.name, choice) for choice in row.choices))
        elif row.bounds:
            parts.append(row.bounds)
        if row.name not in AT_ONCE:
            parts.append(_(LATER))
        name = variable(row.name)
        parts.append(
            _("{name} is set, and wins over the file.").format(name=name) if name in os.environ else name
        )
        self.query_one("#says", Static).update(Content("\n".join((" ".join(parts[:1]), *parts[1:]))))

    @on(OptionList.OptionHighlighted)
    def _highlighted(self) -> None:
        row = self._chosen
        if row is not self._explained:  # the list was not only drawn anew
            self._explained = row
            self._stop_editing()
            self._say("")
        self._explain()

    @on(Input.Changed, "#search")
    def _searched(self) -> None:
        self._list()

    @on(Input.Submitted, "#search")
    def _found(self) -> None:
        self.query_one(OptionList).focus()

    # --- changing ---------------------------------------------------------------------------------------

    @on(OptionList.OptionSelected)
    def _wanted(self) -> None:
        row = self._chosen
        if row is None:
            return
        if row.choices:
            self._turn(row, 1)
            return
        self._editing = row
        line = self.query_one("#value", Input)
        line.set_class(True, "-on")
        line.value = to_text(row.name, getattr(self._settings, row.name))
        line.cursor_position = len(line.value)
        line.focus()

    def action_turn(self, step: int) -> None:
        """The next or previous of the values that there are."""
        row = self._chosen
        if row is not None and row.choices:
            self._turn(row, step)

    def _turn(self, row: Row, step: int) -> None:
        value = getattr(self._settings, row.name)
        place = row.choices.index(value) if value in row.choices else -step
        self._put(row, row.choices[(place + step) % len(row.choices)])

    def action_default(self) -> None:
        """Back to the default."""
        row = self._chosen
        if row is not None:
            self._put(row, getattr(Settings(), row.name))

    @on(Input.Submitted, "#value")
    def _written(self, event: Input.Submitted) -> None:
        row = self._editing
        if row is None:
            return
        try:
            value = from_text(row.name, event.value)
        except UserError as error:
            self._say(error.sentence)
            return
        if self._put(row, value):
            self._stop_editing()

    def _put(self, row: Row, value: object) -> bool:
        changed = msgspec.structs.replace(self._settings, **{row.name: value})
        try:
            save_setting(row.name, value)
        except UserError as error:
            self._say(error.sentence)
            return False
        self._settings = changed
        said = self._apply(changed, row.name)
        if variable(row.name) in os.environ:
            said = _("{name} is set, and wins again at the next start.").format(name=variable(row.name))
        self._name_things()
        self._list()
        self._say(said)
        return True

    def _stop_editing(self) -> None:
        line = self.query_one("#value", Input)
        self._editing = None
        if line.has_class("-on"):
            line.set_class(False, "-on")
            self.query_one(OptionList).focus()

    def _say(self, sentence: str) -> None:
        trouble = self.query_one("#trouble", Static)
        trouble.set_class(bool(sentence), "-on")
        trouble.update(Content(inert.line(sentence)))

    # --- keys -------------------------------------------------------------------------------------------

    def action_search(self) -> None:
        """Look for a setting."""
        self.query_one("#search", Input).focus()

    def action_back(self) -> None:
        """Leave the line, the search, then the screen."""
        if self._editing is not None:
            self._say("")
            self._stop_editing()
        elif self.query_one("#search", Input).has_focus:
            self.query_one("#search", Input).value = ""
            self.query_one(OptionList).focus()
        else:
            self.dismiss(None)

    def action_open_file(self) -> None:
        """Open the file in the user's editor, and read it again afterwards."""
        file = settings_file()
        if editor.is_named():
            self.run_worker(self._open_file(file), group="editor", exit_on_error=True)
        else:
            self._say(_("Set $EDITOR to your editor; the file is {file}.").format(file=file))

    async def _open_file(self, file: Path) -> None:
        try:
            with contextlib.suppress(OSError):  # the editor says it better
                paths.make_private(file.parent)
            await editor.open_file(cast(LendingApp, self.app), file)
        except UserError as error:
            self._say(error.sentence)
            return
        self._read_again()

    def _read_again(self) -> None:
        try:
            fresh = load_settings()
        except UserError as error:
            self._say(error.sentence)
            return
        before, self._settings = self._settings, fresh
        said = [
            self._apply(fresh, row.name)
            for row in self._rows
            if getattr(before, row.name) != getattr(fresh, row.name)
        ]
        self._name_things()
        self._list()
        self._say(next(filter(None, said), ""))


def _in_words(name: str, value: object) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return inert.line(to_text(name, value)) or "–"
