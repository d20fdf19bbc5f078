"""What one rendering of a chat template may cost. Templates come with checkpoints and are untrusted."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, KeysView, Mapping, Set, Sized, ValuesView
from contextlib import contextmanager
from contextvars import ContextVar
from types import BuiltinMethodType, MethodType
from typing import Any

from chatterm.checkpoint import alarm

MAX_STEPS = 2_000_000  # loop iterations and calls
MAX_STRING = 1 << 22  # characters of one string: eight times those of 131 000 tokens
MAX_TOTAL = 1 << 27  # characters of all strings made on the way
MAX_INTEGER_BITS = 1 << 14
MAX_ODD_KEYS = 1000
"""Keys of one dictionary that are no texts: numbers can be such that each is compared with all others."""

MAX_SECONDS = 2.0  # of this thread's own work, so that a busy machine changes nothing
WORK_BETWEEN_LOOKS = 200_000  # at the clock, in characters and elements that were handled
WORK_OF_A_STEP = 1000


class BudgetError(Exception):
    """The template takes too long or grows too large."""


class Budget:
    """Counts the work of one rendering and cuts it off.

    Steps and characters are bounded by their number. Everything else that an operation handles counts only as
    work, after some of which the clock is looked at. Templates cannot change containers, so the weight of one
    (all it holds, expanded) is counted once.
    """

    def __init__(self) -> None:
        self._steps = 0
        self._work = 0
        self._characters = 0
        self._deadline = time.thread_time() + MAX_SECONDS
        self._weights: dict[int, tuple[object, int]] = {}

    def step(self, count: int = 1) -> None:
        """Counts loop iterations or calls."""
        self._steps += count
        if self._steps > MAX_STEPS:
            raise BudgetError("it loops without end")
        self.work(count * WORK_OF_A_STEP)

    def work(self, count: int) -> None:
        """Counts characters and elements that an operation handles one by one."""
        self._work += count
        if self._work >= WORK_BETWEEN_LOOKS:
            self.look()

    def handle(self, *values: Any) -> None:
        """Counts that an operation handles all that `values` hold: compares it, hashes it, goes over it."""
        for value in values:
            self.work(self.weight(value))

    def characters(self, count: int) -> None:
        """Counts the characters of a string that was, or is about to be, made."""
        self.bound(count)
        self._characters += count
        if self._characters > MAX_TOTAL:
            raise BudgetError("it grows without bound")
        self.work(count)

    def bound(self, count: int) -> None:
        """Refuses what would be too long written out; for containers, which hold each thing only once."""
        if count > MAX_STRING:
            raise BudgetError("it grows without bound")

    def look(self) -> None:
        """Looks at the clock: before what takes long, however little is made of it."""
        self._work = 0
        if time.thread_time() > self._deadline:
            raise BudgetError("it takes too long")

    def made(self, result: Any) -> None:
        """Counts what a call or filter gave."""
        if isinstance(result, str):
            self.characters(len(result))
        elif isinstance(result, int):
            self.bits(result.bit_length())
        elif isinstance(result, (list, tuple, dict, set, frozenset)):
            self.step(len(result))

    def bits(self, count: int) -> None:
        """Refuses integers of absurd size."""
        if count > MAX_INTEGER_BITS:
            raise BudgetError("it grows without bound")

    def iterate(self, values: Iterable[Any]) -> Iterator[Any]:
        """`values`, with every element counted as a step when it is taken."""
        return iter(Counted(self, values))

    def weight(self, value: Any) -> int:
        """Characters and elements that `value` would have written out in full, and counts them."""
        if isinstance(value, str):
            return len(value)
        if value is None or isinstance(value, (int, float)):
            return 1
        if isinstance(value, range):
            return max(1, len(value))
        known = self._weights.get(id(value))
        if known is not None:
            return known[1]
        if isinstance(value, (Mapping, set, frozenset, KeysView)):
            check_keys(value)
        parts = _parts(value)
        self.step(len(parts))
        total = max(1, len(parts)) + sum(map(self.weight, parts))
        self.bound(total)
        self._weights[id(value)] = (value, total)
        return total


class Counted:
    """What a loop goes over, with every element counted when it is taken.

    Attributes:
        cost: steps for each.
    """

    def __init__(self, budget: Budget, values: Iterable[Any], cost: int = 1) -> None:
        self.cost = cost
        self._budget = budget
        self._values = values

    def __iter__(self) -> Iterator[Any]:
        for value in self._values:
            self._budget.step(self.cost)
            yield value


class SizedCounted(Counted):
    """The same, of a known length."""

    def __len__(self) -> int:
        return len(self._values)  # type: ignore[arg-type]


def counting(budget: Budget, values: Any, cost: int = 1) -> Counted:
    """What goes over `values`, of a known length if theirs is known."""
    return (SizedCounted if isinstance(values, Sized) else Counted)(budget, values, cost)


def check_keys(keys: Collection[Any]) -> None:
    """Refuses to tell many things apart that are no texts; the hashes of texts are nobody's choice."""
    if len(keys) > MAX_ODD_KEYS and sum(not isinstance(key, str) for key in keys) > MAX_ODD_KEYS:
        raise BudgetError("it grows without bound")


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
        with alarm.rendering():  # should the budget miss anything
            yield
    finally:
        _current.reset(token)


def current() -> Budget:
    """The budget of the rendering under way; a fresh one outside."""
    return _current.get() or Budget()
