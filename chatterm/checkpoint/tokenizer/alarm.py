"""An end to what nothing else can end.

A `tokenizer.json` brings regular expressions of its own. One that takes its time at every word of a text
holds the interpreter meanwhile, so that no thread of the process could stop it; only the system can, by
ending the process.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 5
CHARACTERS_PER_SECOND = 20_000
"""A hundredth of what a slow machine cuts into tokens."""

_armed = False


def arm() -> None:
    """This process may be ended: another one is waiting for its answers and will say why."""
    global _armed
    _armed = hasattr(signal, "alarm")


@contextmanager
def alarm(characters: int) -> Iterator[None]:
    """In an armed process, whatever is done inside to so many characters ends, or the process does."""
    if not _armed:
        yield
        return
    outer = signal.alarm(SECONDS + characters // CHARACTERS_PER_SECOND)
    try:
        yield
    finally:
        signal.alarm(outer)
