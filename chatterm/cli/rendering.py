"""Markdown in a terminal. Foreign text is inert; links show where they lead and are not followed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatterm import inert
from chatterm.allowance import Allowance

if TYPE_CHECKING:
    from markdown_it.token import Token
    from rich.console import Console
    from rich.segment import Segment

WIDEST = 100
"""Columns; longer lines are hard to read."""

ALLOWANCE = Allowance(seconds=3.0, per_character=50e-6, least=1.0)
"""Nobody types meanwhile, so it is more than the chat has."""

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def print_markdown(console: Console, text: str) -> None:
    """Markdown as it is meant, in at most `WIDEST` columns; a newline breaks the line, as on the screen.

    What takes longer than any text should is printed as it is written: some lexers of code never end.
    """
    from rich.segment import Segments
    from rich.text import Text

    text = inert.block(text)
    width = min(WIDEST, console.width)
    found = ALLOWANCE.within(len(text), lambda: _rendered(console, text, width))
    console.print(Text(text) if found is None else Segments(found), width=width)


def _rendered(console: Console, text: str, width: int) -> list[Segment]:
    from rich.markdown import Markdown

    markdown = Markdown(text, hyperlinks=False)
    for token in markdown.parsed:
        _make_inert(token)
        before = ""
        for child in token.children or ():
            if child.type == "softbreak":
                child.type = "hardbreak"
            _make_inert(child, before)
            before = child.content or before
    return list(console.render(markdown, console.options.update(width=width)))


def _make_inert(token: Token, before: str = "") -> None:
    """Once more after parsing: what an entity like `&#8238;` stands for has come in only now."""
    token.content = inert.block(token.content, before)
    token.info = inert.line(token.info)
    for name, value in token.attrs.items():
        if isinstance(value, str):
            token.attrs[name] = inert.line(value)


class MarkdownStream:
    """Markdown that is printed while it is being written, block by block.

    A block is printed once the next one begins: what stands on the screen never changes.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._waiting = ""
        self._printed = False

    def write(self, text: str) -> None:
        """More of the text."""
        self._waiting += text
        end = complete_blocks(self._waiting)
        if end:
            self._print(self._waiting[:end])
            self._waiting = self._waiting[end:]

    def close(self) -> None:
        """What is still waiting."""
        self._print(self._waiting)
        self._waiting = ""

    def _print(self, text: str) -> None:
        if not text.strip():
            return
        if self._printed:
            self._console.print()
        self._printed = True
        print_markdown(self._console, text)


def complete_blocks(text: str) -> int:
    """How many characters of a growing Markdown text will not change any more.

    Up to the last empty line outside of fenced code after which a block begins at the margin: what is
    indented, or goes on with a list, belongs to the block before.
    """
    end = place = 0
    fence = ""
    after_empty = False
    lines = text.splitlines(keepends=True)
    for line in lines[:-1] if lines and not lines[-1].endswith("\n") else lines:
        mark = _FENCE.match(line)
        if fence:
            closes = mark and mark[1].startswith(fence) and not line[mark.end() :].strip()
            fence = "" if closes else fence
        else:
            if after_empty and line.strip() and not _goes_on(line):
                end = place
            fence = _opened(mark, line)
        after_empty = not fence and not line.strip()
        place += len(line)
    return end


def _opened(mark: re.Match[str] | None, line: str) -> str:
    """The fence that a line opens, or "": behind backticks no further one may stand, else it is a text."""
    if mark is None or (mark[1][0] == "`" and "`" in line[mark.end() :]):
        return ""
    return mark[1]


def _goes_on(line: str) -> bool:
    return line[0] in " \t" or re.match(r"([-*+]|\d{1,9}[.)])\s", line) is not None
