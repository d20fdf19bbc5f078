"""Work that foreign text causes, broken off when it takes longer than such a text may.

The interface lays out what a model writes while somebody types. Regular expressions of a lexer or rules of a
parser may take time that grows with the square of a text, or never end; no look at them tells which text does
that. So such work runs under the system's timer of processor time. Its signal raises an error wherever the
work is: in a loop of Python, and in a regular expression too, which looks for signals now and then. A process
of its own, which could be killed, would have to be started, fed, watched and waited for; this way the answer
is there at once, and the same each time. Only the main thread can be interrupted like this. Elsewhere, and
where the system has no such timer, work is not timed, and `timed` says so.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar

Result = TypeVar("Result")

TICK = 0.01
"""Seconds between two signals, in case the first came where no error can leave: in a destructor, say."""

IDLE_SHARE = 0.1
"""Of the time that passes, that an allowance grows by."""


class LateError(BaseException):
    """The work has taken too long. It passes through whatever takes errors for a flaw of the text."""


@dataclass(slots=True)
class _Deadline:
    at: float  # in processor time of the main thread


_deadlines: list[_Deadline] = []
"""Those of the work that is being done; the innermost is the last, and the only one that ends."""


def timed() -> bool:
    """Whether work can be broken off here."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


def untimed(work: Callable[[], Result]) -> Result:
    """Do what is done but once, such as importing a library: no text is charged for it or breaks it off."""
    return _run(_Deadline(math.inf), work) if _deadlines and timed() else work()


class Allowance:
    """Processor time for one kind of work on foreign texts.

    Args:
        seconds: the most that it takes at once.
        per_character: seconds that each character of a text adds to what is left of them.
        least: seconds that any text has, even if those before it have taken all.
    """

    def __init__(self, seconds: float, per_character: float, least: float = 0.0) -> None:
        self.seconds = seconds
        self.per_character = per_character
        self.least = least
        self._left = seconds
        self._asked = time.monotonic()

    def within(self, characters: int, work: Callable[[], Result]) -> Result | None:
        """What some work on a text of so many characters gives; None if it takes too long for that."""
        if not timed():
            return work()
        now = time.monotonic()
        earned = characters * self.per_character + (now - self._asked) * IDLE_SHARE
        self._left, self._asked = min(self._left + earned, self.seconds), now
        allowed = max(self._left, self.least)
        if allowed < TICK:
            return None
        deadline = _Deadline(time.thread_time() + allowed)
        try:
            return _run(deadline, work)
        except LateError:
            return None
        finally:
            self._left -= allowed - (deadline.at - time.thread_time())


def _run(deadline: _Deadline, work: Callable[[], Result]) -> Result:
    """Do some work; `LateError` when it is late. Work around it is not charged for it."""
    began = time.thread_time()
    _deadlines.append(deadline)
    _wind()
    try:
        return work()
    finally:
        _deadlines.pop()
        if _deadlines:
            _deadlines[-1].at += time.thread_time() - began
        _wind()


def _wind() -> None:
    """Set the timer to the innermost deadline."""
    left = _deadlines[-1].at - time.thread_time() if _deadlines else math.inf
    if left == math.inf:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        return
    if signal.getsignal(signal.SIGVTALRM) is not _late:
        signal.signal(signal.SIGVTALRM, _late)
    signal.setitimer(signal.ITIMER_VIRTUAL, max(left, TICK), TICK)


def _late(_number: int, frame: FrameType | None) -> None:
    if frame is not None and frame.f_globals is globals():
        return  # between two pieces of work; the next signal comes soon
    if _deadlines and time.thread_time() >= _deadlines[-1].at:
        raise LateError
