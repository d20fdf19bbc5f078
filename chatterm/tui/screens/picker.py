"""Choosing a model: what lies on this machine, and what the catalog can fetch."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from chatterm import inert
from chatterm.checkpoint.catalog import CatalogEntry, catalog
from chatterm.engine.messages import Discovered, FoundCheckpoint
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.tui import bars, keys
from chatterm.tui.messages import CancelWanted, ModelChosen
from chatterm.tui.models import download_size
from chatterm.tui.screens.dialog import Dialog
from chatterm.tui.session import ChatSession
from chatterm.tui.widgets.welcome import loading

HERE = "here:"
CATALOG = "catalog:"
BUSY_INTERVAL = 0.1


class PickerScreen(Dialog[None]):
    """Lists models. Choosing one posts `ModelChosen`; the chat stays usable while it is loaded."""

    DEFAULT_CSS = """
    PickerScreen {
        & > .box { height: 90%; max-width: 110; }
        & OptionList { height: 1fr; }
        & #about { height: auto; max-height: 4; color: $muted; margin-top: 1; }
        & #busy { height: auto; display: none; margin-top: 1; }
        & #busy.-on { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("picker")

    def __init__(self, session: ChatSession) -> None:
        super().__init__()
        self._session = session
        self._found: Discovered | None = None
        self._is_listed = False
        self._abouts: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        """The list, a description of what is highlighted, and the progress of what was chosen."""
        with Vertical(classes="box") as box:
            box.border_title = _("Models")
            box.border_subtitle = _("enter loads · r looks again · esc back")
            yield OptionList()
            yield Static("", id="about")
            yield Static("", id="busy")

    def on_mount(self) -> None:
        """Look around, and watch what is being loaded."""
        self._list(_("Looking for models on this machine …"))
        self.action_rescan()
        self.set_interval(BUSY_INTERVAL, self._show_busy)

    def on_resize(self) -> None:
        """Other width: the rows are cut to it."""
        if self._is_listed:
            self._list("")

    def action_rescan(self) -> None:
        """Look again."""
        self.run_worker(self._discover(), exclusive=True)

    async def _discover(self) -> None:
        try:
            scout = await self._session.engines.scout()
            self._found = await scout.discover(self._session.settings.model_folders)
        except UserError as error:
            self._list(error.sentence)
            return
        self._list("")

    def _list(self, instead: str) -> None:
        """Fill the list; `instead` stands in the place of the models on this machine."""
        options = self.query_one(OptionList)
        before = options.highlighted_option
        options.clear_options()
        self._abouts.clear()
        found = self._found.checkpoints if self._found is not None else ()
        heading = _("On this machine")
        if self._found:
            free = bars.size(self._found.available_bytes)
            heading += " · " + _("{size} of memory free").format(size=free)
        options.add_option(_heading(heading))
        by_name = sorted(found, key=lambda c: (c.source, c.name.lower()))
        sound = [checkpoint for checkpoint in by_name if checkpoint.problem is None]
        if instead or not sound:
            options.add_option(Option(f"  {instead or 'Nothing was found that loads.'}", disabled=True))
        for checkpoint in sound:
            self._add_found(options, checkpoint)
        options.add_option(_heading(""))
        options.add_option(_heading(_("To download")))
        names = [checkpoint.name.lower() for checkpoint in sound]
        for entry in catalog():
            if not any(name.startswith(entry.name.lower()) for name in names):
                self._add_entry(options, entry)
        if len(by_name) > len(sound):
            options.add_option(_heading(""))
            options.add_option(_heading(_("Found here, but cannot be loaded")))
        for checkpoint in by_name:
            if checkpoint.problem is not None:
                self._add_found(options, checkpoint)
        usable = [option.id for option in options.options if not option.disabled]
        mine = before.id if before is not None and self._is_listed else None
        chosen = mine if mine in usable else next(iter(usable), None)
        options.highlighted = options.get_option_index(chosen) if chosen is not None else None
        self._is_listed = not instead
        options.focus()

    def _add_found(self, options: OptionList, checkpoint: FoundCheckpoint) -> None:
        info = self._session.info
        loaded = info is not None and info.path == checkpoint.path
        name = f"{'●' if loaded else ' '} {inert.line(checkpoint.name)}"
        facts = [
            checkpoint.family or "",
            bars.parameters(checkpoint.parameters) if checkpoint.parameters else "",
            checkpoint.quantisation or checkpoint.format,
            "" if checkpoint.is_chat is not False else _("base model"),
            self._fit(checkpoint),
            checkpoint.source,
        ]
        if checkpoint.problem is not None:
            facts = [checkpoint.problem.replace(checkpoint.path, "it").removeprefix("it: ")]
        options.add_option(
            Option(
                _row(name, bars.size(checkpoint.file_bytes), facts, self._width),
                f"{HERE}{checkpoint.path}",
                disabled=checkpoint.problem is not None,
            )
        )
        self._abouts[f"{HERE}{checkpoint.path}"] = inert.line(checkpoint.path)

    def _fit(self, checkpoint: FoundCheckpoint) -> str:
        if checkpoint.memory_bytes is None or self._found is None:
            return ""
        needed = bars.size(checkpoint.memory_bytes)
        if checkpoint.memory_bytes <= self._found.available_bytes:
            return _("fits ({size})").format(size=needed)
        return _("too large now (needs {size})").format(size=needed)

    def _add_entry(self, options: OptionList, entry: CatalogEntry) -> None:
        kind = _("chat") if entry.kind == "chat" else _("base model, for looking inside")
        facts = [bars.parameters(entry.parameters), kind, entry.licence]
        if entry.hub.gated:
            facts.append(_("its licence must be accepted on the hub first"))
        row = _row(f"↓ {entry.title}", download_size(entry), facts, self._width)
        options.add_option(Option(row, f"{CATALOG}{entry.name}"))
        self._abouts[f"{CATALOG}{entry.name}"] = f"{_(entry.description)} {entry.licence_url}"

    @property
    def _width(self) -> int:
        return max(40, min(110, self.app.size.width * 9 // 10) - 8)

    def _show_busy(self) -> None:
        step = self._session.engines.step
        busy = self.query_one("#busy", Static)
        busy.set_class(step is not None, "-on")
        if step is not None:
            busy.update(Content(loading(step) + "   " + _("c cancels")))

    def action_choose(self) -> None:
        """Load what is highlighted."""
        self.query_one(OptionList).action_select()

    def action_cancel_fetch(self) -> None:
        """Cancel what is being fetched or loaded."""
        self.post_message(CancelWanted())

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self.query_one("#about", Static).update(Content(self._abouts.get(event.option_id or "", "")))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        option = event.option_id or ""
        here = option.startswith(HERE)
        self.post_message(ModelChosen(option.removeprefix(HERE if here else CATALOG)))
        if here:
            self.dismiss(None)


def _heading(text: str) -> Option:
    return Option(Content.styled(text, "bold"), disabled=True)


def _row(name: str, size: str, facts: list[str], width: int) -> Content:
    """Two lines: the name and the size, and under it the facts that are known."""
    line = inert.line(" · ".join(fact for fact in facts if fact))
    return (
        Content(bars.fit(name, width - len(size) - 1))
        + Content(f" {size}\n")
        + Content.styled(f"  {bars.fit(line, width - 2).rstrip()}", "$muted")
    )
