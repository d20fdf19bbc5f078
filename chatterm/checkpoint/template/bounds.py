"""What operators and methods in templates can do that makes much out of little, each with its bound."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from chatterm.checkpoint.template.budget import Budget, BudgetError, current

MAX_WIDTH = 10_000
MAX_COMPARISONS = 1 << 30
"""Characters compared with characters, one by one, in one call: about a second."""

_PERCENT = re.compile(r"%(?:\([^)]*\))?[-#0 +]*(\*|\d+)?(?:\.(\*|\d+))?")
_PADDING = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs"})
_QUADRATIC = frozenset({"rfind", "rindex", "rsplit", "rpartition", "strip", "lstrip", "rstrip"})
"""Methods of strings that look at every character of their argument for every one of the text, at worst."""


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


def weighed(value: Any) -> Any:
    """A literal container, or what is compared, weighed: the work of both grows with all they hold."""
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
            budget.bound(budget.weight(left) + budget.weight(right))
        elif isinstance(left, int) and isinstance(right, int):
            budget.bits(max(left.bit_length(), right.bit_length()))
    elif operator == "%" and isinstance(left, str):
        check_percent(budget, left, right)
    elif operator == "*":
        for many, count in ((left, right), (right, left)):
            if isinstance(count, int) and isinstance(many, str):
                budget.characters(len(many) * max(count, 0))
            elif isinstance(count, int) and isinstance(many, (list, tuple)):
                budget.bound(budget.weight(many) * max(count, 0))
                budget.step(len(many) * max(count, 0))
        if isinstance(left, int) and isinstance(right, int):
            budget.bits(left.bit_length() + right.bit_length())
    elif operator == "**" and isinstance(left, int) and isinstance(right, int):
        budget.bits(left.bit_length() * abs(right))


def check_percent(budget: Budget, text: str, values: Any) -> None:
    """Refuses `text % values` if its widths, or its values all together, are far too large."""
    widths = [number for match in _PERCENT.finditer(text) for number in match.groups() if number]
    if any(number == "*" or len(number) > 5 or int(number) > MAX_WIDTH for number in widths):
        raise BudgetError("it grows without bound")
    budget.characters(len(text) + sum(map(int, widths)) + text.count("%") * budget.weight(values))


def check_call(budget: Budget, called: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuses a call whose arguments are far too large, and methods whose result would be."""
    given = [*args, *kwargs.values()]
    for value in given:
        budget.weight(value)
    owner = getattr(called, "__self__", None)
    if isinstance(owner, str):
        _check_text_method(budget, owner, called.__name__, given)
    elif isinstance(owner, (list, tuple)):
        budget.characters(budget.weight(owner))  # `count` and `index` compare with all it holds


def _check_text_method(budget: Budget, text: str, name: str, given: Sequence[Any]) -> None:
    if name in _PADDING:
        width = max([number for number in given if isinstance(number, int)], default=8)
        budget.characters(max(width, 0) * (1 + text.count("\t") if name == "expandtabs" else 1))
    elif name == "join" and given:
        budget.characters(joined_length(budget, text, given[0]))
    elif name == "replace" and len(given) >= 2:
        budget.characters(replaced_length(text, given[0], given[1]))
    elif name == "translate" and given:
        budget.characters(len(text) * budget.weight(given[0]))
    elif name in _QUADRATIC:
        check_search(text, given)


def check_search(text: str, given: Sequence[Any]) -> None:
    """Refuses to look for each character of one long text in another."""
    if any(isinstance(other, str) and len(text) * len(other) > MAX_COMPARISONS for other in given):
        raise BudgetError("it takes too long")


def joined_length(budget: Budget, separator: str, values: Any) -> int:
    """Characters of `separator.join(values)`."""
    if not isinstance(values, (list, tuple, dict, set, frozenset, str)):
        return 0  # an iterator: what it makes is counted where it is made
    return budget.weight(values) + len(separator) * len(values)


def replaced_length(text: str, old: Any, new: Any) -> int:
    """Characters of `text.replace(old, new)`."""
    count = text.count(str(old)) if str(old) else len(text) + 1
    return len(text) + count * len(str(new))
