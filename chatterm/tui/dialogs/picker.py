"""Choosing a model: what lies on this machine, what is on its way, what the catalog and the hub have."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from chatterm.chat.downloads import Download
from chatterm.chat.session import ChatSession
from chatterm.checkpoint.catalog import catalog
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.records.supply import Format, FoundCheckpoint, HubRepository
from chatterm.tui import keys
from chatterm.tui.dialogs import picker_rows as rows
from chatterm.tui.dialogs.model_acts import ModelActs
from chatterm.tui.dialogs.picker_rows import Row
from chatterm.tui.dialogs.repository import RepositoryScreen
from chatterm.tui.messages import CancelWanted, ModelChosen
from chatterm.tui.text import bars
from chatterm.tui.widgets.options import Options
from chatterm.tui.widgets.welcome import loading

BUSY_INTERVAL = 0.25


class About(Static):
    """What is known of the highlighted row; a click on it is the key for more."""

    def on_click(self, event: events.Click) -> None:
        """As the key."""
        event.stop()
        self.screen.call_later(self.screen.run_action, "acts")


class PickerScreen(ModelActs):
    """Lists models. Choosing one posts `ModelChosen`; the chat stays usable while it is loaded."""

    DEFAULT_CSS = """
    PickerScreen {
        & > .box { height: 90%; max-width: 110; }
        & Input { margin-bottom: 1; }
        & OptionList {
            height: 1fr;
            & > .option-list--option-highlighted {
                background: $block-cursor-background;
                color: $block-cursor-foreground;
            }
        }
        & #about { height: auto; max-height: 4; color: $muted; margin-top: 1; }
        & #busy { height: auto; display: none; margin-top: 1; }
        & #busy.-on { display: block; }
    }
    """
    SCOPE = "picker"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("picker")
    AUTO_FOCUS = "Input"

    def __init__(self, session: ChatSession) -> None:
        super().__init__(session)
        self._instead = ""  # stands in the place of the models on this machine
        self._is_listed = False
        self._is_looking = True  # what lies on this machine is not known yet
        self._enter_waits = False  # … and Enter was pressed meanwhile
        self._rows: dict[str, Row] = {}
        self._states: tuple[tuple[str, str], ...] = ()  # of the downloads, as they are listed
        self._searched = ""  # words that the hub was asked for
        self._found: list[HubRepository] = []
        self._more: dict[Format, str] | None = None
        self._hub_says = ""
        self._is_asking = False
        self._can_ask_again = False  # the search failed

    def compose(self) -> ComposeResult:
        """A line to type in, the list, a description of what is highlighted, and the progress of loading."""
        with Vertical(classes="box") as box:
            box.border_title = _("Models")
            box.border_subtitle = _("enter load · F2 more · tab search the hub · del delete · esc back")
            yield Input(placeholder=_("Type to filter; tab searches the hub"), select_on_focus=False)
            options = Options()
            options.can_focus = False  # the keys stay with the line that is typed in
            yield options
            yield About("", id="about")
            yield Static("", id="busy")

    def on_mount(self) -> None:
        """Look around, and watch what is on its way."""
        self._instead = _("Looking for models on this machine …")
        self._list()
        self.action_rescan()
        self.set_interval(BUSY_INTERVAL, self._show_busy)

    def on_resize(self) -> None:
        """Other width: the rows are cut to it."""
        self._list()

    # --- what there is ----------------------------------------------------------------------------------

    def action_rescan(self) -> None:
        """Look again."""
        self.run_worker(self._discover(), exclusive=True, group="looking")

    def look_again(self) -> None:
        """Something was downloaded or deleted."""
        self.action_rescan()

    async def _discover(self) -> None:
        try:
            scout = await self.session.engines.scout()
            self.machine = await scout.discover(self.session.settings.model_folders)
        except UserError as error:
            self._instead = error.sentence
        else:
            self._instead = ""
            self.session.downloads.learn(self.machine.unfinished)
        self._is_looking = False
        self._list()
        waits, self._enter_waits = self._enter_waits, False
        if waits and self.highlighted is not None and self.highlighted.kind == "here":
            self.action_choose()  # anything else is for an Enter of somebody who has seen it

    @property
    def _typed(self) -> str:
        return self.query_one(Input).value.strip()

    @property
    def _width(self) -> int:
        return max(40, min(110, self.app.size.width * 9 // 10) - 8)

    def _list(self) -> None:
        """Fill the list with all that speaks of what was typed."""
        options = self.query_one(OptionList)
        before = self.highlighted if self._is_listed else None
        listed = self._all_rows()
        self._rows = {row.id: row for row in listed if row.id is not None}
        options.clear_options()
        options.add_options(Option(row.content, row.id, disabled=not row.can_choose) for row in listed)
        usable = [row.id for row in listed if row.can_choose]
        waiting = self._is_asking or self._is_looking  # a late answer must not meet an Enter
        first = None if waiting else next(iter(usable), None)
        chosen = before.id if before is not None and before.id in usable else first
        options.highlighted = options.get_option_index(chosen) if chosen is not None else None
        self._is_listed = not self._instead
        self._states = self._state_of_downloads()
        self._describe()

    def _all_rows(self) -> list[Row]:
        typed, width = self._typed, self._width
        found = self.machine.checkpoints if self.machine is not None else ()
        by_name = sorted(found, key=lambda c: (c.source, c.name.lower()))
        sound = [one for one in by_name if one.problem is None]
        downloads = [rows.download(one, width) for one in self.session.downloads.all]
        listed = self._section(self._here_heading(), [self._here(one) for one in sound], self._nothing_here())
        listed += self._section(rows.heading(_("Downloads")), downloads)
        listed += self._hub_section(typed)
        names = [one.name.lower() for one in sound]
        offered = [
            rows.entry(known, width)
            for known in catalog()
            if not any(name.startswith(known.name.lower()) for name in names)
            and self.session.downloads.find(known.name) is None
        ]
        listed += self._section(rows.heading(_("To download")), offered)
        broken = [self._here(one) for one in by_name if one.problem is not None]
        listed += self._section(rows.heading(_("Found here, but cannot be loaded")), broken)
        return listed[1:] if listed and listed[0].key == "" else listed

    def _section(self, title: Row, found: list[Row], instead: str = "") -> list[Row]:
        """A heading and those rows that speak of what was typed; nothing without any."""
        shown = [row for row in found if rows.matches(row, self._typed)]
        if not shown and not instead:
            return []
        return [rows.heading(""), title, *(shown or [rows.words(instead)])]

    def _here(self, checkpoint: FoundCheckpoint) -> Row:
        assert self.machine is not None, "what was found is that of a machine"
        loaded = self.is_loaded(checkpoint.path)
        return rows.here(checkpoint, self.machine, loaded=loaded, width=self._width)

    def _here_heading(self) -> Row:
        free = ""
        if self.machine is not None:
            free = _("{size} of memory free").format(size=bars.size(self.machine.available_bytes))
        return rows.heading(_("On this machine"), free)

    def _nothing_here(self) -> str:
        if self._instead:
            return self._instead
        return "" if self._typed else _("Nothing was found that loads.")

    def _hub_section(self, typed: str) -> list[Row]:
        if not typed:
            return []
        listed = []
        if typed == self._searched:
            found = [rows.repository(one, self._width) for one in self._found]
            listed = [*found, *([rows.more()] if self._more else [])]
        if typed == self._searched and self._hub_says:
            listed.append(rows.words(self._hub_says))
        if typed != self._searched or self._can_ask_again:
            listed.append(rows.search(typed))
        if self.names_repository(typed):
            listed.append(rows.open_(typed))
        return [rows.heading(""), rows.heading(_("On the hub")), *listed]

    # --- what is highlighted ----------------------------------------------------------------------------

    @property
    def highlighted(self) -> Row | None:
        """The row under the cursor."""
        option = self.query_one(OptionList).highlighted_option
        return self._rows.get(option.id or "") if option is not None else None

    @on(OptionList.OptionHighlighted)
    def _describe(self) -> None:
        row = self.highlighted
        self.query_one("#about", Static).update(Content(row.about if row is not None else ""))

    def action_move(self, step: int) -> None:
        """Another row, without leaving the line that is typed in."""
        options = self.query_one(OptionList)
        if step < 0:
            options.action_cursor_up()
        else:
            options.action_cursor_down()

    def action_page(self, step: int) -> None:
        """Several rows."""
        options = self.query_one(Options)
        if step < 0:
            options.action_page_up()
        else:
            options.action_page_down()

    def _show_busy(self) -> None:
        step = self.session.engines.step
        busy = self.query_one("#busy", Static)
        busy.set_class(step is not None, "-on")
        if step is not None:
            busy.update(Content(loading(step) + "   " + _("ctrl+x cancels")))
        states = self._state_of_downloads()
        if states != self._states:
            if {name for name, state in states if state == "done"} - {
                name for name, state in self._states if state == "done"
            }:
                self.action_rescan()
            self._list()
            return
        options = self.query_one(OptionList)
        for one in self.session.downloads.running:
            row = rows.download(one, self._width)
            if row.id is not None and row.id in self._rows:
                self._rows[row.id] = row
                options.replace_option_prompt(row.id, row.content)

    def _state_of_downloads(self) -> tuple[tuple[str, str], ...]:
        return tuple((one.name or one.key, one.state) for one in self.session.downloads.all)

    # --- what is done -----------------------------------------------------------------------------------

    @on(Input.Changed)
    def _filter(self) -> None:
        self._is_asking = self._enter_waits = False
        self._list()

    @on(Input.Submitted)
    def action_choose(self) -> None:
        """What Enter does with the highlighted row; until it is known what is here, it waits for that."""
        self._enter_waits = self._is_looking and self.highlighted is None
        self.query_one(OptionList).action_select()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        row = self._rows.get(event.option_id or "")
        if row is None:
            return
        match row.thing:
            case FoundCheckpoint() as checkpoint:
                self.post_message(ModelChosen(checkpoint.path))
                self.dismiss(None)
            case Download() as download:
                self.about_download(download)
            case HubRepository() as found:
                self._open(found.repository)
            case _:
                self._choose_offer(row)

    def _choose_offer(self, row: Row) -> None:
        match row.kind:
            case "catalog":
                self.about_entry(row.key)
            case "search":
                self.action_hub()
            case "more":
                self._search(self._searched, self._more)
            case "open":
                self._open(row.key.partition(":")[0])
            case _:
                pass

    def _open(self, repository: str) -> None:
        self.app.push_screen(
            RepositoryScreen(self.session, repository, self.machine), lambda _begun: self._list()
        )

    def action_acts(self) -> None:
        """What is known of the highlighted row, and what else can be done with it."""
        row = self.highlighted
        if row is not None and isinstance(row.thing, FoundCheckpoint):
            self.about_checkpoint(row.thing)
        elif row is not None:
            self.action_choose()

    def action_delete(self) -> None:
        """Delete the highlighted model or download; within what was typed, the character under the cursor."""
        line = self.query_one(Input)
        if line.cursor_position < len(line.value):
            line.action_delete_right()
            return
        row = self.highlighted
        if row is not None and isinstance(row.thing, FoundCheckpoint):
            self.ask_to_delete(row.thing)
        elif row is not None and isinstance(row.thing, Download):
            self.about_download(row.thing)

    def action_cancel_fetch(self) -> None:
        """Cancel what is being loaded."""
        self.post_message(CancelWanted())

    def action_back(self) -> None:
        """Take back what was typed; then, back to the chat."""
        line = self.query_one(Input)
        if line.value:
            line.value = ""
        else:
            self.dismiss(None)

    # --- the hub ----------------------------------------------------------------------------------------

    def action_hub(self) -> None:
        """Search the hub for what was typed."""
        if self._typed:
            self._search(self._typed, None)

    def _search(self, words: str, more: dict[Format, str] | None) -> None:
        if more is None:
            self._searched, self._found = words, []
        self._hub_says, self._more, self._can_ask_again = _("Asking the hub …"), None, False
        self._is_asking = True
        self.query_one(OptionList).highlighted = None
        self._list()
        self.run_worker(self._ask_hub(words, more), exclusive=True, group="hub")

    async def _ask_hub(self, words: str, more: dict[Format, str] | None) -> None:
        try:
            answer = await (await self.session.engines.scout()).search_hub(words, more)
        except UserError as error:
            self._is_asking = False
            self._hub_says, self._can_ask_again = error.sentence, True
            self._list()
            return
        self._is_asking = False
        known = {one.repository for one in self._found}
        new = [one for one in answer.repositories if one.repository not in known]
        self._found += new
        self._more = answer.more
        self._hub_says = "" if self._found else _("The hub has nothing of that name with weights that load.")
        self._list()
        if new and words == self._typed:
            options = self.query_one(OptionList)
            options.highlighted = options.get_option_index(f"repository:{new[0].repository}")
