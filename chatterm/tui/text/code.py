"""The code blocks of a message, as they are copied."""

from __future__ import annotations

from typing import NamedTuple

from chatterm.tui.text.markdown import ALLOWANCE, parse


class CodeBlock(NamedTuple):
    """A block of code; its lines are those from `first` up to `end` of the message, fences included."""

    language: str
    code: str
    first: int
    end: int


def code_blocks(text: str) -> list[CodeBlock]:
    """All of them, in lists and quotations too."""
    return [
        CodeBlock(token.info.strip().split(" ")[0], token.content, token.map[0], token.map[1])
        for token in ALLOWANCE.within(len(text), lambda: parse(text)) or []
        if token.type in ("fence", "code_block") and token.map
    ]


def code_at(text: str, offset: int) -> CodeBlock | None:
    """The block in which a character of the message stands."""
    line = text.count("\n", 0, offset)
    return next((block for block in code_blocks(text) if block.first <= line < block.end), None)
