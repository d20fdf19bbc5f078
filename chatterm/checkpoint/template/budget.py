"""What one rendering of a chat template may cost. Templates come with checkpoints and are untrusted."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Set, Sized, ValuesView
from contextlib import contextmanager
from contextvars import ContextVar
from types import BuiltinMethodType, MethodType
from typing import Any

MAX_STEPS = 2_000_000  # loop iterations and calls
MAX_STRING = 1 << 24  # characters of one string
MAX_TOTAL = 1 << 27  # characters of all strings made on the way
MAX_INTEGER_BITS = 1 << 14
MAX_SECONDS = 2.0  # of this thread's own work, so that a busy machine changes nothing
STEPS_BETWEEN_LOOKS = 200  # at the clock


class BudgetError(Exception):
    """The template takes too long or grows too large."""


class Budget:
    """Counts the work of one rendering and cuts it off.

    Templates cannot change containers, so the weight of one (all it holds, expanded) is counted once.
    """

    def __init__(self) -> None:
        self._steps = 0
        self._next_look = STEPS_BETWEEN_LOOKS
        self._characters = 0
        self._deadline = time.thread_time() + MAX_SECONDS
        self._weights: dict[int, tuple[object, int]] = {}

    def step(self, count: int = 1) -> None:
        """Counts loop iterations or calls."""
        self._steps += count
        if self._steps > MAX_STEPS:
            raise BudgetError("it loops without end")
        if self._steps >= self._next_look:
            self._next_look = self._steps + STEPS_BETWEEN_LOOKS
            self._look()

    def characters(self, count: int) -> None:
        """Counts the characters of a string that was, or is about to be, made."""
        self.bound(count)
        self._characters += count
        if self._characters > MAX_TOTAL:
            raise BudgetError("it grows without bound")
        if count > STEPS_BETWEEN_LOOKS:
            self._look()

    def bound(self, count: int) -> None:
        """Refuses what would be too long written out; for containers, which hold each thing only once."""
        if count > MAX_STRING:
            raise BudgetError("it grows without bound")

    def _look(self) -> None:
        if time.thread_time() > self._deadline:
            raise BudgetError("it takes too long")

    def made(self, result: Any) -> None:
        """Counts what a call or filter gave."""
        if isinstance(result, str):
            self.characters(len(result))
        elif isinstance(result, int):
            self.bits(result.bit_length())
        elif isinstance(result, (list, tuple, dict)):
            self.step(len(result))

    def bits(self, count: int) -> None:
        """Refuses integers of absurd size."""
        if count > MAX_INTEGER_BITS:
            raise BudgetError("it grows without bound")

    def iterate(self, values: Iterable[Any]) -> Iterable[Any]:
        """`values`, with every element counted as a step."""
        if isinstance(values, Sized):
            self.step(len(values))
            return values
        return self._counted(values)

    def _counted(self, values: Iterable[Any]) -> Iterator[Any]:
        for value in values:
            self.step()
            yield value

    def weight(self, value: Any) -> int:
        """Characters and elements that `value` would have written out in full, and counts them."""
        if isinstance(value, str):
            return len(value)
        if value is None or isinstance(value, (int, float)):
            return 1
        known = self._weights.get(id(value))
        if known is not None:
            return known[1]
        parts = _parts(value)
        self.step(len(parts))
        total = max(1, len(parts)) + sum(map(self.weight, parts))
        self.bound(total)
        self._weights[id(value)] = (value, total)
        return total


def _parts(value: Any) -> Collection[Any]:
    """What is written out where `value` is: views show what they look at, and methods whose they are."""
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    if isinstance(value, (Set, ValuesView)):
        return list(value)
    if isinstance(value, (MethodType, BuiltinMethodType)):
        return [value.__self__] if isinstance(value.__self__, str) else ()
    return ()


_current: ContextVar[Budget | None] = ContextVar("budget", default=None)


@contextmanager
def rendering() -> Iterator[None]:
    """Gives all that is compiled and rendered inside one budget: what goes on already has its own."""
    if _current.get() is not None:
        yield
        return
    token = _current.set(Budget())
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Budget:
    """The budget of the rendering under way; a fresh one outside."""
    return _current.get() or Budget()
