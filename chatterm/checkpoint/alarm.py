"""An end to what nothing else can end.

A tokenizer brings regular expressions of its own, and a chat template is a program. What takes its time
within one operation holds the interpreter meanwhile, so that no thread of the process could stop it; only the
system can, by ending the process. What counts is the processor's time: a busy machine changes nothing.

Tokenizers and templates have different timers, so that the signal says which of them it was.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 5.0
LEAST_SECONDS = 0.001  # none at all would disarm the timer

_armed = False
_ends: dict[int, float | None] = {}
"""By timer, when the process is ended, in its own time."""


def arm() -> None:
    """This process may be ended: another one is waiting for its answers and will say why."""
    global _armed
    _armed = hasattr(signal, "setitimer")


@contextmanager
def tokenizing(more_seconds: float = 0.0) -> Iterator[None]:
    """In an armed process, what a tokenizer does inside ends within `SECONDS` and some more, or the process.

    Inside another one, the time that is left of that one is not extended.
    """
    if not _armed:
        yield
        return
    with _alarm(signal.ITIMER_PROF, SECONDS + more_seconds):  # SIGPROF
        yield


@contextmanager
def rendering() -> Iterator[None]:
    """The same for a template, within `SECONDS`."""
    if not _armed:
        yield
        return
    with _alarm(signal.ITIMER_VIRTUAL, SECONDS):  # SIGVTALRM
        yield


@contextmanager
def _alarm(timer: int, seconds: float) -> Iterator[None]:
    outer = _ends.get(timer)
    end = _spent(timer) + seconds
    _ring(timer, end if outer is None else min(end, outer))
    try:
        yield
    finally:
        _ring(timer, outer)


def _ring(timer: int, end: float | None) -> None:
    """When the process has worked that long; never, if None."""
    _ends[timer] = end
    # what the system says is left of a timer is rounded up, so that alarms could put each other off
    signal.setitimer(timer, 0.0 if end is None else max(end - _spent(timer), LEAST_SECONDS))


def _spent(timer: int) -> float:
    import resource  # not on Windows

    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + (used.ru_stime if timer == signal.ITIMER_PROF else 0.0)
