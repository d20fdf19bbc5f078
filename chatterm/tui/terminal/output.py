"""What is written to the terminal, by a thread of its own: a terminal that stops reading stops nobody."""

from __future__ import annotations

import os
import re
import select
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

from chatterm.tui.terminal.frames import Frames

CHUNK: Final = 4096
"""Bytes written at once."""
TICK: Final = 0.05
"""Seconds for which a terminal that takes nothing is waited for at a time."""
PATIENCE: Final = 0.25
"""Seconds that a terminal may take over what it was given before it counts as slow."""

SYNC: Final = ("\x1b[?2026h", "\x1b[?2026l")
_DRAWS: Final = re.compile(r"\x1b\[(?:\d+;\d+)?H")


def is_drawing(text: str) -> bool:
    """Whether a piece of output paints a part of the screen, rather than set up or ask the terminal."""
    return text in SYNC or _DRAWS.match(text) is not None


def _size(text: str) -> int:
    """What counts of it: a frame's begin waits for its end, and must not be too much for the rest."""
    return 0 if text in SYNC else len(text)


class Output(threading.Thread):
    """A queue in front of the terminal. Writing to it never waits.

    When more is waiting than a whole screen would take, or anything behind a slow terminal, what draws is
    thrown away, and the screen is drawn anew once the terminal has caught up: of that only what it does not
    show goes there. What sets up the terminal, or copies to its clipboard, is kept.

    Args:
        file: a descriptor of the terminal, best one that does not block.
        encoding: of the text that it takes.
        limit: characters of drawing that may wait, asked whenever that matters.
        caught_up: is called, by this thread, when something was thrown away and the terminal can take more.
    """

    def __init__(
        self, file: int, encoding: str, limit: Callable[[], int], caught_up: Callable[[], object]
    ) -> None:
        super().__init__(daemon=True, name="terminal output")
        self._file = file
        self._encoding = encoding
        self._limit = limit
        self._caught_up = caught_up
        self._changed = threading.Condition()
        self._waiting: deque[str] = deque()
        self._size = 0
        self._frames = Frames()
        self._changed_by_others = False
        self._stuck_since: float | None = None
        self._behind = False
        self._stopping = False
        self._gave_up = False
        self._is_whole = True  # no frame has begun that has not ended

    def write(self, text: str) -> None:
        """Write soon."""
        with self._changed:
            if self._gave_up:
                return
            if text in SYNC:
                self._is_whole = text == SYNC[1]
            if is_drawing(text):
                if self._behind:
                    return
                if self._is_slow() or (text not in SYNC and self._is_too_much(text)):
                    self._throw_drawings_away()
                    self._changed.notify()
                    return
            self._waiting.append(text)
            self._size += _size(text)
            if self._is_whole:  # the thread is not woken for each part of a frame
                self._changed.notify()

    def redraw(self) -> None:
        """The screen is no longer what was drawn: the next drawings are written as they are."""
        with self._changed:
            self._changed_by_others = True

    def _is_too_much(self, drawing: str) -> bool:
        return self._size + len(drawing) > max(self._limit(), len(drawing))

    def _is_slow(self) -> bool:
        since = self._stuck_since
        return since is not None and monotonic() - since > PATIENCE

    def _throw_drawings_away(self) -> None:
        self._waiting = deque(text for text in self._waiting if not is_drawing(text))
        self._size = sum(map(_size, self._waiting))
        self._behind = True

    def run(self) -> None:
        """Write until `stop`."""
        while True:
            with self._changed:
                while not ((self._waiting and self._is_whole) or self._stopping or self._behind):
                    self._changed.wait()
                if self._changed_by_others:
                    self._changed_by_others = False
                    self._frames.forget()
                text = "".join(map(self._needed, self._waiting))
                self._waiting.clear()
                self._size = 0
                if not text and self._stopping:
                    return
                told = self._behind and not text
                if told:
                    self._behind = False
            if told:
                self._caught_up()
            elif not self._put(text.encode(self._encoding, "replace")):
                return

    def _needed(self, text: str) -> str:
        frames = self._frames
        return frames.changed(text) if text not in SYNC and is_drawing(text) else frames.passes(text)

    def _put(self, data: bytes) -> bool:
        place = 0
        while place < len(data) and not self._gave_up:
            try:
                place += os.write(self._file, data[place : place + CHUNK])
            except BlockingIOError:
                if self._stuck_since is None:
                    self._stuck_since = monotonic()
                select.select([], [self._file], [], TICK)
            except OSError:  # the terminal is gone
                self._gave_up = True
        self._stuck_since = None
        return not self._gave_up

    def stop(self, seconds: float) -> bool:
        """Write what is left, for so long at most; whether all of it was written."""
        with self._changed:
            self._stopping = True
            self._behind = False
            self._changed.notify()
        self.join(seconds)
        return not (self.is_alive() or self._gave_up)

    def give_up(self) -> None:
        """Write nothing more."""
        with self._changed:
            self._gave_up = self._stopping = True
            self._waiting.clear()
            self._changed.notify()
