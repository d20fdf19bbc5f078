"""The chat: everything that is on the screen while people talk with a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from chatterm.language import _
from chatterm.settings import Settings
from chatterm.tui import keys, messages
from chatterm.tui.knobs import BY_FIELD
from chatterm.tui.models import about
from chatterm.tui.screens.arranged import ArrangedScreen
from chatterm.tui.screens.conversations import ConversationsScreen
from chatterm.tui.screens.writing import WritingScreen
from chatterm.tui.session import ChatSession
from chatterm.tui.turns import Turn
from chatterm.tui.widgets.chips import Chips
from chatterm.tui.widgets.completions import Completions
from chatterm.tui.widgets.composer import PLACEHOLDER, Composer
from chatterm.tui.widgets.control_bar import ControlBar
from chatterm.tui.widgets.inspector import Inspector
from chatterm.tui.widgets.key_line import (
    KeyLine,
    candidate_hints,
    chat_hints,
    list_hints,
    message_hints,
    token_hints,
)
from chatterm.tui.widgets.legend import Legend
from chatterm.tui.widgets.message_bar import MessageBar
from chatterm.tui.widgets.next_token import NextTokenPanel
from chatterm.tui.widgets.sidebar import Sidebar
from chatterm.tui.widgets.status_line import Status, StatusLine
from chatterm.tui.widgets.system_line import SystemLine
from chatterm.tui.widgets.transcript import Transcript
from chatterm.tui.widgets.welcome import Welcome

FRAME = 1 / 30
"""Seconds between two drawings of a growing reply."""

NARROW = 100
"""Columns below which the panel is shown only on demand."""

REST = 3
"""How long drawing rests afterwards, in times of what it took: keys come first, however long the reply."""

Apply = Callable[[Settings, str], str]
"""Lets a changed setting hold; see `SettingsScreen`."""


class ChatScreen(WritingScreen, ConversationsScreen, ArrangedScreen):
    """Puts the widgets together, and what they say into acts of the session."""

    DEFAULT_CSS = """
    ChatScreen {
        background: $background;
        & #middle { height: 1fr; layers: default over; }
        & Sidebar { display: none; }
        &.-sidebar Sidebar { display: block; }
        &.-drawer Sidebar { layer: over; width: 40; background: $surface; }
        &.-drawer Sidebar RowList { background: $surface; }
        & #conversation { width: 1fr; }
        & Inspector { display: none; }
        &.-panel Inspector { display: block; }
        &.-narrow Inspector { width: 40; }
        &.-wide Inspector { width: 60; }
        &.-bottom #middle { layout: vertical; }
        &.-bottom #conversation { width: 100%; height: 1fr; }
        &.-bottom Inspector { width: 100%; height: 50%; }
        &.-maximised Inspector { width: 1fr; height: 1fr; }
        &.-maximised #conversation { display: none; }
        &.-maximised Composer { display: none; }
        & Transcript { display: none; }
        &.-talking Transcript { display: block; }
        &.-talking Welcome { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("chat")
    AUTO_FOCUS = "Composer"

    def __init__(
        self,
        session: ChatSession,
        *,
        panel: bool = True,
        layout_file: Path | None = None,
        apply: Apply | None = None,
    ) -> None:
        super().__init__(session, layout_file)
        self._apply = apply
        self._wants_panel: bool | None = None if panel else False  # None: wherever there is room
        if self.arrangement.shown is not None:
            self._wants_panel = self.arrangement.shown
        self._drawn = 0  # tokens of the live reply that are on the screen
        self._rest_until = 0.0
        self._look_is_old = True

    def compose(self) -> ComposeResult:
        """Controls, conversation and panel, input, status, keys."""
        yield ControlBar()
        with Horizontal(id="middle"):
            yield Sidebar(self.session)
            with Vertical(id="conversation"):
                yield SystemLine()
                yield Welcome()
                yield Transcript()
                yield Legend()
                yield MessageBar()
            yield Inspector(self.session, NextTokenPanel(self.session.settings.candidates))
        yield Completions()
        yield Chips()
        yield Composer()
        yield StatusLine()
        yield KeyLine()

    def on_mount(self) -> None:
        """Show what there is, and begin to draw growing replies."""
        self.set_interval(FRAME, self._frame)
        self.set_interval(1.0, self._look_after_engine)
        self._fit_to(self.app.size.width)
        self._show_all()

    def _look_after_engine(self) -> None:
        if self.session.live is None:
            self.session.host.look()

    # --- drawing ----------------------------------------------------------------------------------------

    def _show_all(self) -> None:
        self.query_one(Transcript).show(self.shown)
        self._talking()
        self._show_sampling()
        self._show_state()
        self.show_look()

    def _talking(self) -> None:
        self.set_class(bool(self.session.turns), "-talking")

    def _frame(self) -> None:
        """Draw what came since the last frame."""
        live = self.session.live
        if live is not None and len(live.tokens) != self._drawn and monotonic() >= self._rest_until:
            self._drawn = len(live.tokens)
            began = monotonic()
            self.query_one(Transcript).grew(live)
            self.grow_context()
            self._rest_until = monotonic() + REST * (monotonic() - began)
            self._look_is_old = True
            self._show_state()
        if self._look_is_old:
            self.show_look()
        self.inspector.catch_up()

    def show_look(self) -> None:
        """Draw the panel."""
        self._look_is_old = False
        session = self.session
        info = session.info
        look, lookout = session.lookout.look, session.lookout
        empty = self._why_empty() if look is None else lookout.trouble
        self.query_one(NextTokenPanel).show(look, info.vocabulary if info else 0, empty, lookout.found)

    def _why_empty(self) -> str:
        session = self.session
        if session.live is not None:
            return _("The model is reading the prompt; its first choice appears here.")
        if any(turn.role == "assistant" for turn in session.turns):
            return _("This reply was saved without token records.")
        if session.info is None:
            return _("No model is loaded yet. The candidates for each token appear here as it is written.")
        return _("Nothing has been written yet. The candidates for each token appear here as it is written.")

    def _show_sampling(self) -> None:
        session = self.session
        values = session.values
        self.query_one(ControlBar).show(values.sampling, values.start, values.seed_is_chosen)
        self._show_state()

    def _show_state(self) -> None:
        session = self.session
        self.query_one(SystemLine).show(session.system_prompt if session.turns else "")
        reading = session.reading
        share = f" {reading.done / reading.total:.0%}" if reading is not None and reading.total else ""
        self.query_one(StatusLine).show(
            Status(
                info=session.info,
                step=session.engines.step,
                reading=_("reading the prompt") + share if reading is not None else "",
                tokens_per_second=session.tokens_per_second,
                first_token=session.timing.first_token if session.timing is not None else None,
                context_used=session.context_used,
                temperature=session.values.sampling.temperature,
                saved=session.keeper.state,
                trouble=session.host.trouble,
                edits=self.inspector.edits.described,
            )
        )
        if not session.turns:
            self.query_one(Welcome).show(
                session.info, session.engines.step, session.host.trouble, *about(session.info)
            )
        self.show_keys()

    def show_keys(self) -> None:
        """Draw the line of keys."""
        selecting = self.query_one(Transcript).selected is not None
        if self.query_one(MessageBar).has_focus:
            hints = message_hints()
        elif self.sidebar.has_focus_within:
            hints = list_hints()
        elif self.query_one(NextTokenPanel).has_focus:
            hints = candidate_hints()
        else:
            hints = token_hints() if selecting else chat_hints(writing=self.session.live is not None)
        self.query_one(KeyLine).show(hints)

    # --- from the session -------------------------------------------------------------------------------

    @on(messages.TurnsReplaced)
    def _turns_replaced(self) -> None:
        self.forget_context()
        self._drawn = 0
        self._show_all()
        self.check_message()
        self.sidebar.look_again()
        composer = self.query_one(Composer)
        composer.remember([turn.text for turn in self.session.turns if turn.role == "user"])

    @on(messages.TurnsShown)
    def _turns_shown(self, event: messages.TurnsShown) -> None:
        self.session.read_records(event.turns)

    @on(messages.TurnAdded)
    def _turn_added(self, event: messages.TurnAdded) -> None:
        self._talking()
        transcript = self.query_one(Transcript)
        self.forget_context()
        if transcript.turns is self.session.turns:
            transcript.catch_up()
        else:
            transcript.show(self.session.turns)
        if event.turn.live:
            self._drawn = 0
        self.sidebar.look_again()

    @on(messages.TurnChanged)
    def _turn_changed(self, event: messages.TurnChanged) -> None:
        self.query_one(Transcript).grew(event.turn)
        self.grow_context()
        self.show_look()
        if not event.turn.live:
            self.sidebar.look_again()

    @on(messages.StateChanged)
    def _state_changed(self) -> None:
        self._look_is_old = True  # why the panel is empty may have changed
        self._show_state()

    @on(messages.SamplingChanged)
    def _sampling_changed(self) -> None:
        self._show_sampling()

    @on(messages.LookChanged)
    def _look_changed(self) -> None:
        self._look_is_old = True

    # --- from the widgets -------------------------------------------------------------------------------

    @on(messages.ExampleChosen)
    def _example_chosen(self, event: messages.ExampleChosen) -> None:
        self.query_one(Composer).focus()
        self.session.send(event.text)

    @on(messages.Nudged)
    def _nudged(self, event: messages.Nudged) -> None:
        knob = BY_FIELD[event.field]
        value = knob.turned(knob.value(self.session.values.sampling), event.steps)
        self.session.change(**{event.field: value})

    @on(messages.ValueChosen)
    def _value_chosen(self, event: messages.ValueChosen) -> None:
        self.session.change(**{event.field: event.value})

    @on(messages.SiblingWanted)
    def _sibling_wanted(self, event: messages.SiblingWanted) -> None:
        self._show_sibling(event.turn, event.step)

    # --- keys -------------------------------------------------------------------------------------------

    def action_hotter(self) -> None:
        """Temperature up."""
        self.post_message(messages.Nudged("temperature", 1))

    def action_colder(self) -> None:
        """Temperature down."""
        self.post_message(messages.Nudged("temperature", -1))

    def action_stop(self) -> None:
        """Stop the reply; without one, go to the end of the conversation."""
        if not self.session.stop():
            self.query_one(Transcript).follow()
            self.query_one(Composer).focus()

    def action_toggle_panel(self) -> None:
        """Show or hide the next-token panel."""
        self.leave_tokens()
        self._wants_panel = not self.has_class("-panel")
        self.remember(shown=self._wants_panel)
        self.remove_class("-maximised")
        self._fit_to(self.size.width)

    def action_new(self) -> None:
        """Begin a new conversation."""
        if self.sidebar.has_focus_within:
            self.action_leave_sidebar()
        self.session.new()
        self.query_one(Composer).focus()

    def action_regenerate(self) -> None:
        """Another reply to the last message."""
        self.leave_tokens()
        self.session.regenerate()

    def action_sibling(self, step: int) -> None:
        """Another of the replies to the last message."""
        reply = self.session.last_reply
        if reply is not None:
            self._show_sibling(reply, step)

    def _show_sibling(self, turn: Turn, step: int) -> None:
        self.run_worker(self.session.show_sibling(turn, step), exit_on_error=True)

    def action_fold(self) -> None:
        """Unfold or fold thinking."""
        self.query_one(Transcript).fold()

    def action_page(self, direction: int) -> None:
        """Scroll."""
        if self.sidebar.has_focus_within:
            self.sidebar.entries.page(direction)
            return
        self.query_one(Transcript).page(direction)

    def action_top(self) -> None:
        """To the beginning."""
        self.query_one(Transcript).scroll_to(y=0, animate=False)

    def action_bottom(self) -> None:
        """To the end."""
        self.query_one(Transcript).follow()

    def action_pick(self) -> None:
        """Choose a model."""
        from chatterm.tui.screens.picker import PickerScreen

        self.app.push_screen(PickerScreen(self.session))

    def action_parameters(self, field: str = "temperature") -> None:
        """Turn the sampling values."""
        from chatterm.tui.screens.parameters import ParametersScreen

        self.app.push_screen(ParametersScreen(self.session, field))

    @on(messages.PickerWanted)
    def _picker_wanted(self) -> None:
        self.action_pick()

    @on(messages.ParametersWanted)
    def _parameters_wanted(self, event: messages.ParametersWanted) -> None:
        self.action_parameters(event.field)

    # --- size -------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """Another size of the terminal."""
        self._fit_to(self.size.width)

    def fit(self) -> None:
        """Show what has room, and the panel while a token is selected."""
        self._fit_to(self.size.width)

    def open_panel(self) -> None:
        """Show the panel, wherever it was."""
        self._wants_panel = True
        self._fit_to(self.size.width)

    def apply_panel(self, shown: bool) -> None:
        """Whether the settings want the panel where there is room."""
        self.remember(shown=None)
        self._wants_panel = None if shown else False
        self._fit_to(self.size.width)

    def say_again(self) -> None:
        """Draw everything in another language."""
        self.query_one(Composer).placeholder = _(PLACEHOLDER)
        for widget in self.query("*"):
            widget.notify_style_update()  # what was drawn is forgotten
            widget.refresh()
        self._show_all()

    def action_settings(self) -> None:
        """All settings."""
        from chatterm.tui.screens.settings import SettingsScreen

        if self._apply is not None:
            self.app.push_screen(SettingsScreen(self.session.settings, self._apply))

    def show_state(self) -> None:
        """Draw the status line."""
        self._show_state()

    def _fit_to(self, width: int) -> None:
        self.set_class(width < NARROW, "-narrow")
        self.set_class(width >= 160, "-wide")
        wanted = width >= NARROW if self._wants_panel is None else self._wants_panel
        wanted |= self.query_one(Transcript).selected is not None  # what is selected is shown
        self.set_class(wanted, "-panel")
        self.fit_sidebar(width)
        self.put_panel()
