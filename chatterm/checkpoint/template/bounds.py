"""What templates can do that makes much out of little, each with its bound."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from chatterm.checkpoint.template.budget import Budget, BudgetError, current

MAX_WIDTH = 10_000
_PERCENT = re.compile(r"%(?:\([^)]*\))?[-#0 +]*(\*|\d+)?(?:\.(\*|\d+))?")
_PADDING = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs"})


def weighed_output(value: Any) -> Any:
    """Jinja calls this with everything that `{{ … }}` prints."""
    if not isinstance(value, str):
        budget = current()
        budget.characters(budget.weight(value))
    return value


def counted(values: Any) -> Any:
    """`values`, counted: what a loop goes over."""
    return current().iterate(values)


def joined(values: list[Any]) -> str:
    """What the operator `~` makes."""
    budget = current()
    for value in values:
        budget.weight(value)
    texts = list(map(str, values))
    budget.characters(sum(map(len, texts)))
    return "".join(texts)


def built(value: Any) -> Any:
    """A literal container, weighed."""
    current().weight(value)
    return value


def check_operator(budget: Budget, operator: str, left: Any, right: Any) -> None:
    """Refuses an operation whose result would be far too large."""
    if isinstance(left, bool) or isinstance(right, bool):
        left, right = (int(side) if isinstance(side, bool) else side for side in (left, right))
    if operator == "+":
        if isinstance(left, str) and isinstance(right, str):
            budget.characters(len(left) + len(right))
        elif isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
            budget.step(len(left) + len(right))
            budget.characters(budget.weight(left) + budget.weight(right))
    elif operator == "%" and isinstance(left, str):
        _check_percent(budget, left, right)
    elif operator == "*":
        for many, count in ((left, right), (right, left)):
            if isinstance(count, int) and isinstance(many, (str, list, tuple)):
                budget.characters(budget.weight(many) * max(count, 0))
        if isinstance(left, int) and isinstance(right, int):
            budget.bits(left.bit_length() + right.bit_length())
    elif operator == "**" and isinstance(left, int) and isinstance(right, int):
        budget.bits(left.bit_length() * abs(right))


def _check_percent(budget: Budget, text: str, values: Any) -> None:
    widths = [number for match in _PERCENT.finditer(text) for number in match.groups() if number]
    if any(number == "*" or len(number) > 5 or int(number) > MAX_WIDTH for number in widths):
        raise BudgetError("it grows without bound")
    budget.characters(len(text) + sum(map(int, widths)) + text.count("%") * budget.weight(values))


def check_method(budget: Budget, text: str, name: str, args: Sequence[Any]) -> None:
    """Refuses calls of a string's methods whose result would be far too long."""
    if name in _PADDING:
        width = args[0] if args and isinstance(args[0], int) else 8
        budget.characters(max(width, 0) * (1 + text.count("\t") if name == "expandtabs" else 1))
    elif name == "join" and args:
        budget.characters(_joined_length(budget, text, args[0]))
    elif name == "replace" and len(args) >= 2:
        budget.characters(_replaced_length(text, args[0], args[1]))
    elif name == "translate" and args:
        budget.characters(len(text) * budget.weight(args[0]))


def _joined_length(budget: Budget, separator: str, values: Any) -> int:
    if not isinstance(values, (list, tuple, dict, set, frozenset, str)):
        return 0  # an iterator: what it makes is counted where it is made
    return budget.weight(values) + len(separator) * len(values)


def _replaced_length(text: str, old: Any, new: Any) -> int:
    count = text.count(str(old)) if str(old) else len(text) + 1
    return len(text) + count * len(str(new))


def bounded_filter(name: str, filter_: Callable[..., Any]) -> Callable[..., Any]:
    """`filter_` with its work counted before and its text after."""
    position = 1 if getattr(filter_, "jinja_pass_arg", None) is not None else 0

    @wraps(filter_)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= position:
            return filter_(*args, **kwargs)
        budget = current()
        budget.step()
        given = [*args[position + 1 :], *kwargs.values()]
        _check_filter(budget, name, args[position], given)
        result = filter_(*args, **kwargs)
        budget.made(result)
        return result

    return bounded


def _check_filter(budget: Budget, name: str, value: Any, given: Sequence[Any]) -> None:
    numbers = [number for number in given if isinstance(number, int)]
    if name in ("center", "indent", "batch", "slice", "wordwrap"):
        if any(number > MAX_WIDTH for number in numbers):
            raise BudgetError("it grows without bound")
        if name == "indent":
            width = max([*numbers, *(len(part) for part in given if isinstance(part, str)), 4])
            budget.characters(str(value).count("\n") * width)
    elif name == "join":
        values = list(value) if not isinstance(value, (str, list, tuple, dict)) else value
        separator = next((part for part in given if isinstance(part, str)), "")
        budget.characters(_joined_length(budget, separator, values))
    elif name == "replace" and len(given) >= 2:
        budget.characters(_replaced_length(str(value), given[0], given[1]))
    elif name == "format":
        _check_percent(budget, str(value), list(given))
    elif name in ("string", "pprint", "escape", "e", "forceescape", "urlencode", "xmlattr", "sum", "list"):
        budget.characters(budget.weight(value))
