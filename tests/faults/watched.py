"""The program in a terminal, every frame that it drew noted with the time, and its death by SIGKILL."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.e2e.terminal import Terminal

COLUMNS, ROWS = 200, 24
PATIENCE = 120.0
"""Seconds after which something is said never to come; a loaded machine takes its time."""

_FRAME_END = b"\x1b[?2026l"
_ASKED_FOR_FRAMES = b"\x1b[?2026$p"
_FRAMES_PLEASE = "\x1b[?2026;2$y"
_USED = re.compile("context ▕.{8}▏([0-9\N{NO-BREAK SPACE}]+) /")
_SAID = re.compile(r"▌ {3}(.*?\([0-9a-f]{8}\))")
_REPLY = "  SmolLM2-135M"  # the line above a reply
_STATES = ("saved", "saving", "not saved")
_MARK = "CHATTERM_TEST_LIFE"


@dataclass(frozen=True)
class Frame:
    """What one whole frame said.

    Attributes:
        at: when it was read, by the monotonic clock: never before it was drawn.
        state: what the status line says of saving; "" where it does not.
        used: tokens of the context window, the status line's own count; None without a model.
        timed: the status line has a speed: where a reply is being written, it has tokens of its own.
        said: the messages of the user in sight.
        asked: those of them that stand above the newest reply in sight.
    """

    at: float
    state: str
    used: int | None
    timed: bool
    said: frozenset[str]
    asked: frozenset[str]


def _said(rows: list[str]) -> frozenset[str]:
    return frozenset(match[1] for row in rows if (match := _SAID.search(row)))


class Watched(Terminal):
    """A program from its start to its violent end."""

    def __init__(self, arguments: list[str], folder: Path) -> None:
        """Start it."""
        self.frames: list[Frame] = []
        self._mark = secrets.token_hex(8)
        self._answered = False
        self.killed_at: float | None = None
        super().__init__(arguments, folder, COLUMNS, ROWS, {_MARK: self._mark})

    def take(self, data: bytes) -> None:
        """Draw, and note each frame when it is whole."""
        if not self._answered and _ASKED_FOR_FRAMES in self.raw:
            self._answered = True
            self.process.send(_FRAMES_PLEASE)
        *whole, rest = data.split(_FRAME_END)
        for piece in whole:
            super().take(piece + _FRAME_END)
            self._note()
        super().take(rest)

    def _note(self) -> None:
        rows = self.screen.display
        shown = rows[:-5]
        newest = max((place for place, row in enumerate(shown) if _REPLY in row), default=0)
        parts = [part.strip() for part in rows[-2].split(" · ")]
        found = _USED.search(rows[-2])
        self.frames.append(
            Frame(
                at=min(time.monotonic(), self.killed_at or float("inf")),
                state=next((part for part in parts if part in _STATES), ""),
                used=int(found[1].replace("\N{NO-BREAK SPACE}", "")) if found else None,
                timed=any(part.endswith(" tok/s") for part in parts),
                said=_said(shown),
                asked=_said(shown[:newest]),
            )
        )

    def until(self, condition: Callable[[Frame], object]) -> None:
        """Wait for a frame."""
        self.wait(lambda _screen: self.frames and condition(self.frames[-1]), PATIENCE)

    def say(self, text: str) -> None:
        """Write a message and send it."""
        self.type(text)
        self.wait(lambda _screen: text in "".join(self.screen.display[-5:-2]), PATIENCE)
        self.press("enter")

    def kill(self) -> None:
        """End it without a word, and take in what it had drawn."""
        self.killed_at = time.monotonic()
        with contextlib.suppress(ProcessLookupError):  # it has left by itself
            os.kill(self.process.pid, signal.SIGKILL)
        self.read(0.2)

    def bury(self) -> None:
        """Wait until nothing of it runs; it is killed if it was not.

        Raises:
            AssertionError: a process of it does not end.
        """
        if self.killed_at is None:
            self.kill()
        until = time.monotonic() + PATIENCE
        while left := self._left():
            if time.monotonic() > until:
                for process in left:
                    process.kill()
                raise AssertionError(f"left behind: {left}")
            self.read(0.05)
        self.process.close(force=True)

    def _left(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(_MARK) == self._mark:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found
