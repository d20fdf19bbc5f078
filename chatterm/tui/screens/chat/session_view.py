"""Brings what the session holds to the widgets: transcript, panel, status line, line of keys."""

from __future__ import annotations

from textual.screen import Screen

from chatterm.chat.session import ChatSession
from chatterm.chat.turns import Turn
from chatterm.language import _
from chatterm.tui.screens.chat.visible_turns import VisibleTurns
from chatterm.tui.screens.chat.widgets import Widgets
from chatterm.tui.text import downloads
from chatterm.tui.text.models import about
from chatterm.tui.widgets.key_line import (
    candidate_hints,
    chat_hints,
    list_hints,
    message_hints,
    token_hints,
    view_hints,
)
from chatterm.tui.widgets.status_line import Status


class SessionView:
    """Draws; decides nothing but what stands where.

    Attributes:
        look_is_stale: the panel has something else to show than it shows.
    """

    def __init__(
        self,
        screen: Screen[None],
        session: ChatSession,
        visible: VisibleTurns,
        widgets: Widgets,
    ) -> None:
        self._screen = screen
        self._session = session
        self._visible = visible
        self._widgets = widgets
        self._stopping: Turn | None = None  # the reply that is to stop, until it has
        self.look_is_stale = True

    def show_all(self) -> None:
        """Draw everything."""
        self._visible.show()
        self.show_talking()
        self.show_sampling()
        self.show_look()

    def show_talking(self) -> None:
        """The conversation, or the welcome while nothing has been said."""
        self._screen.set_class(bool(self._session.turns), "-talking")

    def show_turn_added(self) -> None:
        """Draw the turn that has been added; the conversation is shown as it is said."""
        self.show_talking()
        self._visible.forget_context()
        transcript = self._widgets.transcript
        if transcript.turns is self._session.turns:
            transcript.catch_up()
        else:
            transcript.show(self._session.turns)

    def show_turn(self, turn: Turn) -> None:
        """Draw a turn that has changed."""
        self._widgets.transcript.grew(turn)
        self._visible.grow_context()
        self.show_look()

    def show_sampling(self) -> None:
        """Draw the sampling values in force."""
        values = self._session.values
        self._widgets.controls.show(values.sampling, values.start, values.seed_is_chosen)
        self.show_state()

    def show_state(self) -> None:
        """Draw the system prompt, the status line and what depends on the model."""
        session = self._session
        self._widgets.system.show(session.system_prompt if session.turns else "")
        self._widgets.status.show(
            Status(
                info=session.info,
                step=session.engines.step,
                reading=self._reading(),
                tokens_per_second=session.tokens_per_second,
                first_token=session.timing.first_token if session.timing is not None else None,
                context_used=session.context_used,
                temperature=session.values.sampling.temperature,
                saved=session.keeper.state,
                trouble=session.host.trouble,
                edits=self._widgets.inspector.edits.described,
                downloads=downloads.line(session.downloads.running),
            )
        )
        if not session.turns:
            self._widgets.welcome.show(
                session.info, session.engines.step, session.host.trouble, *about(session.info)
            )
        self.show_keys()

    def show_stopping(self) -> None:
        """The running reply was told to stop; it does so when the step that it is at is done."""
        self._stopping = self._session.live
        self.show_state()

    def _reading(self) -> str:
        session, reading = self._session, self._session.reading
        if session.live is not None and session.live is self._stopping:
            return _("stopping …")
        if reading is None:
            return ""
        return _("reading the prompt") + (f" {reading.done / reading.total:.0%}" if reading.total else "")

    def show_look(self) -> None:
        """Draw the panel of the next token."""
        self.look_is_stale = False
        info, lookout = self._session.info, self._session.lookout
        empty = self._why_empty() if lookout.look is None else lookout.trouble
        self._widgets.candidates.show(lookout.look, info.vocabulary if info else 0, empty, lookout.found)

    def _why_empty(self) -> str:
        session = self._session
        if session.live is not None:
            return _("The model is reading the prompt; its first choice appears here.")
        if any(turn.role == "assistant" for turn in session.turns):
            return _("This reply was saved without token records.")
        if session.info is None:
            return _("No model is loaded yet. The candidates for each token appear here as it is written.")
        return _("Nothing has been written yet. The candidates for each token appear here as it is written.")

    def show_keys(self) -> None:
        """Draw the line of keys."""
        if self._widgets.bar.has_focus:
            hints = message_hints()
        elif self._widgets.sidebar.has_focus_within:
            hints = list_hints()
        elif self._widgets.candidates.has_focus:
            hints = candidate_hints()
        elif self._widgets.inspector.view.has_focus:
            hints = view_hints()
        elif self._widgets.transcript.selected is not None:
            hints = token_hints()
        else:
            hints = chat_hints(writing=self._session.live is not None)
        self._widgets.keys.show(hints)
