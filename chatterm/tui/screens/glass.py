"""The views of the glass box: the part of the chat that looks inside the model and changes it."""

from __future__ import annotations

from textual import on

from chatterm import inert
from chatterm.errors import UserError
from chatterm.language import _, mark
from chatterm.tui import messages
from chatterm.tui.screens.tokens import TokensScreen
from chatterm.tui.text import bars
from chatterm.tui.widgets.inspector import Inspector

NO_MODEL = mark("No model is loaded; ctrl+o chooses one.")


class GlassScreen(TokensScreen):
    """What the chat does with views, edits, comparisons and the self-check."""

    def open_panel(self) -> None:
        """Show the panel, wherever it was."""
        raise NotImplementedError

    def show_state(self) -> None:
        """Draw the status line."""
        raise NotImplementedError

    @property
    def inspector(self) -> Inspector:
        """The panel on the right."""
        return self.query_one(Inspector)

    # --- views ------------------------------------------------------------------------------------------

    def action_view(self, step: int) -> None:
        """The next view, or the one before; a hidden panel is shown as it was left."""
        was_hidden = not self.has_class("-panel")
        self.open_panel()
        if not was_hidden:
            self.inspector.turn(step)
        self.show_keys()

    def action_open_view(self, key: str) -> None:
        """Open a view; once more gives it the keys."""
        again = self.has_class("-panel") and self.inspector.opened == key
        self.open_panel()
        self.inspector.open(key)
        if again and not self.inspector.view.has_focus:
            self.action_enter_panel()

    def action_enter_panel(self) -> None:
        """Keys to the open view, and back."""
        inspector = self.inspector
        self.open_panel()
        if inspector.view.has_focus:
            self.post_message(messages.PanelLeft())
        elif inspector.opened == "next":
            self.post_message(messages.PanelEntered())
        else:
            inspector.view.focus(scroll_visible=False)
        self.show_keys()

    def action_maximise(self) -> None:
        """The panel over the whole screen, and back."""
        large = not self.has_class("-maximised")
        self.open_panel()
        self.set_class(large, "-maximised")
        inspector = self.inspector
        inspector.show_tabs()
        if large:
            inspector.view.focus(scroll_visible=False)
        elif inspector.has_focus_within:
            self.post_message(messages.PanelLeft())

    # --- edits ------------------------------------------------------------------------------------------

    @on(messages.EditsChanged)
    def _edits_changed(self) -> None:
        self.show_state()

    @on(messages.CompareWanted)
    def _compare_wanted(self) -> None:
        self.action_compare()

    def action_compare(self) -> None:
        """Write on from here, clean and edited."""
        self.run_worker(self._compare(), exit_on_error=True)

    async def _compare(self) -> None:
        from chatterm.tui.screens.compare import MAX_TOKENS, CompareScreen

        engine = self.session.engines.engine
        if engine is None:
            self.notify(_(NO_MODEL))
            return
        question = await self.inspector.comparison(MAX_TOKENS)
        if question is None:
            nothing = _("Nothing is edited; switch something off first, for example a head (alt+3, then o).")
            self.notify(self.session.no_moment or nothing, markup=False)
            return
        self.app.push_screen(CompareScreen(engine, question))

    @on(messages.CompareModelWanted)
    def _compare_model_wanted(self, event: messages.CompareModelWanted) -> None:
        self.compare_with(event.model)

    def compare_with(self, model: str) -> None:
        """Let the loaded model and another one answer the last message, side by side."""
        from chatterm.chat.comparison import Comparison
        from chatterm.tui.screens.models_compared import ModelsScreen

        try:
            comparison = Comparison(self.session, model)
        except UserError as error:
            self.notify(error.sentence, severity="warning", markup=False)
            return
        self.leave_tokens()
        self.app.push_screen(ModelsScreen(comparison))

    def action_compare_models(self) -> None:
        """Choose a model to compare with the loaded one."""
        self.run_worker(self._choose_other(), exit_on_error=True)

    async def _choose_other(self) -> None:
        from chatterm.tui.screens.acts import Act, ActsScreen

        info = self.session.info
        if info is None:
            self.notify(_(NO_MODEL))
            return
        try:
            scout = await self.session.engines.scout()
            found = (await scout.discover(self.session.settings.model_folders)).checkpoints
        except UserError as error:
            self.notify(error.sentence, severity="warning", markup=False)
            return
        others = [one for one in found if one.problem is None and one.path != info.path]
        if not others:
            self.notify(_("There is no other model on this machine; F3 downloads one."))
            return
        acts = [Act(one.path, f"{inert.line(one.name)} · {bars.size(one.file_bytes)}") for one in others]
        title = _("Compare {model} with …").format(model=inert.line(info.name))
        note = _("Both answer the last message, with the same seed and sampling values.")
        self.app.push_screen(ActsScreen(title, (), acts, note), self._compare_if)

    def _compare_if(self, model: str | None) -> None:
        if model is not None:
            self.compare_with(model)

    def action_self_check(self) -> None:
        """Check the identities of the loaded model."""
        from chatterm.tui.screens.selfcheck import SelfCheckScreen

        engine = self.session.engines.engine
        if engine is None:
            self.notify(_(NO_MODEL))
        else:
            self.app.push_screen(SelfCheckScreen(engine))
