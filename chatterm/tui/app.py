"""The application: themes, screens, and the way in and out."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import App
from textual.binding import BindingType

from chatterm.engine.client import EngineProcess
from chatterm.settings import Settings
from chatterm.tui import keys, themes
from chatterm.tui.engines import StartEngine
from chatterm.tui.models import about
from chatterm.tui.saving import Forgetful, Keeper
from chatterm.tui.screens.chat import ChatScreen
from chatterm.tui.session import ChatSession


class ChattermApp(App[int]):
    """A terminal chat with a model on this machine.

    Args:
        settings: in force.
        start_engine: gives a new engine; a process on this machine if None.
        keeper: saves the conversation.
        resume: open the last conversation at the start …
        conversation: … or this one.
    """

    TITLE = "chatterm"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("anywhere")

    def __init__(
        self,
        settings: Settings,
        *,
        start_engine: StartEngine | None = None,
        keeper: Keeper | None = None,
        resume: bool = False,
        conversation: str | None = None,
        draw_seed: Callable[[], int] | None = None,
    ) -> None:
        super().__init__()
        for theme in themes.THEMES:
            self.register_theme(theme)
        self.theme = themes.choose(settings.theme, set(self.available_themes))
        self.settings = settings
        self._resume = resume or settings.resume == "last"
        self._conversation = conversation
        extra = {} if draw_seed is None else {"draw_seed": draw_seed}
        self.session = ChatSession(
            settings,
            start_engine or EngineProcess.start,
            keeper or Forgetful(),
            self._tell_chat,
            lambda work: self.run_worker(work, exit_on_error=True),
            **extra,
        )
        self.chat = ChatScreen(self.session, panel=settings.next_token_panel)

    def _tell_chat(self, message: object) -> None:
        from textual.message import Message

        assert isinstance(message, Message)
        if self.chat.is_running:
            self.chat.post_message(message)

    def get_default_screen(self) -> ChatScreen:
        """The chat is the first thing that is painted."""
        return self.chat

    def on_mount(self) -> None:
        """The engine starts behind the screen."""
        self.run_worker(self.session.start(), exit_on_error=True)

    def about_models(self) -> tuple[str, str]:
        """What the catalog says of the loaded model, and which better ones it offers."""
        return about(self.session.info)

    async def action_quit(self) -> None:
        """Leave: end the engines, finish saving."""
        await self.session.close()
        self.exit(0)


def run_chat(settings: Settings, *, resume: bool = False, conversation: str | None = None) -> int:
    """Open the chat and stay until the user leaves; the exit status."""
    app = ChattermApp(settings, resume=resume, conversation=conversation)
    return app.run() or 0
