r"""Formulas for markdown-it: between dollars, by its plugin, and between `\(` and `\)` or `\[` and `\]`.

The plugin for brackets looks for an end beyond empty lines, so that the last lines of a growing reply could
change its first ones; here a formula ends in its own paragraph, as it does with dollars. No line is looked at
by more than one beginning: one formula does not begin within another.
"""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from mdit_py_plugins.dollarmath.index import dollarmath_plugin, math_block_dollar

_CLOSES = {"\\(": "\\)", "\\[": "\\]"}
_UNCLOSED = "unclosed formula "

_dollars = math_block_dollar(allow_labels=False, allow_blank_lines=False)


def formulas(md: MarkdownIt) -> None:
    """Let `md` know formulas: tokens `math_inline`, `math_inline_double`, `math_block`."""
    md.use(
        dollarmath_plugin,
        allow_labels=False,
        allow_space=False,
        allow_digits=False,  # prices are no formulas
        double_inline=True,
    )
    md.block.ruler.at("math_block", _dollar_block)
    md.inline.ruler.before("escape", "bracket_math", _inline)
    interrupts: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    md.block.ruler.before("fence", "bracket_math_block", _bracket_block, interrupts)


def _inline(state: StateInline, silent: bool) -> bool:
    opens = state.src[state.pos : state.pos + 2]
    closes = _CLOSES.get(opens)
    if closes is None:
        return False
    source, upto, at = state.env.get(_UNCLOSED + closes, ("", 0, 0))
    if source is state.src and upto == state.posMax and at <= state.pos:
        return False
    end = state.src.find(closes, state.pos + 2, state.posMax)
    if end < 0:  # nor is there an end for those that begin behind this one
        state.env[_UNCLOSED + closes] = state.src, state.posMax, state.pos
        return False
    content = state.src[state.pos + 2 : end]
    if not content.strip():
        return False
    if not silent:
        token = state.push("math_inline" if opens == "\\(" else "math_inline_double", "math", 0)
        token.content, token.markup = content, opens
    state.pos = end + 2
    return True


def _line(state: StateBlock, number: int) -> str | None:
    """A line of the paragraph that is looked at, without what is around it; None if it is not of it."""
    if state.isEmpty(number) or state.sCount[number] < state.blkIndent:
        return None
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]].rstrip()


def _bracket_block(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    r"""From a line that begins with `\[` to one that ends with `\]`."""
    if state.is_code_block(first):
        return False
    lines: list[str] = []
    for number in range(first, last):
        line = _line(state, number)
        if line is None or line.startswith("\\[") != (number == first):
            return False
        line = line[2:] if number == first else line
        is_end = line.endswith("\\]")
        lines.append(line[:-2] if is_end else line)
        if "\\]" in lines[-1]:
            return False  # words behind it: a formula of a paragraph
        if is_end:
            return _push(state, first, number, lines, silent)
    return False


def _push(state: StateBlock, first: int, last: int, lines: list[str], silent: bool) -> bool:
    content = "\n".join(lines)
    if not content.strip():
        return False
    if not silent:
        token = state.push("math_block", "math", 0)
        token.block, token.content, token.markup = True, content, "\\["
        token.map = [first, last + 1]
        state.line = last + 1
    return True


def _dollar_block(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """The plugin's rule, which would look for an end behind any other beginning, and beyond its list."""
    line = _line(state, first)
    if line is None or not line.startswith("$$"):
        return False
    end = first + 1
    if len(line) < 4 or not line.endswith("$$"):
        while end < last:
            line = _line(state, end)
            end += 1
            if line is None or (line.startswith("$$") and not line.endswith("$$")):
                return False
            if line.endswith("$$"):
                break
    return _dollars(state, first, end, silent)
