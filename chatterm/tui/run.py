"""The way into the chat at a terminal, and out of it again however that comes."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import sys
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from chatterm import inert
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.settings import Settings
from chatterm.tui import layout
from chatterm.tui.terminal import first_frame, opening
from chatterm.tui.terminal.background import AUTO

if TYPE_CHECKING:
    from chatterm.tui.app import ChattermApp

LEAVE_AT = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT") if hasattr(signal, name)
)
"""Signals at which the chat is left in good order."""

FROM_KEYS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGQUIT") if hasattr(signal, name))
"""Those of ctrl+c and ctrl+\\, which are meant for the program that has the terminal."""


SWITCH = 0.001
"""Seconds after which a thread that computes lets another one go on: the threads that read and write the
terminal have little to do, and keys wait for it."""


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
    """Open the chat and stay until the user leaves; the exit status.

    The frame of the start before is shown before the application is imported.
    """
    gc.disable()
    _need_a_cursor()
    _ask_the_terminal_for_its_size()
    for number in LEAVE_AT:
        signal.signal(number, _leave_at_once)
    layout_file = layout.layout_file()
    frames = first_frame.FirstFrames(
        first_frame.file(),
        first_frame.circumstances(
            settings, shutil.get_terminal_size(), layout.load_layout(layout_file), resume, conversation
        ),
    )
    with contextlib.ExitStack() as stack:
        terminal = opening.at_terminal()
        if terminal is not None:
            stack.enter_context(terminal)
            if settings.theme == AUTO:
                terminal.ask_background()
            if frame := frames.recall(terminal.is_light(opening.SOON)):
                terminal.show(frame)
        return _open(settings, terminal, frames, resume=resume, conversation=conversation)


def _open(
    settings: Settings,
    terminal: opening.Opening | None,
    frames: first_frame.FirstFrames,
    *,
    resume: bool,
    conversation: str | None,
) -> int:
    """Import the application and run it; the exit status."""
    from chatterm.tui import app
    from chatterm.tui.terminal import colour

    sys.setswitchinterval(SWITCH)
    light = terminal.is_light() if terminal is not None else None
    chat = app.ChattermApp(
        settings,
        resume=resume,
        conversation=conversation,
        light=light,
        colours=colour.depth(),
        layout_file=layout.layout_file(),
        opening=terminal,
        keep_first_frame=partial(frames.keep, light),
    )
    import asyncio

    return asyncio.run(_run(chat))


async def _run(chat: ChattermApp) -> int:
    """From the first painting until everything is saved, however that comes; the exit status."""
    import asyncio

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


def _asked_to_leave(chat: ChattermApp, number: int) -> None:
    if not (chat.is_lent and number in FROM_KEYS):
        chat.leave(128 + number)


def _leave_at_once(number: int, _frame: FrameType | None) -> None:
    """Before there is anything to save."""
    sys.exit(128 + number)
