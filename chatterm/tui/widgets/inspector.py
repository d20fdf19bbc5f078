"""The panel on the right: the next token and the views of the glass box, as tabs.

A view is made when it is first opened, and only the open one asks anything.
"""

from __future__ import annotations

from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from chatterm.chat.edits import EditList
from chatterm.chat.inspection import Inspecting, Scene
from chatterm.chat.session import ChatSession
from chatterm.engine.protocol import EngineDiedError, EngineError
from chatterm.records.inspection import Compare
from chatterm.tui import messages
from chatterm.tui.widgets.tab_strip import TABS, TabStrip

NO_MODEL = "No model is loaded; ctrl+o chooses one. What it computes for a token appears here."


class Inspector(Vertical):
    """Shows one view at a time and keeps it in line with the token that is looked at.

    Args:
        session: whose conversation and engine are looked into.
        next_token: the first tab.

    Attributes:
        opened: the key of the open tab.
        edits: what of the model is switched off.
    """

    DEFAULT_CSS = """
    Inspector {
        width: 46;
        height: 1fr;
        background: $surface;
        & > NextTokenPanel { width: 1fr; }
    }
    """

    def __init__(self, session: ChatSession, next_token: Widget, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.session = session
        self.opened = "next"
        self.edits = EditList()
        self._next_token = next_token
        self._views: dict[str, Widget] = {"next": next_token}
        self._seen: tuple[Any, ...] = ()
        self._applying = False
        self.inspecting = Inspecting(
            lambda: session.engines.engine, self._scene, self._open_view, self._follows, self._run
        )

    def compose(self) -> ComposeResult:
        """The tabs and the first view."""
        yield TabStrip()
        yield self._next_token

    def _run(self, work: Any) -> None:
        self.run_worker(work, exit_on_error=True)

    # --- tabs -------------------------------------------------------------------------------------------

    @property
    def view(self) -> Widget:
        """The open view."""
        return self._views[self.opened]

    @property
    def is_large(self) -> bool:
        """Whether the panel takes the whole screen."""
        return self.screen.has_class("-maximised")

    def open(self, key: str) -> None:
        """Open a tab."""
        had_focus = self.view.has_focus
        if key not in self._views:
            self._views[key] = self._make(key)
            self.mount(self._views[key])
        self.opened = key
        for name, view in self._views.items():
            view.display = name == key
        if had_focus and self.view.focusable:
            self.view.focus(scroll_visible=False)
        self.show_tabs()
        self.inspecting.look()
        self.post_message(messages.ViewOpened(key))

    def turn(self, step: int) -> None:
        """Open the tab so many further on."""
        names = [tab.key for tab in TABS]
        self.open(names[(names.index(self.opened) + step) % len(names)])

    def show_tabs(self) -> None:
        """Draw the tabs anew."""
        self.query_one(TabStrip).show(self.opened, large=self.is_large)

    def _make(self, key: str) -> Widget:
        """A view, imported when it is first opened."""
        match key:
            case "lens":
                from chatterm.tui.widgets.glass.lens import LensPanel

                return LensPanel()
            case "attention":
                from chatterm.tui.widgets.glass.attention import AttentionPanel

                return AttentionPanel()
            case "contributions":
                from chatterm.tui.widgets.glass.contributions import ContributionsPanel

                return ContributionsPanel()
            case "neurons":
                from chatterm.tui.widgets.glass.neurons import NeuronsPanel

                return NeuronsPanel()
            case "embeddings":
                from chatterm.tui.widgets.glass.embeddings import EmbeddingsPanel

                return EmbeddingsPanel()
        from chatterm.tui.widgets.glass.edit_list import EditsPanel

        return EditsPanel(self.edits)

    def begin_conversation(self) -> None:
        """Another conversation is looked into: what was typed for the one before is forgotten."""
        from chatterm.tui.widgets.glass.panel import GlassPanel

        for view in self._views.values():
            if isinstance(view, GlassPanel):
                view.begin_conversation()

    # --- what is looked at ------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """To be called often: notices another token or engine, and follows a growing reply gently."""
        engine = self.session.engines.engine
        if self.edits.other_engine(engine):
            self.post_message(messages.EditsChanged())
        if engine is not None and self.edits.pending and not self.edits.trouble:
            self._apply()
        if self._follows():
            self.inspecting.follow()
            return
        shown = self._open_view()
        seen = (self.session.lookout.place, engine, shown)
        if seen != self._seen:
            self._seen = seen
            if shown is not None:
                self.inspecting.look()

    def _open_view(self) -> Any:
        """The open view if it looks inside and can be seen."""
        return self.view if self.opened != "next" and self.display and self.size.width else None

    def _follows(self) -> bool:
        return self.session.live is not None and self.session.lookout.pin is None

    async def _scene(self) -> Scene:
        session = self.session
        info, edits = session.info, self.edits.in_force
        if info is None:
            return Scene(why=NO_MODEL)
        moment = await session.moment()
        if moment is None:
            return Scene(info=info, edits=edits, why="" if self._needs_no_moment else session.no_moment)
        look = session.lookout.look
        return Scene(moment, look.before if look is not None else "", info, edits)

    @property
    def _needs_no_moment(self) -> bool:
        return not getattr(self.view, "NEEDS_MOMENT", True)

    @on(messages.PanelAsks)
    def _panel_asks(self, event: messages.PanelAsks) -> None:
        event.stop()
        self.inspecting.look()

    @on(messages.PanelLeft)
    async def _panel_left(self, event: messages.PanelLeft) -> None:
        """From the whole screen, back to its place beside the chat first."""
        if self.is_large:
            event.stop()
            await self.screen.run_action("maximise")

    @on(messages.TokenTyped)
    def _token_typed(self, event: messages.TokenTyped) -> None:
        event.stop()
        self._run(self._name_token(event.text))

    async def _name_token(self, text: str) -> None:
        from chatterm.tui.widgets.glass.contributions import ContributionsPanel

        engine, view = self.session.engines.engine, self.view
        if engine is None or not isinstance(view, ContributionsPanel):
            return
        try:
            tokens = (await engine.tokenize(text)).tokens
        except (EngineError, EngineDiedError) as error:
            self.app.notify(error.sentence, markup=False)
            return
        if len(tokens) > 1:
            self.app.notify(f"That is {len(tokens)} tokens; the first of them is compared.")
        if tokens:
            view.compare_with(tokens[0].id)

    # --- edits ------------------------------------------------------------------------------------------

    @on(messages.EditSwitched)
    def _edit_switched(self, event: messages.EditSwitched) -> None:
        event.stop()
        self.edits.switch(event.edit)
        self._apply()

    @on(messages.EditsTurned)
    def _edits_turned(self, event: messages.EditsTurned) -> None:
        event.stop()
        self._apply()

    def _apply(self) -> None:
        engine = self.session.engines.engine
        if engine is None or self._applying:
            return
        self._applying = True
        self._run(self._bring_in_line())

    async def _bring_in_line(self) -> None:
        engine = self.session.engines.engine
        try:
            changed = engine is not None and await self.edits.apply(engine)
        finally:
            self._applying = False
        if changed:
            self.inspecting.forget()
            self.session.look_again()
            self.post_message(messages.EditsChanged())
        if self.edits.trouble and self.opened != "edits":
            self.app.notify(self.edits.trouble, markup=False)
        self.inspecting.look()

    async def comparison(self, max_tokens: int) -> Compare | None:
        """What to ask for clean and edited side by side; None where there is nothing to compare."""
        moment = await self.session.moment()
        if moment is None or not self.edits.wanted:
            return None
        sampling = self.session.values.sampling
        return Compare(moment.prompt, self.edits.wanted, sampling, max_tokens=max_tokens)
