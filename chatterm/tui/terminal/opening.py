"""The terminal between the start of the process and the application, whose modules take their time to import.

It is taken over at once, so that what is typed meanwhile is neither echoed nor lost, asked for its
background, and shown a frame. Nothing here imports the application, nor what it is made of.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

from chatterm.tui.terminal import background

PATIENCE: Final = 0.2
"""Seconds that an answer may take; terminals answer within milliseconds, but for slow links."""
SOON: Final = 0.05
"""Seconds for which it is waited for before something is drawn."""
SLOW: Final = 0.2
"""Seconds that the terminal has to take in the frame; of one that is slower, the rest is left out."""

ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?2004h"
"""The screen for programs, no cursor, no wrapping, pastes marked as such."""
LEAVE: Final = "\x1b[0m\x1b[?2004l\x1b[?7h\x1b[?1049l\x1b[?25h"


class Opening:
    """Hold the terminal until the application takes it over.

    In a `with`: what nobody took over by its end is given back as it was found. Signals from keys are still
    sent, but for the one that puts programs to sleep: no one would tidy up before that, or draw after it.

    Args:
        file: a descriptor that the terminal is read by.
        out: one that it is written to.
        encoding: of the text that it takes.

    Attributes:
        before: the terminal's settings as they were found; None where it has none.
        has_entered: whether `ENTER` was written.
        typed: what was read of what is typed.
    """

    def __init__(self, file: int, out: int, encoding: str = "utf-8") -> None:
        self._file = file
        self._out = out
        self._encoding = encoding
        self._asked_at: float | None = None
        self._answer = b""
        self._is_taken = False
        self.before: list[Any] | None = None
        self.has_entered = False
        self.typed = b""

    def __enter__(self) -> Self:
        import termios

        with contextlib.suppress(termios.error, OSError):
            self.before = termios.tcgetattr(self._file)
            termios.tcsetattr(self._file, termios.TCSANOW, _listening(self.before))
            self._answer = self._typed_before(self.before)
        return self

    def _typed_before(self, settings: list[Any]) -> bytes:
        """What was typed before the terminal was taken over, whose Enter was made a line feed: ctrl+j."""
        import termios
        import tty

        typed = os.read(self._file, 1 << 16) if select.select([self._file], [], [], 0)[0] else b""
        return typed.replace(b"\n", b"\r") if settings[tty.IFLAG] & termios.ICRNL else typed

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_taken:
            return
        import termios

        if self.has_entered:
            self._write(LEAVE)
        with contextlib.suppress(termios.error):
            if self.before is not None:
                termios.tcsetattr(self._file, termios.TCSANOW, self.before)

    def ask_background(self) -> None:
        """Ask what the background is; `is_light` has the answer."""
        self._asked_at = monotonic()
        self._write(background.QUESTION)

    def is_light(self, patience: float = PATIENCE) -> bool | None:
        """Whether the background is light, which the terminal has so many seconds to say after it was asked.

        None where it was not asked or has not said.
        """
        if self._asked_at is None:
            return None
        until = self._asked_at + patience
        while not background.is_complete(self._answer):
            left = until - monotonic()
            if not select.select([self._file], [], [], max(0.0, left))[0]:
                break
            try:
                data = os.read(self._file, 1024)
            except OSError:
                break
            if not data:
                break
            self._answer += data
        return background.light_in(self._answer)

    def show(self, drawing: str) -> None:
        """Draw a frame on a screen of its own."""
        self.has_entered = True
        self._write(ENTER + drawing)

    def hand_over(self) -> None:
        """From now on somebody else gives the terminal back, and has what was `typed`."""
        self._is_taken = True
        self.typed = background.without_answers(self._answer)

    def _write(self, text: str) -> None:
        """Write what the terminal takes in without keeping anybody waiting."""
        data, until = text.encode(self._encoding, "replace"), monotonic() + SLOW
        try:
            out = os.open(os.ttyname(self._out), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            return
        try:
            while data and select.select([], [out], [], max(0.0, until - monotonic()))[1]:
                with contextlib.suppress(BlockingIOError):
                    data = data[os.write(out, data) :]
        except OSError:  # the terminal is gone
            return
        finally:
            os.close(out)


def _listening(before: list[Any]) -> list[Any]:
    """No echo and no lines; keys are not translated, so that they mean the same to whoever reads them."""
    import termios
    import tty

    settings = [*before]
    settings[tty.CC] = [*before[tty.CC]]
    settings[tty.LFLAG] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
    settings[tty.IFLAG] &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR)
    settings[tty.CC][termios.VMIN] = 1
    settings[tty.CC][termios.VTIME] = 0
    settings[tty.CC][termios.VSUSP] = b"\0"
    return settings


def at_terminal() -> Opening | None:
    """For the terminal of this process; None in the browser, and where there is no such thing as these."""
    if "TEXTUAL_DRIVER" in os.environ or sys.platform == "win32":
        return None
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    return Opening(sys.stdin.fileno(), sys.stdout.fileno(), sys.stdout.encoding or "utf-8")
