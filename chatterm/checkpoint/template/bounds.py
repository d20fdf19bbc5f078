"""What operators and methods in templates can do that makes much out of little, each with its bound."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence, Set, Sized
from typing import Any

from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import escape

from chatterm.checkpoint.template.budget import Budget, BudgetError, check_keys, counting, current

MAX_WIDTH = 10_000
MAX_COMPARISONS = 1 << 30
"""Characters compared with characters, one by one, in one call: about a second."""

COMPARISONS_OF_A_STEP = 1000
NODES_OF_A_STEP = 64
"""Of a syntax tree. Each may put a piece of text into the output, which takes memory though empty."""

MAX_SLOW_TEXT = 1 << 18
"""Characters for what works in Python, character by character."""

_PERCENT = re.compile(r"%(?:\([^)]*\))?[-#0 +]*(\*|\d+)?(?:\.(\*|\d+))?")
_PADDING = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs"})
_QUADRATIC = frozenset({"rfind", "rindex", "rsplit", "rpartition", "strip", "lstrip", "rstrip"})
"""Methods of strings that look at every character of their argument for every one of the text, at worst."""

_CUTTING = frozenset({"split", "rsplit", "splitlines", "partition", "rpartition"})
_SLOW = frozenset({"striptags", "unescape"})
"""Methods of texts that are marked as safe."""


@pass_eval_context
def weighed_output(context: EvalContext, value: Any) -> Any:
    """Jinja calls this with everything that `{{ … }}` prints."""
    budget = current()
    if not isinstance(value, str):
        budget.characters(budget.weight(value))
    if context.autoescape:
        value = escape(value)  # Jinja would, and up to five times as long
        budget.made(value)
    return value


def counted(values: Any, nodes: int) -> Any:
    """What a loop goes over, counted; `nodes` is how much stands in it."""
    return counting(current(), values, 1 + nodes // NODES_OF_A_STEP)


def spread(values: Any) -> Any:
    """What stands behind a `*` or `**` in a call: Python makes a container of it."""
    budget = current()
    if not isinstance(values, Sized):
        return budget.iterate(values)
    budget.step(len(values))
    return values


def sliced(part: Any) -> Any:
    """What a slice gave: a copy."""
    current().made(part)
    return part


def joined(values: list[Any]) -> str:
    """What the operator `~` makes."""
    budget = current()
    budget.handle(*values)
    texts = list(map(str, values))
    budget.characters(sum(map(len, texts)))
    return "".join(texts)


def weighed(value: Any) -> Any:
    """A literal container, or what is compared: the work of both grows with all they hold."""
    current().handle(value)
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
    elif operator == "-" and (isinstance(left, Set) or isinstance(right, Set)):
        budget.handle(left, right)
        for side in (left, right):
            if isinstance(side, Collection):
                check_keys(side)
        budget.step(len(left) if isinstance(left, Sized) else 1)
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
    budget.handle(*given)
    owner = getattr(called, "__self__", None)
    if isinstance(owner, str):
        budget.handle(owner)
        _check_text_method(budget, owner, called.__name__, given)
    elif isinstance(owner, (list, tuple, dict)):
        budget.handle(owner)  # `count` and `index` compare with all it holds, `copy` copies it


def _check_text_method(budget: Budget, text: str, name: str, given: Sequence[Any]) -> None:
    if name in _PADDING:
        width = max([number for number in given if isinstance(number, int)], default=8)
        budget.characters(max(width, 0) * (1 + text.count("\t") if name == "expandtabs" else 1))
    elif name == "join" and given:
        _check_list(budget, given[0])
        budget.characters(joined_length(budget, text, given[0]))
    elif name in _CUTTING:
        budget.characters(len(text))
    elif name == "replace" and len(given) >= 2:
        budget.characters(replaced_length(text, given[0], given[1]))
    elif name == "translate" and given:
        budget.characters(len(text) * budget.weight(given[0]))
    elif name in _SLOW:
        budget.characters(len(text))
        if len(text) > MAX_SLOW_TEXT:
            raise BudgetError("it takes too long")
    if name in _QUADRATIC:
        check_search(budget, text, given)


def _check_list(budget: Budget, values: Any) -> None:
    """Counts the elements of what an operation makes a list of: of a text, its characters."""
    if isinstance(values, Sized):
        budget.step(len(values))


def check_search(budget: Budget, text: str, given: Sequence[Any]) -> None:
    """Counts that each character of one text is looked for in another, and refuses too many."""
    for other in given:
        if isinstance(other, str):
            comparisons = len(text) * len(other)
            if comparisons > MAX_COMPARISONS:
                raise BudgetError("it takes too long")
            budget.step(comparisons // COMPARISONS_OF_A_STEP)


def joined_length(budget: Budget, separator: str, values: Any) -> int:
    """Characters of `separator.join(values)`."""
    if not isinstance(values, (list, tuple, dict, set, frozenset, str)):
        return 0  # an iterator: what it makes is counted where it is made
    return budget.weight(values) + len(separator) * len(values)


def replaced_length(text: str, old: Any, new: Any) -> int:
    """Characters of `text.replace(old, new)`."""
    count = text.count(str(old)) if str(old) else len(text) + 1
    return len(text) + count * len(str(new))
