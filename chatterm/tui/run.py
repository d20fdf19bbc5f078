"""The way into the chat at a terminal, and out of it again however that comes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
from types import FrameType

from chatterm import inert
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.settings import Settings
from chatterm.tui import app, background, layout, themes
from chatterm.tui.terminal import colour

LEAVE_AT = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT") if hasattr(signal, name)
)
"""Signals at which the chat is left in good order."""

FROM_KEYS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGQUIT") if hasattr(signal, name))
"""Those of ctrl+c and ctrl+\\, which are meant for the program that has the terminal."""


def _ask_the_terminal_for_its_size() -> None:
    """Exported COLUMNS and LINES are as old as the shell that exported them; in the browser they are news."""
    if "TEXTUAL_DRIVER" not in os.environ:
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)


def _need_a_cursor() -> None:
    """A terminal that cannot place the cursor would show nothing but the sequences that do.

    Raises:
        UserError: this is one.
    """
    name = os.environ.get("TERM", "")
    if name in ("", "dumb", "unknown") and "TEXTUAL_DRIVER" not in os.environ and sys.platform != "win32":
        raise UserError(
            _(
                "The chat needs a terminal that can place the cursor, and by its name (TERM={name}) this one "
                "cannot; `chatterm ask` works in any."
            ).format(name=inert.line(name))
        )


def run_chat(settings: Settings, *, resume: bool = False, conversation: str | None = None) -> int:
    """Open the chat and stay until the user leaves; the exit status."""
    gc.disable()
    _need_a_cursor()
    _ask_the_terminal_for_its_size()
    for number in LEAVE_AT:
        signal.signal(number, _leave_at_once)
    light = background.is_light() if settings.theme == themes.AUTO else None
    chat = app.ChattermApp(
        settings,
        resume=resume,
        conversation=conversation,
        light=light,
        colours=colour.depth(),
        layout_file=layout.layout_file(),
    )
    return asyncio.run(_run(chat))


async def _run(chat: app.ChattermApp) -> int:
    """From the first painting until everything is saved, however that comes; the exit status."""
    loop = asyncio.get_running_loop()
    for number in LEAVE_AT:
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, _asked_to_leave, chat, number)
    try:
        await chat.run_async()
    finally:
        await chat.session.close()  # once more after a crash
        if chat.session.keeper.lost:
            print(inert.line(chat.session.keeper.lost), file=sys.stderr)
    return chat.return_code or 0


def _asked_to_leave(chat: app.ChattermApp, number: int) -> None:
    if not (chat.is_lent and number in FROM_KEYS):
        chat.leave(128 + number)


def _leave_at_once(number: int, _frame: FrameType | None) -> None:
    """Before there is anything to save."""
    sys.exit(128 + number)
