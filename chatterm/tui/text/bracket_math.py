r"""Formulas between `\(` and `\)` or `\[` and `\]` for markdown-it, beside the dollars of its plugin.

The plugin for brackets looks for an end beyond empty lines, so that the last lines of a growing reply could
change its first ones; here a formula ends in its own paragraph, as it does with dollars.
"""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

_CLOSES = {"\\(": "\\)", "\\[": "\\]"}


def bracket_math(md: MarkdownIt) -> None:
    """Let `md` know formulas between brackets: tokens `math_inline`, `math_inline_double`, `math_block`."""
    md.inline.ruler.before("escape", "bracket_math", _inline)
    interrupts: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    md.block.ruler.before("fence", "bracket_math_block", _block, interrupts)


def _inline(state: StateInline, silent: bool) -> bool:
    opens = state.src[state.pos : state.pos + 2]
    closes = _CLOSES.get(opens)
    if closes is None:
        return False
    end = state.src.find(closes, state.pos + 2, state.posMax)
    content = state.src[state.pos + 2 : end]
    if end < 0 or not content.strip():
        return False
    if not silent:
        token = state.push("math_inline" if opens == "\\(" else "math_inline_double", "math", 0)
        token.content, token.markup = content, opens
    state.pos = end + 2
    return True


def _block(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    r"""From a line that begins with `\[` to one that ends with `\]`."""
    if state.is_code_block(first):
        return False
    lines: list[str] = []
    for number in range(first, last):
        if state.isEmpty(number) or state.sCount[number] < state.blkIndent:
            return False
        line = state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]].rstrip()
        if number == first:
            if not line.startswith("\\["):
                return False
            line = line[2:]
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
