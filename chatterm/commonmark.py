"""Rules of markdown-it whose work is bounded by what they read.

A parser of Markdown runs where the interface waits for it, and what it reads was written by a model or comes
from elsewhere. Where a few characters would make it work without end, its rule is replaced by one that stops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock

MOST_FILLED_CELLS = 2000
"""Cells that all tables of a text together may get beyond those that are written in it."""

_FILLED = "filled cells"


def bound(md: MarkdownIt) -> None:
    """Bound the rules of a parser."""
    md.block.ruler.at("table", _table, {"alt": ["paragraph", "reference"]})


def _table(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """A table, up to the row with which too many cells would have been filled up.

    Every row has as many cells as the head, so that rows of one letter under a wide head would become
    hundreds of times as large as they are written.
    """
    from markdown_it.rules_block import table

    if not table(state, first, last, True):
        return False
    return silent or table(state, first, _end(state, first, last), False)


def _end(state: StateBlock, first: int, last: int) -> int:
    head = state.src[state.bMarks[first + 1] : state.eMarks[first + 1]]
    columns = sum("-" in cell for cell in head.split("|"))
    left = MOST_FILLED_CELLS - state.env.get(_FILLED, 0)
    if columns * (last - first) <= left:
        return last
    ends = state.md.block.ruler.getRules("blockquote")
    for number in range(first + 2, last):
        if state.isEmpty(number) or state.sCount[number] < state.blkIndent:
            break
        if any(rule(state, number, last, True) for rule in ends):
            break
        written = state.src.count("|", state.bMarks[number], state.eMarks[number]) + 1
        missing = max(0, columns - written)
        if missing > left:
            last = number
            break
        left -= missing
    state.env[_FILLED] = MOST_FILLED_CELLS - left
    return last
