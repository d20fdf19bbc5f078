"""A pseudo-terminal that notes when something was written to it. It draws nothing, so it costs little."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

KEEP = 1 << 20
"""Characters kept of what was written, to look for things in."""
ANSWERS = {
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",
    b"\x1b]11;?\x1b\\": b"\x1b]11;rgb:1010/1010/1010\x1b\\",
    b"\x1b[c": b"\x1b[?62;22c",
}
"""What a program asks a terminal, and what one answers that can hold back half-drawn frames and is dark."""


class Terminal:
    """A program in a pseudo-terminal of its own.

    Attributes:
        started: when the process was asked for, on the clock of `time.perf_counter`.
    """

    def __init__(
        self,
        command: list[str],
        folder: Path,
        columns: int = 160,
        rows: int = 48,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start `command` with chatterm's settings, data and logs under `folder`."""
        variables = {
            **os.environ,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "CHATTERM_CONFIG": str(folder / "config"),
            "CHATTERM_DATA": str(folder / "data"),
            "CHATTERM_LOG": str(folder / "log"),
            "CHATTERM_LANGUAGE": "en",
            **(environment or {}),
        }
        self._seen = b""
        self._tail = b""
        self._watched: dict[bytes, float | None] = {}
        self.started = time.perf_counter()
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvpe(command[0], command, variables)

    def write(self, data: str | bytes) -> float:
        """Type; the time at which it was typed. What was written before is not looked at any more."""
        self._seen = b""
        began = time.perf_counter()
        os.write(self._terminal, data.encode() if isinstance(data, str) else data)
        return began

    def wait(self, pattern: bytes, seconds: float = 60.0) -> float:
        """Wait until something that matches is written after the last `write`; the time at which it was.

        Raises:
            TimeoutError: it did not come.
        """
        expression = re.compile(pattern)
        end = time.perf_counter() + seconds
        while not expression.search(self._seen):
            if not self._read(end - time.perf_counter()):
                last = self._seen[-400:]
                raise TimeoutError(f"{pattern!r} did not come within {seconds} s; last: {last!r}")
        return time.perf_counter()

    def watch(self, text: bytes) -> None:
        """Note from now on when this text is first written, whatever is typed in the meantime."""
        self._watched[text] = None

    def watched(self, text: bytes, seconds: float = 60.0) -> float:
        """The time at which a watched text was written; waits for it.

        Raises:
            TimeoutError: it did not come.
        """
        end = time.perf_counter() + seconds
        while (found := self._watched[text]) is None:
            if not self._read(end - time.perf_counter()):
                raise TimeoutError(f"{text!r} did not come within {seconds} s")
        return found

    def drain(self, seconds: float) -> None:
        """Take in what is written within that time."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._read(left)

    def _read(self, seconds: float) -> bool:
        """Take in what there is; False if nothing came in time, or the program has ended."""
        ready, _, _ = select.select([self._terminal], [], [], max(0.0, seconds))
        if not ready:
            return False
        try:
            data = os.read(self._terminal, 1 << 16)
        except OSError:
            return False
        for question, answer in ANSWERS.items():
            if question in data:
                os.write(self._terminal, answer)
        for text, when in self._watched.items():
            if when is None and text in self._tail + data:
                self._watched[text] = time.perf_counter()
        self._tail = data[-64:]
        self._seen = (self._seen + data)[-KEEP:]
        return bool(data)

    def close(self, seconds: float = 10.0) -> None:
        """Leave with ctrl+q, else by force."""
        try:
            os.write(self._terminal, b"\x11")
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                self._read(0.05)
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    return
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (OSError, ChildProcessError):
            return
        finally:
            os.close(self._terminal)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
