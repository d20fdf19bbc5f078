"""A terminal that can be mistreated: signals, hang-ups, stops, floods; and what state it was left in."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))

from terminal import Terminal

_MODES = re.compile(rb"\x1b\[\?([\d;]+)([hl])")
_KEYS = re.compile(rb"\x1b\[([<>])(\d*)u")
_POINTER = re.compile(rb"\x1b\]22;([^\x07\x1b]*)(?:\x07|\x1b\\)")
_QUESTIONS = re.compile(rb"\x1b\[\?(2026|2048)\$p")
ON_AT_FIRST = {7, 25}
"""Modes of a terminal that is turned on: lines wrap, the cursor is seen."""
ALTERNATE_SCREEN = {47: 1049, 1047: 1049}
"""Older modes that switch the same thing."""
NEVER_ENDING = """
[sampling]
temperature = 0.7
seed = 7

[sampling.logit_bias]
"0" = -inf
"2" = -inf
"""
"""A reply that goes on until it is stopped: the default model's two ends are forbidden."""


def modes(raw: bytes) -> tuple[set[int], int, str]:
    """What a terminal is left with after `raw` was written to it.

    The modes that are on, how many keyboard protocols are pushed, and the pointer's shape.
    """
    on = set(ON_AT_FIRST)
    for numbers, switch in _MODES.findall(raw):
        for number in map(int, numbers.split(b";")):
            number = ALTERNATE_SCREEN.get(number, number)
            (on.add if switch == b"h" else on.discard)(number)
    pushed = 0
    for direction, _flags in _KEYS.findall(raw):
        pushed = pushed + 1 if direction == b">" else max(0, pushed - 1)
    shapes = _POINTER.findall(raw)
    return on, pushed, shapes[-1].decode() if shapes else "default"


class AbusedTerminal(Terminal):
    """`program` is run in the place of the installed one.

    A `modern` terminal can hold back half-drawn frames and tells its size in the stream, in pixels too.
    """

    def __init__(
        self,
        folder: Path,
        columns: int = 90,
        rows: int = 30,
        *,
        program: list[str] | None = None,
        modern: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        (folder / "config").mkdir(exist_ok=True)
        (folder / "config" / "config.toml").write_text(NEVER_ENDING)
        self._folder = folder
        self._modern = modern
        super().__init__([], folder, columns, rows, variables, program)
        self.settings_before = self.settings()
        self.family: list[psutil.Process] = []

    def settings(self) -> list[Any]:
        """What `stty -a` shows."""
        return termios.tcgetattr(self.process.child_fd)

    def take(self, data: bytes) -> None:
        """Draw, and answer what a modern terminal is asked."""
        if self._modern:
            for mode in _QUESTIONS.findall(data):
                self.send(b"\x1b[?" + mode + b";2$y")
            if b"\x1b[?2048h" in data:
                self._tell_size()
        super().take(data)

    def _tell_size(self) -> None:
        rows, columns = self.screen.lines, self.screen.columns
        self.send(b"\x1b[48;%d;%d;%d;%dt" % (rows, columns, rows * 20, columns * 10))

    def resize(self, columns: int, rows: int) -> None:
        """Change the size; a modern terminal says so as well."""
        super().resize(columns, rows)
        if self._modern:
            self._tell_size()

    def send(self, data: bytes) -> None:
        """Type bytes, taking in what the program writes meanwhile."""
        place, end = 0, time.monotonic() + 120
        file = self.process.child_fd
        while place < len(data) and time.monotonic() < end:
            readable, writable, _ = select.select([file], [file], [], 0.5)
            if writable:
                place += os.write(file, data[place : place + 1024])
            if readable and place < len(data):
                self.read(0.001)
        assert place == len(data), f"only {place} of {len(data)} bytes were taken"

    def begin(self, question: str = "Tell me a long story about a lighthouse keeper.") -> None:
        """Wait for the model, ask, and wait until the reply is being written."""
        self.wait("is ready")
        self.type(question)
        self.wait(lambda screen: question[:20] in screen)
        self.press("enter")
        self.wait("tok/s")
        process = psutil.Process(self.process.pid)
        self.family = [process, *process.children(recursive=True)]

    def children(self, name: str) -> list[psutil.Process]:
        """The processes below the program that have a name in their command line."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        return [one for one in below if any(part.endswith(name) for part in one.cmdline()[:2])]

    def signal(self, number: int) -> None:
        """Send the program a signal."""
        os.kill(self.process.pid, number)

    def hang_up(self) -> None:
        """Close the terminal under the program."""
        self.process.ptyproc.fileobj.close()
        self.process.closed = self.process.ptyproc.closed = True

    def leave(self, seconds: float = 60, *, reading: bool = True) -> int:
        """Wait for the program to end; its exit status. It must not take longer, nor end by a signal."""
        end = time.monotonic() + seconds
        while self.process.isalive():
            assert time.monotonic() < end, f"it did not leave within {seconds} s"
            if reading:
                self.read(0.05)
            else:
                time.sleep(0.05)
        if self.process.exitstatus is None:
            return -int(self.process.signalstatus)
        return int(self.process.exitstatus)

    def read_the_rest(self) -> None:
        """Take in what a program that has ended wrote."""
        file = self.process.child_fd
        while select.select([file], [], [], 0.2)[0]:
            try:
                data = os.read(file, 1 << 16)
            except OSError:
                return
            if not data:
                return
            self.raw += data

    def assert_as_it_was(self) -> None:
        """The terminal is in the state in which the program found it."""
        on, pushed, pointer = modes(self.raw)
        assert on == ON_AT_FIRST, f"modes that were left on {on - ON_AT_FIRST}, off {ON_AT_FIRST - on}"
        assert pushed == 0, f"{pushed} keyboard protocols were left behind"
        assert pointer == "default", f"the pointer was left as {pointer}"
        assert self.settings() == self.settings_before, "termios is not as it was"

    def assert_nobody_is_left(self, seconds: float = 20) -> None:
        """No process of the program lives."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            left = [process for process in self.family if _lives(process)]
            if not left:
                return
            time.sleep(0.05)
        raise AssertionError(f"left behind: {[process.cmdline() for process in left]}")

    def close(self) -> None:
        """End whatever is left, by force."""
        for process in self.family:
            if _lives(process):
                process.kill()
        if self.process.terminated:
            if not self.process.closed:
                self.hang_up()
        elif self.process.closed:
            self.signal(signal.SIGKILL)
        else:
            self.process.close(force=True)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
