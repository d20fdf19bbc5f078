"""Templates taken apart and put together so that they report to the budget what Jinja would do unseen."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import jinja2
from jinja2 import nodes

from chatterm.checkpoint.template.bounds import counted, joined, sliced, spread, weighed
from chatterm.checkpoint.template.budget import MAX_INTEGER_BITS, BudgetError

# Names that no template can know: filters can be named in texts.
_SECRET = secrets.token_hex(16)
_COUNTED, _JOINED, _WEIGHED, _SLICED, _SPREAD = (
    f"{what} {_SECRET}" for what in ("counted", "joined", "weighed", "sliced", "spread")
)
REPORTS: dict[str, Callable[..., Any]] = {
    _COUNTED: counted,
    _JOINED: joined,
    _WEIGHED: weighed,
    _SLICED: sliced,
    _SPREAD: spread,
}
"""Filters that an instrumented template calls."""


def instrument(tree: nodes.Template) -> nodes.Template:
    """Lets loops, string concatenation, literal containers and all else that only Python does report."""
    for number in tree.find_all(nodes.Const):
        if isinstance(number.value, int) and number.value.bit_length() > MAX_INTEGER_BITS:
            raise BudgetError("it holds a number without end")
    for loop in list(tree.find_all(nodes.For)):
        loop.iter = _through(_COUNTED, loop.iter, nodes.Const(sum(1 for _ in loop.find_all(nodes.Node))))
    _Instrument().visit(tree)
    return tree


def _through(name: str, node: nodes.Node, *more: nodes.Expr) -> nodes.Expr:
    filtered = nodes.Filter(node, name, list(more), [], None, None)
    filtered.set_lineno(node.lineno)
    return filtered


class _Instrument(jinja2.visitor.NodeTransformer):
    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _through(_JOINED, nodes.List(node.nodes, lineno=node.lineno))

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _through(_SLICED, node) if isinstance(node.arg, nodes.Slice) else node

    def visit_Call(self, node: nodes.Call) -> nodes.Expr:  # noqa: N802
        return self._spread(node)

    def visit_Filter(self, node: nodes.Filter) -> nodes.Expr:  # noqa: N802
        return self._spread(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Expr:  # noqa: N802
        return self._spread(node)

    def _spread(self, node: nodes.Call | nodes.Filter | nodes.Test) -> nodes.Expr:
        self.generic_visit(node)
        if node.dyn_args is not None:
            node.dyn_args = _through(_SPREAD, node.dyn_args)
        if node.dyn_kwargs is not None:
            node.dyn_kwargs = _through(_SPREAD, node.dyn_kwargs)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        node.expr = _through(_WEIGHED, node.expr)
        for operand in node.ops:
            operand.expr = _through(_WEIGHED, operand.expr)
        return node

    def visit_List(self, node: nodes.List) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _through(_WEIGHED, node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _through(_WEIGHED, node) if node.ctx == "load" else node

    def visit_Dict(self, node: nodes.Dict) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _through(_WEIGHED, node)
