"""The chat: everything that is on the screen while people talk with a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from chatterm.chat.session import ChatSession
from chatterm.chat.turns import Turn
from chatterm.language import _
from chatterm.settings import Settings
from chatterm.tui import keys, messages
from chatterm.tui.screens.conversations import WIDE
from chatterm.tui.screens.drawing import DrawingScreen
from chatterm.tui.widgets.chips import Chips
from chatterm.tui.widgets.completions import Completions
from chatterm.tui.widgets.composer import PLACEHOLDER, Composer
from chatterm.tui.widgets.control_bar import ControlBar
from chatterm.tui.widgets.inspector import Inspector
from chatterm.tui.widgets.key_line import (
    KeyLine,
)
from chatterm.tui.widgets.knobs import BY_FIELD
from chatterm.tui.widgets.legend import Legend
from chatterm.tui.widgets.message_bar import MessageBar
from chatterm.tui.widgets.next_token import NextTokenPanel
from chatterm.tui.widgets.sidebar import Sidebar
from chatterm.tui.widgets.status_line import StatusLine
from chatterm.tui.widgets.system_line import SystemLine
from chatterm.tui.widgets.transcript import Transcript
from chatterm.tui.widgets.welcome import Welcome

NARROW = 100
"""Columns below which the panel is shown only on demand."""

Apply = Callable[[Settings, str], str]
"""Lets a changed setting hold; see `SettingsScreen`."""


class ChatScreen(DrawingScreen):
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

    def compose(self) -> ComposeResult:
        """Controls, conversation and panel, input, status, keys."""
        width = self.app.size.width  # dressed before there is anything whose styles would be looked up anew
        self._dress(width)
        self.set_class(self.sidebar_is_wanted(width), "-sidebar")
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
        """Show what there is, and follow it."""
        self.set_interval(1.0, self._look_after)
        self._fit_to(self.app.size.width)
        self.query_one(Composer).draws = self
        if self.has_class("-sidebar"):
            self.call_after_refresh(self.sidebar.look_again, anew=True)
        self.draw_from_now_on()

    def _look_after(self) -> None:
        if self.session.live is None:
            self.session.host.look()
            self.look_around()

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
        self.remember(shown=self._wants_panel, maximised=False)
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
        self.show_all()

    def action_settings(self) -> None:
        """All settings."""
        from chatterm.tui.screens.settings import SettingsScreen

        if self._apply is not None:
            self.app.push_screen(SettingsScreen(self.session.settings, self._apply))

    def _fit_to(self, width: int) -> None:
        self._dress(width, looks_at_something=self.query_one(Transcript).selected is not None)
        self.fit_sidebar(width)
        self.put_panel()

    def _dress(self, width: int, *, looks_at_something: bool = False) -> None:
        """Say by classes what there is room for; what is looked at is shown."""
        self.set_class(width < NARROW, "-narrow")
        self.set_class(width >= 160, "-wide")
        wanted = width >= NARROW if self._wants_panel is None else self._wants_panel
        self.set_class(wanted or looks_at_something, "-panel")
        self.set_class(self.arrangement.side == "bottom", "-bottom")
        self.set_class(width < WIDE, "-drawer")
