"""A repository of the hub: its licence and each checkpoint in it, with its size, before a download."""

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
from chatterm.chat.session import ChatSession
from chatterm.engine.messages import Discovered
from chatterm.errors import UserError
from chatterm.language import _, several
from chatterm.records.supply import HubChoice, HubOffered
from chatterm.tui import keys
from chatterm.tui.dialogs.acts import Act, ActsScreen
from chatterm.tui.dialogs.dialog import Dialog
from chatterm.tui.dialogs.picker_rows import two_lines
from chatterm.tui.text import bars, models
from chatterm.tui.widgets.options import Options


class RepositoryScreen(Dialog[bool]):
    """Lists what a repository offers. Answers True once a download has begun."""

    DEFAULT_CSS = """
    RepositoryScreen {
        & > .box { height: 90%; max-width: 110; }
        & OptionList { height: 1fr; margin-top: 1; }
        & #facts { height: auto; max-height: 5; }
        & #gate { height: auto; max-height: 4; color: $text-warning; display: none; }
        & #gate.-on { display: block; }
        & #about { height: auto; max-height: 3; color: $muted; margin-top: 1; }
    }
    """
    SCOPE = "repository"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("repository")

    def __init__(self, session: ChatSession, repository: str, machine: Discovered | None) -> None:
        super().__init__()
        self._session = session
        self._repository = repository
        self._machine = machine
        self._offer: HubOffered | None = None

    def compose(self) -> ComposeResult:
        """Facts about the repository, its checkpoints, and what is known of the highlighted one."""
        with Vertical(classes="box") as box:
            box.border_title = Content(inert.line(self._repository))
            box.border_subtitle = _("enter more about it, and download · esc back")
            yield Static(_("Asking the hub …"), id="facts", markup=False)
            yield Static("", id="gate", markup=False)
            yield Options()
            yield Static("", id="about", markup=False)

    def on_mount(self) -> None:
        """Ask the hub."""
        self.query_one(OptionList).focus()
        self.run_worker(self._ask(), exclusive=True)

    def on_resize(self) -> None:
        """Other width: the rows are cut to it."""
        self._list()

    def action_ask_again(self) -> None:
        """The hub may say something else now: it was out of reach, or a licence was accepted meanwhile."""
        self.query_one("#facts", Static).update(_("Asking the hub …"))
        self.run_worker(self._ask(), exclusive=True)

    async def _ask(self) -> None:
        try:
            scout = await self._session.engines.scout()
            if self._machine is None:
                self._machine = await scout.discover(self._session.settings.model_folders)
            self._offer = await scout.look_at_hub(self._repository)
        except UserError as error:
            again = _("r asks again.")
            self.query_one("#facts", Static).update(Content(inert.block(f"{error.sentence} {again}")))
            return
        self._list()

    def _list(self) -> None:
        offer = self._offer
        if offer is None:
            return
        found = offer.repository
        line = " · ".join(filter(None, (models.popularity(found), *models.repository_facts(found))))
        where = found.licence_url or offer.page
        self.query_one("#facts", Static).update(Content(f"{inert.line(line)}\n{inert.line(where)}"))
        sentence = models.gate(found, offer.page, has_token=offer.has_token)
        self.query_one("#gate", Static).set_class(bool(sentence), "-on").update(Content(inert.line(sentence)))
        options = self.query_one(OptionList)
        chosen = options.highlighted or 0
        options.clear_options()
        options.add_options(
            Option(self._row(choice), str(place)) for place, choice in enumerate(offer.choices)
        )
        options.highlighted = min(chosen, len(offer.choices) - 1) if offer.choices else None

    def _row(self, choice: HubChoice) -> Content:
        width = max(40, min(110, self.app.size.width * 9 // 10) - 8)
        facts = [
            choice.quantisation or "",
            bits(choice),
            parts(choice),
            models.fit(choice.memory, self._machine),
            models.speed(choice.step_bytes, self._machine),
            _("a download of it has begun") if self._session.downloads.find(choice.name) else "",
        ]
        if choice.problem:
            facts = [choice.problem]
        label = choice.label if choice.format == "gguf" else _("the whole checkpoint, in safetensors")
        return two_lines(f"↓ {inert.line(label)}", bars.size(choice.size), facts, width)

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        choice = self._choice(event.option_id)
        reason = models.speed_reason(choice.step_bytes, self._machine) if choice is not None else ""
        self.query_one("#about", Static).update(Content(reason))

    def _choice(self, option: str | None) -> HubChoice | None:
        return self._offer.choices[int(option)] if self._offer is not None and option else None

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        choice, offer = self._choice(event.option_id), self._offer
        if choice is None or offer is None:
            return

        def decided(act: str | None) -> None:
            if act is not None:
                self._session.downloads.begin(choice.name, then_load=act == "load")
                self.dismiss(True)

        self.app.push_screen(confirmation(choice, offer, self._machine), decided)


def bits(choice: HubChoice) -> str:
    """How many bits a weight takes."""
    if choice.bits is None:
        return ""
    shown = f"{choice.bits:.1f}".removesuffix(".0")
    return _("{count} bits a weight").format(count=shown)


def parts(choice: HubChoice) -> str:
    """Of how many files it is, where it is not one."""
    if choice.files == 1:
        return ""
    return several("{count} file", "{count} files", choice.files).format(count=choice.files)


def confirmation(choice: HubChoice, offer: HubOffered, machine: Discovered | None) -> ActsScreen:
    """All that one should know before a download."""
    found = offer.repository
    gated = models.gate(found, offer.page, has_token=offer.has_token)
    free = bars.size(offer.free_bytes) if offer.free_bytes is not None else ""
    facts = (
        (_("size"), " · ".join(filter(None, (bars.size(choice.size), parts(choice), bits(choice))))),
        (_("licence"), found.licence or _("not stated; see {page}").format(page=offer.page)),
        (_("its text"), found.licence_url),
        (_("memory"), models.fit(choice.memory, machine) or _("not known before it is here")),
        (_("speed"), models.speed_reason(choice.step_bytes, machine)),
        (_("goes to"), offer.folder),
        (_("free there"), free),
    )
    note = " ".join(filter(None, (choice.problem, gated)))
    acts = (
        Act("download", _("Download; go on chatting meanwhile")),
        Act("load", _("Download, and load it then")),
    )
    return ActsScreen(choice.name, facts, acts, note)
