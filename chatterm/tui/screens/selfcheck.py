"""The self-check: what must hold inside the loaded model, and by how much it does not."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from chatterm import inert
from chatterm.engine.inspection import Identity, SelfCheck
from chatterm.engine.protocol import Engine, EngineDiedError, EngineError
from chatterm.tui.screens.dialog import Dialog

WAITING = "Running every identity on a short text …"


def row(identity: Identity) -> tuple[str, str]:
    """A line of the list: what holds, and its figures."""
    mark = "✓" if identity.holds else "✗"
    sign = "≤" if identity.holds else ">"
    figures = f"{identity.error:.1e} {sign} {identity.tolerance:.0e} {identity.unit}"
    return f"{mark} {inert.line(identity.name)}", figures


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
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "back", "Back")]

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    def compose(self) -> ComposeResult:
        """At first only that it runs."""
        with Vertical(classes="box") as box:
            box.border_title = "Self-check"
            box.border_subtitle = "esc back"
            yield Static(WAITING, id="sum", markup=False)
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
        name = info.name if info is not None else "the model"
        says = f"{len(broken)} of {len(identities)} do not hold" if broken else f"all {len(identities)} hold"
        self.query_one("#sum", Static).update(
            Content(f"{inert.line(name)}: {says}; largest error and tolerance")
        )
        lines = []
        for identity in (*broken, *(one for one in identities if one.holds)):
            name, figures = row(identity)
            lines.append(Static(Content(name), classes="" if identity.holds else "broken"))
            lines.append(Static(Content(figures), classes="figures"))
        await self.query_one(VerticalScroll).mount_all(lines)
