"""Presets: to be looked at, taken, saved, renamed and deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from chatterm import inert
from chatterm.chat.session import ChatSession
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.presets import Preset, delete_preset, load_presets, rename_preset, save_preset
from chatterm.tui import keys
from chatterm.tui.commands.presets import apply, in_force
from chatterm.tui.dialogs.dialog import Dialog
from chatterm.tui.dialogs.fields import Field, FieldsScreen
from chatterm.tui.text import bars
from chatterm.tui.widgets.options import Options

NAME_WIDTH = 20


class PresetsScreen(Dialog[None]):
    """Enter takes the preset under the cursor for this conversation; below the list one sees what it is."""

    DEFAULT_CSS = """
    PresetsScreen {
        & OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
        & #preview { height: auto; max-height: 50%; margin-top: 1; overflow-y: auto; }
        & #told { height: auto; color: $text-muted; }
    }
    """
    SCOPE = "presets"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("presets")

    def __init__(self, session: ChatSession) -> None:
        super().__init__()
        self._session = session
        self._presets: tuple[Preset, ...] = ()
        self._deleted: Preset | None = None

    def compose(self) -> ComposeResult:
        """The list, and what the chosen one is."""
        with Vertical(classes="box") as box:
            box.border_title = _("Presets")
            box.border_subtitle = _("enter take · s save · r rename · d delete · u undo · esc back")
            yield Options()
            yield Static(id="preview", markup=False)
            yield Static(id="told", markup=False)

    def on_mount(self) -> None:
        """Fill it."""
        self._fill()
        self.query_one(OptionList).focus()

    def _fill(self, chosen: str = "") -> None:
        found = load_presets()
        self._presets = found.presets
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(_row(preset)) for preset in self._presets])
        names = [preset.name for preset in self._presets]
        options.highlighted = names.index(chosen) if chosen in names else 0 if names else None
        self._tell(" ".join(found.problems))

    def _tell(self, sentence: str) -> None:
        self.query_one("#told", Static).update(sentence)

    @property
    def _chosen(self) -> Preset | None:
        place = self.query_one(OptionList).highlighted
        return self._presets[place] if place is not None and place < len(self._presets) else None

    @on(OptionList.OptionHighlighted)
    def _preview(self) -> None:
        preset = self._chosen
        self.query_one("#preview", Static).update(_described(preset) if preset is not None else "")

    @on(OptionList.OptionSelected)
    def _take(self) -> None:
        preset = self._chosen
        if preset is None:
            return
        try:
            apply(self._session, preset)
        except UserError as error:
            self._tell(error.sentence)
            return
        self.dismiss(None)
        self.app.notify(
            _("The preset {name} is in force in this conversation.").format(name=inert.line(preset.name)),
            markup=False,
        )

    def action_save(self) -> None:
        """Save what is in force under a name."""
        fields = (
            Field(_("Name"), "", _("letters, digits, spaces, - and _")),
            Field(_("Description"), "", _("may be empty")),
        )
        self.app.push_screen(FieldsScreen(_("Save what is in force"), fields), self._save)

    def _save(self, values: tuple[str, ...] | None) -> None:
        if values is not None:
            name, description = values
            preset = in_force(self._session, name.strip(), description.strip())
            self._do(lambda: save_preset(preset), preset.name)

    def action_rename(self) -> None:
        """Give the chosen one another name."""
        preset = self._chosen
        if preset is not None:
            field = Field(_("Name"), preset.name, _("letters, digits, spaces, - and _"))

            def rename(values: tuple[str, ...] | None) -> None:
                if values is not None:
                    self._do(lambda: rename_preset(preset.name, values[0]), values[0].strip())

            self.app.push_screen(FieldsScreen(_("Rename the preset"), (field,)), rename)

    def action_delete(self) -> None:
        """Delete the chosen one; it can be brought back while this screen is open."""
        preset = self._chosen
        if preset is not None and self._do(lambda: delete_preset(preset.name)):
            self._deleted = preset
            self._tell(_("{name} is deleted; u brings it back.").format(name=inert.line(preset.name)))

    def action_undo(self) -> None:
        """Bring the deleted one back; where that fails it can be tried again."""
        preset = self._deleted
        if preset is not None and self._do(lambda: save_preset(preset), preset.name):
            self._deleted = None

    def _do(self, act: Callable[[], object], chosen: str = "") -> bool:
        try:
            act()
        except UserError as error:
            self._tell(error.sentence)
            return False
        self._fill(chosen)
        return True


def _row(preset: Preset) -> Content:
    own = _("built in") if preset.is_builtin else ""
    about = _(preset.description) if preset.is_builtin else inert.line(preset.description)
    name = bars.fit(inert.line(preset.name), NAME_WIDTH)
    return Content(f"{name}  ") + Content.styled(" · ".join(filter(None, (about, own))), "$text-muted")


def _described(preset: Preset) -> Content:
    lines = []
    if preset.system_prompt is not None:
        words = inert.block(preset.system_prompt).strip() or _("none")
        lines.append(_("system prompt") + f": {words}")
    for field, value in preset.sampling.items():
        lines.append(f"{field.replace('_', '-')}: {inert.line(str(value))}")
    return Content("\n".join(lines) or _("It changes nothing."))
