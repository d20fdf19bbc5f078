"""What one rendering of a chat template may cost. Templates come with checkpoints and are untrusted."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

MAX_STEPS = 2_000_000  # loop iterations and calls
MAX_STRING = 1 << 25  # characters of one string
MAX_TOTAL = 1 << 29  # characters of all strings made on the way
MAX_INTEGER_BITS = 1 << 14
MAX_SECONDS = 10.0


class BudgetError(Exception):
    """The template takes too long or grows too large."""


class Budget:
    """Counts the work of one rendering and cuts it off.

    Templates cannot change containers, so the weight of one (all it holds, expanded) is counted once.
    """

    def __init__(self) -> None:
        self._steps = 0
        self._characters = 0
        self._deadline = time.monotonic() + MAX_SECONDS
        self._weights: dict[int, tuple[object, int]] = {}

    def step(self, count: int = 1) -> None:
        """Counts loop iterations or calls."""
        self._steps += count
        if self._steps > MAX_STEPS:
            raise BudgetError("it loops without end")
        if time.monotonic() > self._deadline:
            raise BudgetError("it takes too long")

    def characters(self, count: int) -> None:
        """Counts the characters of a string that was, or is about to be, made."""
        self._characters += count
        if count > MAX_STRING or self._characters > MAX_TOTAL:
            raise BudgetError("it grows without bound")

    def made(self, result: Any) -> None:
        """Counts what a call or filter gave."""
        if isinstance(result, str):
            self.characters(len(result))
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
        if not isinstance(value, (list, tuple, dict, set, frozenset)):
            return 1
        known = self._weights.get(id(value))
        if known is not None:
            return known[1]
        self.step(len(value))
        parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        total = len(value) + sum(map(self.weight, parts))
        if total > MAX_STRING:
            raise BudgetError("it grows without bound")
        self._weights[id(value)] = (value, total)
        return total


_current: ContextVar[Budget | None] = ContextVar("budget", default=None)


@contextmanager
def rendering() -> Iterator[None]:
    """Gives the template that is compiled or rendered inside a fresh budget."""
    token = _current.set(Budget())
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Budget:
    """The budget of the rendering under way; a fresh one outside."""
    return _current.get() or Budget()
