"""The views of the glass box: the part of the chat that looks inside the model and changes it."""

from __future__ import annotations

from textual import on

from chatterm.language import _, mark
from chatterm.tui import messages
from chatterm.tui.screens.tokens import TokensScreen
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

    def action_self_check(self) -> None:
        """Check the identities of the loaded model."""
        from chatterm.tui.screens.selfcheck import SelfCheckScreen

        engine = self.session.engines.engine
        if engine is None:
            self.notify(_(NO_MODEL))
        else:
            self.app.push_screen(SelfCheckScreen(engine))
