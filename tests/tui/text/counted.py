"""What some work costs, counted and not timed: the calls of functions, Python's and the interpreter's own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType


class TooMuchError(BaseException):
    """More calls than allowed; nothing that is tested takes it for an error of its own."""


def calls(work: Callable[[], object], most: int = 5_000_000) -> int:
    """How many calls it makes; broken off with an error behind `most`, so that nothing runs for ever."""
    count = 0

    def counted(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1
            if count > most:
                raise TooMuchError(f"more than {most} calls")

    outer = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(outer)
    return count


def grows_with_its_length(work: Callable[[str], object], text: Callable[[int], str], size: int) -> bool:
    """Whether twice the text takes about twice the calls; `size` is that of the shorter one."""
    work(text(size))  # what is done only once
    return calls(lambda: work(text(2 * size))) < 2.6 * calls(lambda: work(text(size))) + 1000
