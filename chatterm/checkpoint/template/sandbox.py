"""The Jinja environment of chat templates: what transformers offers them, with bounds on time and size.

Loops, calls and every operation that can make something much larger than its operands pass through a
`Budget`. Otherwise nothing is changed: the same template gives the same text as in transformers.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from types import BuiltinMethodType, MethodType
from typing import Any

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.runtime import Context, LoopContext, Macro, TemplateReference, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace
from markupsafe import Markup

from chatterm.checkpoint.template.bounds import (
    MAX_WIDTH,
    check_call,
    check_operator,
    weighed_output,
)
from chatterm.checkpoint.template.budget import MAX_ODD_KEYS, BudgetError, counting, current
from chatterm.checkpoint.template.filters import bounded_filter, bounded_test
from chatterm.checkpoint.template.instrument import REPORTS, instrument

MAX_SYMBOLS = 30_000
"""Words and signs of a template outside its plain text; the longest real ones have a fifth of it."""

MAX_DATE_PATTERN = 200

_CALL_STEPS = 10  # a call costs about as much as ten turns of a loop
_NUMBERS_MAY = frozenset({"real", "imag", "numerator", "denominator", "is_integer", "bit_length"})
_TEXTS_MAY_NOT = frozenset({"encode"})  # bytes have methods of their own, and no bounds


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """Jinja as chat templates expect it, see the module."""

    intercepted_binops = frozenset({"+", "-", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, jinja2.ext.loopcontrols],
            finalize=weighed_output,
        )
        self.filters = {name: bounded_filter(name, filter_) for name, filter_ in self.filters.items()}
        self.filters["tojson"] = _tojson
        self.filters.update(REPORTS)
        tests: Any = self.tests  # typed by its first values only
        self.tests = {name: bounded_test(test) for name, test in tests.items()}
        self.globals.pop("lipsum", None)
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = _strftime_now
        self.globals["dict"] = _DICT
        self.globals["namespace"] = _Namespace

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        symbols = self.lexer.tokeniter(source, name, filename)
        if next(islice(symbols, MAX_SYMBOLS, None), None) is not None:
            raise BudgetError("it is longer than any real one")
        return instrument(super()._parse(source, name, filename))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Only of the kinds of objects that templates are made for, and of those what is harmless."""
        if isinstance(obj, str):
            allowed = attr not in _TEXTS_MAY_NOT
        elif isinstance(obj, (int, float)):
            allowed = attr in _NUMBERS_MAY
        else:
            allowed = isinstance(obj, _OPEN)
        return allowed and super().is_safe_attribute(obj, attr, value)

    @staticmethod
    def concat(parts: Iterable[str]) -> str:
        """Joins the output of a template, a macro or a block."""
        parts = parts if isinstance(parts, list) else list(parts)
        current().characters(sum(map(len, parts)))
        return "".join(parts)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Runs an operator that can make its result much larger than its operands."""
        check_operator(current(), operator, left, right)
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, Markup):  # what is joined to it was escaped, and became longer
            current().made(result)
        return result

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An element; looking for one handles all that its key holds."""
        if isinstance(argument, tuple):
            current().handle(argument)
        return super().getitem(obj, argument)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """Calls a function, macro or method."""
        budget = current()
        budget.step(_CALL_STEPS)
        check_call(budget, __obj, args, kwargs)
        if getattr(__obj, "__self__", None) is dict:  # `{}.fromkeys`
            __obj = _DICT.fromkeys
        if isinstance(__obj, LoopContext) and args:  # a recursive loop
            args = (counting(budget, args[0], getattr(__obj._iterable, "cost", 1)), *args[1:])
        result = super().call(__context, __obj, *args, **kwargs)
        budget.made(result)
        return result

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`str.format` with bounded field widths."""
        if not isinstance(value, (MethodType, BuiltinMethodType)) or value.__name__ not in (
            "format",
            "format_map",
        ):
            return None
        if not isinstance(text := value.__self__, str):
            return None
        formatter = _Formatter(self)

        def wrapper(*args: Any, **kwargs: Any) -> str:
            if value.__name__ == "format_map":
                (mapping,) = args
                return formatter.vformat(text, (), mapping)
            return formatter.vformat(text, args, kwargs)

        return wrapper


class _Formatter(string.Formatter):
    def __init__(self, environment: ChatEnvironment) -> None:
        self._environment = environment

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        # attribute access goes through the sandbox
        current().step()
        from _string import formatter_field_name_split  # type: ignore[import-not-found]

        first, rest = formatter_field_name_split(field_name)
        value = self.get_value(first, args, kwargs)
        for is_attribute, key in rest:
            getter = self._environment.getattr if is_attribute else self._environment.getitem
            value = getter(value, key)
        return value, first

    def convert_field(self, value: Any, conversion: Any) -> Any:
        current().handle(value)
        return super().convert_field(value, conversion)

    def format_field(self, value: Any, format_spec: str) -> str:
        numbers = re.findall(r"\d+", format_spec)
        if any(len(number) > 5 or int(number) > MAX_WIDTH for number in numbers):
            raise BudgetError("it grows without bound")
        budget = current()
        budget.handle(value)
        result: str = super().format_field(value, format_spec)
        budget.made(result)
        return result


class _Generation(jinja2.ext.Extension):
    """`{% generation %}` marks the model's own words for training; rendering only passes them through."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Any) -> nodes.Node:
        """Parses the block."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller: Callable[[], str]) -> str:
        return caller()


# --- what templates may call ------------------------------------------------------------------------------


def _raise_exception(message: object) -> None:
    raise jinja2.TemplateError(str(message))


def _strftime_now(pattern: str) -> str:
    if len(pattern) > MAX_DATE_PATTERN:  # the C library takes up to 256 times as much memory
        raise BudgetError("it grows without bound")
    return datetime.now().strftime(pattern)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Plain JSON; Jinja's own filter would escape characters of HTML."""
    width = len(indent) if isinstance(indent, str) else indent or 0
    wide = 0 if separators is None else sum(map(len, separators))
    budget = current()
    budget.characters(budget.weight(value) * (max(width, 0) + wide + 1))
    text = json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
    budget.made(text)
    return text


class _Dict:
    """`dict(…)` and `dict.fromkeys`, and none of the type's other attributes."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        if len(args) > 1:
            raise TypeError(f"dict expected at most 1 argument, got {len(args)}")
        given = args[0] if args else ()
        return _filled(given.items() if isinstance(given, Mapping) else given) | kwargs

    def fromkeys(self, keys: Iterable[Any], value: Any = None) -> dict[Any, Any]:
        """See `dict.fromkeys`."""
        return _filled((key, value) for key in keys)


_DICT = _Dict()


def _filled(pairs: Iterable[Any]) -> dict[Any, Any]:
    """A dictionary, looked at while it grows: each new key may be compared with all that are there."""
    result, odd = {}, 0
    for key, value in current().iterate(pairs):
        odd += not isinstance(key, str)
        if odd > MAX_ODD_KEYS:
            raise BudgetError("it grows without bound")
        result[key] = value
    return result


class _Namespace(Namespace):
    """`namespace(…)` without attributes that begin with an underscore, which reach into Python.

    The one container that templates can change: it may hold itself, so it does not write out what it holds.
    """

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, args = args[0], args[1:]
        attributes = _Dict()(*args, **kwargs)
        for name in attributes:
            _check_attribute(name)
        Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_attribute(name)
        super().__setitem__(name, value)

    def __repr__(self) -> str:
        return "<namespace>"


def _check_attribute(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"a namespace cannot hold {name!r}")


_OPEN = (
    *(list, tuple, dict, Undefined, TemplateReference),
    *(LoopContext, Macro, Cycler, Joiner, _Namespace, _Dict),
)
"""What templates are made for, besides texts and numbers."""
