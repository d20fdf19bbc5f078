"""The application: themes, screens, and the way out.

What the first painting does not need is imported when it is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import events, on
from textual._context import active_message_pump
from textual.app import ScreenStackError, SystemCommand
from textual.binding import BindingType
from textual.command import Provider
from textual.css.query import NoMatches
from textual.dom import DOMNode, NoScreen
from textual.driver import Driver
from textual.errors import NoWidget
from textual.filter import LineFilter, Monochrome, NoColor
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.widgets import Input, TextArea
from textual.worker import Worker, WorkerFailed

from chatterm import inert
from chatterm.chat.engines import LocalEngine, StartEngine
from chatterm.chat.events import Event
from chatterm.chat.sampling_values import draw_seed
from chatterm.chat.saving import OpenLibrary, open_library
from chatterm.chat.session import ChatSession
from chatterm.language import _, speak
from chatterm.settings import Settings
from chatterm.tui import keys, messages, themes
from chatterm.tui.keys import keymap
from chatterm.tui.screens.chat.screen import ChatScreen
from chatterm.tui.terminal import alt_keys, colour, crash
from chatterm.tui.terminal.inert_lines import InertLines
from chatterm.tui.terminal.opening import Opening
from chatterm.tui.terminal.suspended import LendingApp
from chatterm.tui.widgets.knobs import whole_number
from chatterm.tui.workers import Workers

_INERT = InertLines()

BEHIND, LAST = 5, 19
"""How much nicer the engine is than the interface, and how nice a process can be. With 5 more the scheduler
gives it a third of what it gives the interface, where both want the same processor."""

SETTLED = 2.0
"""Seconds after which what the start has made is there."""


def _commands() -> type[Provider]:
    from chatterm.tui.commands.palette import CommandProvider

    return CommandProvider


class ChattermApp(LendingApp):
    """A terminal chat with a model on this machine.

    Args:
        settings: in force.
        start_engine: gives a new engine; a process on this machine if None.
        library: opens the place where conversations are kept.
        resume: open the last conversation at the start …
        conversation: … or this one.
        light: whether the terminal's background is light, where it said so.
        colours: that the terminal has; 0: none. NO_COLOR says the same.
        layout_file: where the arrangement of the screen is remembered; None: nowhere.
        opening: has taken the terminal over already; None if nobody has.
        keep_first_frame: is given the first frame, as it is written to the terminal, when the start is over.
    """

    TITLE = "chatterm"
    CSS = """
    CommandPalette SearchIcon { display: none; }
    CommandPalette CommandInput { padding-left: 1; }
    CommandPalette > Vertical { background: $surface; max-width: 100; }
    CommandPalette #--container { background: $surface; max-width: 100; }
    CommandPalette CommandList { border-bottom: hkey $rule; scrollbar-size-vertical: 1; }
    Toast { background: $panel; border-left: outer $muted; }
    ToastRack { margin-bottom: 5; }  /* above the message that is being written, and the status line */
    """
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_commands}
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("anywhere")

    def __init__(
        self,
        settings: Settings,
        *,
        start_engine: StartEngine | None = None,
        library: OpenLibrary = open_library,
        resume: bool = False,
        conversation: str | None = None,
        draw: Callable[[], int] = draw_seed,
        light: bool | None = None,
        colours: int = colour.TRUE,
        layout_file: Path | None = None,
        opening: Opening | None = None,
        keep_first_frame: Callable[[str], object] | None = None,
    ) -> None:
        alt_keys.read_as_keys()
        super().__init__()
        self._workers = Workers(self)
        speak(settings.language)
        self._opening_terminal = opening
        self._keep_first_frame = keep_first_frame
        self._is_painted = False
        self._light = light
        self._colours = 0 if colour.is_unwanted() else colours
        self._do_without_colours()
        # what the terminal's description says; by itself Rich only knows a few names
        self.console._color_system = colour.system(self._colours)
        self._leaving: asyncio.Task[None] | None = None
        self._complaints = self.use_keys(settings)
        for theme in (*themes.THEMES, themes.CHATTERM_PLAIN):
            self.register_theme(theme)
        self.show_theme(settings.theme)
        self.settings = settings
        self._resume = resume or settings.resume == "last"
        self._conversation = conversation
        self._opening: Worker[None] | None = None
        self.session = ChatSession(
            settings,
            start_engine or _start_engine_process,
            library,
            lambda work: self.run_worker(work, exit_on_error=True),
            draw,
        )
        self.session.events.subscribe(self._tell_chat)
        self.chat = ChatScreen(
            self.session, panel=settings.next_token_panel, layout_file=layout_file, apply=self.apply_setting
        )

    def _tell_chat(self, event: Event) -> None:
        if self.chat.is_running:
            self.chat.clock.wake()
            self.chat.post_message(messages.of_session(event))

    def get_driver_class(self) -> type[Driver]:
        """What holds the terminal; in the browser and under Windows it is Textual's own."""
        if "TEXTUAL_DRIVER" in os.environ or sys.platform == "win32":
            return super().get_driver_class()
        from chatterm.tui.terminal.driver import TerminalDriver

        return TerminalDriver

    def _build_driver(
        self, headless: bool, inline: bool, mouse: bool, size: tuple[int, int] | None
    ) -> Driver:
        driver = super()._build_driver(headless, inline, mouse, size)
        if self._opening_terminal is not None and not headless:
            from chatterm.tui.terminal.driver import TerminalDriver

            assert isinstance(driver, TerminalDriver)
            driver.take_over(self._opening_terminal)
        return driver

    def get_default_screen(self) -> ChatScreen:
        """The chat is the first thing that is painted."""
        return self.chat

    def show_theme(self, name: str) -> None:
        """Draw in the colours of a theme, or in those that `auto` stands for."""
        known = set(self.available_themes)
        self.theme = themes.choose(name, known, light=self._light, colours=self._colours)

    def _do_without_colours(self) -> None:
        """Textual makes them grey where NO_COLOR is set, and that is a colour too."""
        self.no_color = not self._colours
        self._filters = [f for f in self._filters if not isinstance(f, (Monochrome, NoColor))]
        if self.no_color:
            self._filters.append(colour.Colourless())
        elif self._colours < themes.MANY_COLOURS:
            self._filters.append(colour.Legible())

    def use_keys(self, settings: Settings) -> tuple[str, ...]:
        """Take the user's own keys; a sentence for each that cannot be."""
        own, complaints = keymap.read(settings.keys)
        keys.use(own)
        self.set_keymap({action: ",".join(names) for action, names in own.items()})
        return complaints

    def apply_setting(self, settings: Settings, name: str) -> str:
        """Let a changed setting hold, at once where that can be; what there is to say about it."""
        self.settings = self.session.settings = settings
        match name:
            case "theme":
                self.show_theme(settings.theme)
            case "language":
                speak(settings.language)
                self.chat.say_again()
            case "candidates":
                self.chat.widgets.candidates.show_rows(settings.candidates)
            case "next_token_panel":
                self.chat.arrangement.prefer(settings.next_token_panel)
            case "keys":
                complaints = self.use_keys(settings)
                self.chat.say_again()
                return " ".join(complaints)
            case _:
                return _("It holds from the next start on.")
        return ""

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Leave the terminal's cursor in the text, where an input method shows what is being composed.

        The fields say where it is when it moves in them, not when they are moved.
        """
        if isinstance(field := screen.focused, (TextArea, Input)):
            self.cursor_position = field.cursor_screen_offset
        super()._display(screen, renderable)
        if not self._is_painted and renderable is not None and screen.focused is not None:
            self._is_painted = True
            self._painted()

    def _painted(self) -> None:
        """The first frame is there: take what has been typed, and keep the frame when nobody waits."""
        if "TEXTUAL_DRIVER" in os.environ or sys.platform == "win32":
            return
        from chatterm.tui.terminal.driver import TerminalDriver

        if not isinstance(driver := self._driver, TerminalDriver):
            return
        driver.listen()
        drawings, keep = driver.first_drawings(), self._keep_first_frame
        if keep is not None:
            self.set_timer(SETTLED, lambda: self.run_worker(partial(_keep, keep, drawings), thread=True))

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What every line goes through before it is drawn."""
        return [*super().get_line_filters(), _INERT]

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Tell something at the edge of the screen. It may quote anything: it is inert and never markup."""
        super().notify(inert.block(message), title=title, severity=severity, timeout=timeout, markup=False)

    def copy_to_clipboard(self, text: str) -> None:
        """Copy a text, inert: what is pasted somewhere must not act there, nor end the paste."""
        super().copy_to_clipboard(inert.block(text))

    def on_mount(self) -> None:
        """The engine starts behind the screen, once that is painted."""
        for complaint in self._complaints:
            self.notify(complaint, severity="warning", markup=False)
        self.call_after_refresh(lambda: self.run_worker(self._start(), exit_on_error=True))
        if not self.is_headless:
            self.set_timer(SETTLED, _look_for_garbage)

    async def _start(self) -> None:
        if self._conversation is not None:
            await self.session.resume(self._number(self._conversation))
        elif self._resume:
            await self.session.resume()
        self.post_message(messages.ModelChosen(self.settings.model))

    @staticmethod
    def _number(conversation: str) -> int:
        return whole_number(conversation) or 0

    @on(messages.ModelChosen)
    def _model_chosen(self, event: messages.ModelChosen) -> None:
        self._opening = self.run_worker(self.session.host.open(event.model), exit_on_error=True)

    @on(messages.CancelWanted)
    def _cancel_wanted(self) -> None:
        if self._opening is not None and self._opening.is_running:
            self._opening.cancel()

    def action_help(self) -> None:
        """The keys of the screen one is on."""
        from chatterm.tui.dialogs.help import HelpScreen

        if isinstance(self.screen, HelpScreen):
            self.screen.action_back()
        else:
            self.push_screen(HelpScreen(getattr(self.screen, "SCOPE", self.chat.here)))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the command palette offers: all that the keys do, and the themes."""
        for key in (*keys.of("chat"), *keys.of("anywhere")):
            if key.action != "app.command_palette":
                names = _(" or ").join(keys.name(name) for name in key.keys)
                yield SystemCommand(_(key.says), names, partial(self._run_on_chat, key.action))
        yield SystemCommand(
            _("Compare clean and edited"),
            _("Both write on from here, side by side"),
            partial(self._run_on_chat, "compare"),
        )
        yield SystemCommand(
            _("Self-check"),
            _("What must hold inside the loaded model, and by how much it does not"),
            partial(self._run_on_chat, "self_check"),
        )
        for theme in self.available_themes:
            if theme.startswith("chatterm"):
                yield SystemCommand(
                    _("Theme: {theme}").format(theme=theme),
                    _("Colours of the screen"),
                    partial(self.show_theme, theme),
                )

    async def _run_on_chat(self, action: str) -> None:
        await self.chat.run_action(action)

    async def action_quit(self) -> None:
        """Leave."""
        self.leave(0)

    def action_command_palette(self) -> None:
        """Everything that can be done."""
        from chatterm.tui.dialogs.dialog import Palette

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette())  # without a name: one may still be going away

    def leave(self, status: int) -> None:
        """End the engines, finish saving, give the terminal back; `status` is that of the process."""
        if self._leaving is None:
            self._leaving = asyncio.ensure_future(self._leave(status))

    async def _leave(self, status: int) -> None:
        try:
            await self.session.close()
        finally:
            self.exit(status, return_code=status)

    async def on_event(self, event: events.Event) -> None:
        """A click on what has just gone away, but is still drawn, hits nothing."""
        if isinstance(event, (events.InputEvent, events.Paste)):
            self.chat.clock.wake()
        if isinstance(event, events.MouseDown) and not event.is_forwarded and self._has_gone(event):
            return
        await super().on_event(event)

    def _has_gone(self, click: events.MouseDown) -> bool:
        try:
            return not self.get_widget_at(click.x, click.y)[0].is_attached
        except (NoWidget, ScreenStackError):
            return True

    def _handle_exception(self, error: Exception) -> None:
        """What goes wrong on a screen that has just been sent away, with its widgets, hurts nobody."""
        cause = error.error if isinstance(error, WorkerFailed) else error
        pump = active_message_pump.get(None)
        if isinstance(cause, NoMatches) and isinstance(pump, DOMNode) and not self._is_shown(pump):
            return
        super()._handle_exception(error)

    def _is_shown(self, node: DOMNode) -> bool:
        if self._exit:
            return False
        try:
            return node is self or node.screen in self.screen_stack
        except NoScreen:
            return False

    def _fatal_error(self) -> None:
        """Something is wrong in the program itself; it is told once it is known what could be saved."""
        self._close_messages_no_wait()

    async def _shutdown(self) -> None:
        """Save what there is, and then tell of a mistake: a sentence on the terminal, the rest in a file."""
        try:
            await self.session.close()
        finally:
            if self._exception is not None:
                keeper = self.session.keeper
                state = "not saved" if keeper.lost else keeper.state  # also where it is another conversation
                self._exit_renderables = [Text(crash.told(self._exception, state))]
            await super()._shutdown()


def _keep(keep: Callable[[str], object], drawings: Sequence[str]) -> None:
    from chatterm.tui.terminal.frames import Frames

    keep("".join(map(Frames().changed, drawings)))


async def _start_engine_process() -> LocalEngine:
    from chatterm.engine.client import EngineProcess

    engine = await EngineProcess.start()
    give_way(engine.pid)
    return engine


def give_way(pid: int) -> None:
    """Let a process, and all that it starts from now on, come after this one where both want a processor.

    The model computes without a pause on all of them, the interface now and then for some milliseconds, and
    for these somebody waits who types.
    """
    with contextlib.suppress(OSError, AttributeError):  # Windows has no such numbers
        ours = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, pid, min(ours + BEHIND, LAST))


def _look_for_garbage() -> None:
    """From now on, and not in what is there by now: that stays, and would hold up the keys for a moment."""
    gc.freeze()
    gc.enable()
