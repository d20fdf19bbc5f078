"""A terminal for tests: a pseudo-terminal with the installed program in it, and a screen that can be read."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pexpect
import pyte
from wcwidth import wcwidth


class _Screen(pyte.Screen):
    """One that passes over a question which editors ask about the keyboard, and which looks like colours.

    What is left of a wide character when its first half was written over is a space, as on other terminals.
    """

    @property
    def display(self) -> list[str]:
        """The rows as text."""
        return ["".join(self._texts(row)) for row in range(self.lines)]

    def _texts(self, row: int) -> Iterator[str]:
        skipped = -1
        for column in range(self.columns):
            text = self.buffer[row][column].data
            if column != skipped:
                yield text or " "
            if text and wcwidth(text[0]) == 2:
                skipped = column + 1

    def select_graphic_rendition(self, *attrs: int, private: bool = False) -> None:
        if not private:
            super().select_graphic_rendition(*attrs)


class Terminal:
    """Runs a command at a size, keeps the screen up to date, types keys."""

    KEYS = {  # noqa: RUF012
        "enter": "\r", "escape": "\x1b", "alt+up": "\x1b[1;3A", "alt+down": "\x1b[1;3B", "ctrl+q": "\x11",
        "ctrl+n": "\x0e", "ctrl+j": "\n", "left": "\x1b[D", "right": "\x1b[C", "up": "\x1b[A",
        "down": "\x1b[B", "home": "\x1b[H", "f1": "\x1bOP", "f2": "\x1bOQ", "f3": "\x1bOR", "f4": "\x1bOS",
        "alt+2": "\x1b2", "alt+4": "\x1b4", "alt+left": "\x1b[1;3D", "ctrl+r": "\x12",
    }  # fmt: skip

    def __init__(
        self,
        arguments: list[str],
        folder: Path,
        columns: int = 120,
        rows: int = 40,
        variables: Mapping[str, str] | None = None,
        program: list[str] | None = None,
    ) -> None:
        """Start `chatterm ARGUMENTS` with its settings, data and logs under `folder`.

        `variables` are further ones of its environment. `program` is run in the place of `chatterm`.
        """
        self.screen = _Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "COLUMNS": "80",  # as a shell exports them that never looked again
            "LINES": "24",
            "CHATTERM_CONFIG": str(folder / "config"),
            "CHATTERM_DATA": str(folder / "data"),
            "CHATTERM_LOG": str(folder / "log"),
            **(variables or {}),
        }
        name, *first = program or [str(Path(sys.executable).with_name("chatterm"))]
        self.process = pexpect.spawn(
            name, [*first, *arguments], env=environment, dimensions=(rows, columns), timeout=1
        )

    @property
    def text(self) -> str:
        """The whole screen, a line a row."""
        return "\n".join(self.screen.display)

    def read(self, seconds: float = 0.05) -> None:
        """Take in what the program writes within that time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                data = self.process.read_nonblocking(1 << 16, timeout=left)
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                return
            self.raw += data
            self.take(data)

    def take(self, data: bytes) -> None:
        """Draw what the program wrote."""
        self._stream.feed(data)

    def wait(self, condition: str | Callable[[str], bool], seconds: float = 90) -> str:
        """Wait until the screen holds a text, or until a condition on it is true; the screen then."""
        holds = (lambda screen: condition in screen) if isinstance(condition, str) else condition
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read()
            if holds(self.text):
                return self.text
            if not self.process.isalive():
                break
        raise AssertionError(f"{condition!r} did not come; the screen was:\n{self.text}")

    def type(self, text: str) -> None:
        """Type characters."""
        self.process.send(text)

    def press(self, *keys: str) -> None:
        """Press keys by name."""
        for key in keys:
            self.process.send(self.KEYS[key])
            self.read(0.05)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size, as dragging a window does."""
        self.screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)

    def end(self, seconds: float = 15) -> int:
        """Wait for the program to leave; its exit status."""
        end = time.monotonic() + seconds
        while self.process.isalive() and time.monotonic() < end:
            self.read()
        self.process.close(force=True)
        assert self.process.exitstatus is not None, "it had to be killed"
        return int(self.process.exitstatus)
