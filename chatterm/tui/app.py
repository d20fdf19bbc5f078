"""The application: themes, screens, and the way in and out.

What the first painting does not need is imported when it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.command import Provider
from textual.screen import Screen
from textual.worker import Worker

from chatterm.language import _, speak
from chatterm.settings import Settings
from chatterm.tui import alt_digits, background, keymap, keys, layout, messages, themes
from chatterm.tui.engines import LocalEngine, StartEngine
from chatterm.tui.saving import OpenLibrary, open_library
from chatterm.tui.screens.chat import ChatScreen
from chatterm.tui.session import ChatSession
from chatterm.tui.values import draw_seed
from chatterm.tui.widgets.next_token import NextTokenPanel


def _commands() -> type[Provider]:
    from chatterm.tui.commands.palette import CommandProvider

    return CommandProvider


class ChattermApp(App[int]):
    """A terminal chat with a model on this machine.

    Args:
        settings: in force.
        start_engine: gives a new engine; a process on this machine if None.
        library: opens the place where conversations are kept.
        resume: open the last conversation at the start …
        conversation: … or this one.
        light: whether the terminal's background is light, where it said so.
        layout_file: where the arrangement of the screen is remembered; None: nowhere.
    """

    TITLE = "chatterm"
    CSS = """
    CommandPalette SearchIcon { display: none; }
    CommandPalette CommandInput { padding-left: 1; }
    CommandPalette > Vertical { background: $surface; max-width: 100; }
    CommandPalette #--container { background: $surface; max-width: 100; }
    CommandPalette CommandList { border-bottom: hkey $rule; scrollbar-size-vertical: 1; }
    Toast { background: $panel; border-left: outer $muted; }
    """
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    COMMANDS = App.COMMANDS | {_commands}
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
        layout_file: Path | None = None,
    ) -> None:
        alt_digits.read_as_keys()
        super().__init__()
        speak(settings.language)
        self._light = light
        self._complaints = self.use_keys(settings)
        for theme in themes.THEMES:
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
            self._tell_chat,
            lambda work: self.run_worker(work, exit_on_error=True),
            draw,
        )
        self.chat = ChatScreen(
            self.session, panel=settings.next_token_panel, layout_file=layout_file, apply=self.apply_setting
        )

    def _tell_chat(self, message: object) -> None:
        from textual.message import Message

        assert isinstance(message, Message)
        if self.chat.is_running:
            self.chat.post_message(message)

    def get_default_screen(self) -> ChatScreen:
        """The chat is the first thing that is painted."""
        return self.chat

    def show_theme(self, name: str) -> None:
        """Draw in the colours of a theme, or in those that `auto` stands for."""
        self.theme = themes.choose(name, set(self.available_themes), light=self._light)

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
                self.chat.query_one(NextTokenPanel).show_rows(settings.candidates)
            case "next_token_panel":
                self.chat.apply_panel(settings.next_token_panel)
            case "keys":
                complaints = self.use_keys(settings)
                self.chat.say_again()
                return " ".join(complaints)
            case _:
                return _("It holds from the next start on.")
        return ""

    def on_mount(self) -> None:
        """The engine starts behind the screen, once that is painted."""
        for complaint in self._complaints:
            self.notify(complaint, severity="warning", markup=False)
        self.call_after_refresh(lambda: self.run_worker(self._start(), exit_on_error=True))

    async def _start(self) -> None:
        if self._conversation is not None:
            await self.session.resume(self._number(self._conversation))
        elif self._resume:
            await self.session.resume()
        self.post_message(messages.ModelChosen(self.settings.model))

    @staticmethod
    def _number(conversation: str) -> int:
        return int(conversation) if conversation.isdecimal() else 0

    @on(messages.ModelChosen)
    def _model_chosen(self, event: messages.ModelChosen) -> None:
        self._opening = self.run_worker(self.session.host.open(event.model), exit_on_error=True)

    @on(messages.CancelWanted)
    def _cancel_wanted(self) -> None:
        if self._opening is not None and self._opening.is_running:
            self._opening.cancel()

    def action_help(self) -> None:
        """The keys of the screen one is on."""
        from chatterm.tui.screens.help import HelpScreen
        from chatterm.tui.screens.parameters import ParametersScreen
        from chatterm.tui.screens.picker import PickerScreen
        from chatterm.tui.screens.settings import SettingsScreen
        from chatterm.tui.screens.tree import TreeScreen

        scopes: dict[type, keys.Scope] = {
            PickerScreen: "picker",
            ParametersScreen: "parameters",
            TreeScreen: "tree",
            SettingsScreen: "settings",
        }
        here = self.chat.here
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(scopes.get(type(self.screen), here)))

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
                    partial(self._set_theme, theme),
                )

    async def _run_on_chat(self, action: str) -> None:
        await self.chat.run_action(action)

    def _set_theme(self, theme: str) -> None:
        self.theme = theme

    async def action_quit(self) -> None:
        """Leave: end the engines, finish saving."""
        await self.session.close()
        self.exit(0)


async def _start_engine_process() -> LocalEngine:
    from chatterm.engine.client import EngineProcess

    return await EngineProcess.start()


def _ask_the_terminal_for_its_size() -> None:
    """Exported COLUMNS and LINES are as old as the shell that exported them; in the browser they are news."""
    if "TEXTUAL_DRIVER" not in os.environ:
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)


def run_chat(settings: Settings, *, resume: bool = False, conversation: str | None = None) -> int:
    """Open the chat and stay until the user leaves; the exit status."""
    _ask_the_terminal_for_its_size()
    light = background.is_light() if settings.theme == themes.AUTO else None
    app = ChattermApp(
        settings, resume=resume, conversation=conversation, light=light, layout_file=layout.layout_file()
    )
    return app.run() or 0
