"""The self-check: what must hold inside the loaded model, and by how much it does not."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from chatterm import inert
from chatterm.engine.protocol import Engine, EngineDiedError, EngineError
from chatterm.language import _, mark
from chatterm.records.inspection import Identity, SelfCheck
from chatterm.tui import keys
from chatterm.tui.dialogs.dialog import Dialog

WAITING = mark("Running every identity on a short text …")


def row(identity: Identity) -> tuple[str, str]:
    """A line of the list: what holds, and its figures."""
    tick = "✓" if identity.holds else "✗"
    sign = "≤" if identity.holds else ">"
    figures = f"{identity.error:.1e} {sign} {identity.tolerance:.0e} {identity.unit}"
    return f"{tick} {inert.line(identity.name)}", figures


class SelfCheckScreen(Dialog[None]):
    """Asks the engine, and lists each identity with its largest error and the tolerance."""

    DEFAULT_CSS = """
    SelfCheckScreen {
        & .figures { color: $muted; padding-left: 2; }
        & .broken { text-style: bold reverse; }
        & VerticalScroll { height: auto; max-height: 1fr; scrollbar-size-vertical: 1; }
        & Static { height: auto; }
    }
    """
    SCOPE = "selfcheck"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("selfcheck")

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    def compose(self) -> ComposeResult:
        """At first only that it runs."""
        with Vertical(classes="box") as box:
            box.border_title = _("Self-check")
            box.border_subtitle = _("esc back")
            yield Static(_(WAITING), id="sum", markup=False)
            yield VerticalScroll()

    def on_mount(self) -> None:
        """Ask."""
        self.query_one(VerticalScroll).focus()
        self.run_worker(self._ask(), exit_on_error=True)

    async def _ask(self) -> None:
        try:
            identities = (await self._engine.inspect(SelfCheck())).identities
        except (EngineError, EngineDiedError) as error:
            self.query_one("#sum", Static).update(Content(error.sentence))
            return
        broken = [identity for identity in identities if not identity.holds]
        info = self._engine.info
        name = info.name if info is not None else _("the model")
        says = _("{broken} of {all} do not hold") if broken else _("all {all} hold")
        says = says.format(broken=len(broken), all=len(identities))
        self.query_one("#sum", Static).update(
            Content(f"{inert.line(name)}: {says}" + _("; largest error and tolerance"))
        )
        lines = []
        for identity in (*broken, *(one for one in identities if one.holds)):
            name, figures = row(identity)
            lines.append(Static(Content(name), classes="" if identity.holds else "broken"))
            lines.append(Static(Content(figures), classes="figures"))
        await self.query_one(VerticalScroll).mount_all(lines)
