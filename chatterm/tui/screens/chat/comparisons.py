"""Comparing: the model clean and edited, two models, and the model with what must hold inside it."""

from __future__ import annotations

from textual.screen import Screen

from chatterm import inert
from chatterm.chat.session import ChatSession
from chatterm.errors import UserError
from chatterm.language import _, mark
from chatterm.tui.screens.chat.token_walk import TokenWalk
from chatterm.tui.text import bars
from chatterm.tui.widgets.inspector import Inspector

NO_MODEL = mark("No model is loaded; ctrl+o chooses one.")


class Comparisons:
    """Opens the screens on which two sides are compared."""

    def __init__(
        self, screen: Screen[None], session: ChatSession, inspector: Inspector, walk: TokenWalk
    ) -> None:
        self._screen = screen
        self._session = session
        self._inspector = inspector
        self._walk = walk

    def compare_edits(self) -> None:
        """Write on from here, clean and edited."""
        self._screen.run_worker(self._compare_edits(), exit_on_error=True)

    async def _compare_edits(self) -> None:
        from chatterm.tui.dialogs.compare import MAX_TOKENS, CompareScreen

        engine = self._session.engines.engine
        if engine is None:
            self._screen.notify(_(NO_MODEL))
            return
        question = await self._inspector.comparison(MAX_TOKENS)
        if question is None:
            nothing = _("Nothing is edited; switch something off first, for example a head (alt+3, then o).")
            self._screen.notify(self._session.no_moment or nothing, markup=False)
            return
        look = self._session.lookout.look
        before = look.before if look is not None else ""
        self._screen.app.push_screen(CompareScreen(engine, question, before))

    def compare_with(self, model: str) -> None:
        """Let the loaded model and another one answer the last message, side by side."""
        from chatterm.chat.comparison import Comparison
        from chatterm.tui.dialogs.models_compared import ModelsScreen

        try:
            comparison = Comparison(self._session, model)
        except UserError as error:
            self._screen.notify(error.sentence, severity="warning", markup=False)
            return
        self._walk.leave()
        self._screen.app.push_screen(ModelsScreen(comparison))

    def choose_model(self) -> None:
        """Choose a model to compare with the loaded one."""
        self._screen.run_worker(self._choose_model(), exit_on_error=True)

    async def _choose_model(self) -> None:
        from chatterm.tui.dialogs.acts import Act, ActsScreen

        session = self._session
        info = session.info
        if info is None:
            self._screen.notify(_(NO_MODEL))
            return
        try:
            scout = await session.engines.scout()
            found = (await scout.discover(session.settings.model_folders)).checkpoints
        except UserError as error:
            self._screen.notify(error.sentence, severity="warning", markup=False)
            return
        others = [one for one in found if one.problem is None and one.path != info.path]
        if not others:
            self._screen.notify(_("There is no other model on this machine; F3 downloads one."))
            return
        acts = [Act(one.path, f"{inert.line(one.name)} · {bars.size(one.file_bytes)}") for one in others]
        title = _("Compare {model} with …").format(model=inert.line(info.name))
        note = _("Both answer the last message, with the same seed and sampling values.")
        self._screen.app.push_screen(ActsScreen(title, (), acts, note), self._compare_if)

    def _compare_if(self, model: str | None) -> None:
        if model is not None:
            self.compare_with(model)

    def self_check(self) -> None:
        """Check the identities of the loaded model."""
        from chatterm.tui.dialogs.selfcheck import SelfCheckScreen

        engine = self._session.engines.engine
        if engine is None:
            self._screen.notify(_(NO_MODEL))
        else:
            self._screen.app.push_screen(SelfCheckScreen(engine))
