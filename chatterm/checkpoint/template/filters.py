"""Jinja's filters and tests with their work counted: what they may be given, and what they may make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from functools import wraps
from typing import Any

from chatterm.checkpoint.template.bounds import (
    MAX_SLOW_TEXT,
    MAX_WIDTH,
    check_percent,
    check_search,
    joined_length,
    replaced_length,
)
from chatterm.checkpoint.template.budget import Budget, BudgetError, counting, current

MAX_DIGITS = 400
MAX_DOTS = 20

_SLOW = frozenset({"wordwrap", "urlize", "striptags", "title", "pprint", "wordcount", "urlencode", "xmlattr"})
_SORTING = frozenset({"sort", "unique", "groupby", "dictsort", "min", "max", "sum"})
_BY_ATTRIBUTE = _SORTING | {"map", "selectattr", "rejectattr"}
_ELEMENTWISE = _BY_ATTRIBUTE - {"dictsort"} | {"list", "join", "batch", "slice", "select", "reject"}
"""Filters that go over what they are given, also where they give nothing of it."""

_WRITING = frozenset({"string", "escape", "e", "forceescape", "safe"})
_WIDE = frozenset({"center", "indent", "batch", "slice", "wordwrap"})


def bounded_filter(name: str, filter_: Callable[..., Any]) -> Callable[..., Any]:
    """`filter_` with its work counted before and what it makes after."""
    position = 1 if getattr(filter_, "jinja_pass_arg", None) is not None else 0

    @wraps(filter_)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= position:
            return filter_(*args, **kwargs)
        budget = current()
        budget.step()
        value = args[position]
        if isinstance(value, Iterator) and (name in _SORTING or name == "join"):
            value = list(budget.iterate(value))
        given = [*args[position + 1 :], *kwargs.values()]
        budget.handle(value, *given)
        if name in _BY_ATTRIBUTE:
            _check_path([*args[position + 1 : position + 2], kwargs.get("attribute")])
        _check(budget, name, value, given)
        if name in _ELEMENTWISE and isinstance(value, Iterable):
            value = counting(budget, value)
        result = filter_(*args[:position], value, *args[position + 1 :], **kwargs)
        if isinstance(result, Iterator):
            return budget.iterate(result)
        budget.made(result)
        return result

    return bounded


def bounded_test(test: Callable[..., Any]) -> Callable[..., Any]:
    """`test`, counted, with what it compares weighed."""

    @wraps(test)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        budget = current()
        budget.step()
        budget.handle(*args, *kwargs.values())
        return test(*args, **kwargs)

    return bounded


def _check(budget: Budget, name: str, value: Any, given: Sequence[Any]) -> None:
    texts = [part for part in given if isinstance(part, str)]
    numbers = [number for number in given if isinstance(number, int)]
    if name in _SLOW:
        _check_slow(budget, value, texts)
    if name in _WIDE and any(number > MAX_WIDTH for number in numbers):
        raise BudgetError("it grows without bound")
    if name in _SORTING:
        budget.step(len(value) if isinstance(value, Sized) else 1)
        budget.characters(budget.weight(value))
        budget.look()
        if name == "sum" and any(isinstance(part, (list, tuple)) for part in given):
            budget.characters(budget.weight(value) * len(value))  # each sum is a new list
    elif name in _WRITING:
        budget.characters(budget.weight(value))
    elif name == "indent":
        width = max([*numbers, *map(len, texts), 4])
        budget.characters(str(value).count("\n") * width)
    elif name == "join":
        budget.characters(joined_length(budget, next(iter(texts), ""), value))
    elif name == "replace" and len(given) >= 2:
        budget.characters(replaced_length(str(value), given[0], given[1]))
    elif name == "format":
        check_percent(budget, str(value), list(given))
    elif name == "round" and any(abs(number) > MAX_DIGITS for number in numbers):
        raise BudgetError("it grows without bound")
    elif name == "trim":
        check_search(budget, str(value), texts)


def _check_path(names: Sequence[Any]) -> None:
    """Refuses `attribute="a.b.c…"` that goes down without end, once for every element."""
    if any(isinstance(name, str) and name.count(".") > MAX_DOTS for name in names):
        raise BudgetError("it takes too long")


def _check_slow(budget: Budget, value: Any, texts: Sequence[str]) -> None:
    budget.look()
    weight = budget.weight(value)
    if weight > MAX_SLOW_TEXT:
        raise BudgetError("it takes too long")
    budget.characters(weight * (1 + max(map(len, texts), default=0)))
