"""The title of a conversation, from what was first said in it."""

from __future__ import annotations

import re
import unicodedata

from chatterm.library.text import one_line, shortened, storable

TITLE_CELLS = 40

_FENCE = re.compile(r"^\s*(```|~~~).*$", re.MULTILINE)
_LINE_MARK = re.compile(r"^\s*(#{1,6}\s+|>+\s*|[-*+]\s+|\d{1,3}[.)]\s+)")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_EMPHASIS = re.compile(r"(\*\*|__|\*|`)(?=\S)(.+?)(?<=\S)\1")
_LONGEST_LOOKED_AT = 4_000


def title_of(message: str) -> str:
    """A title from the first message: its first line that says something, in at most `TITLE_CELLS` columns.

    Markdown, control characters and invisible formatting (bidirectional overrides, zero-width signs) are
    dropped; a joiner between emoji stays. The result is empty when the message says nothing.
    """
    text = _FENCE.sub("", storable(message[:_LONGEST_LOOKED_AT]))
    for line in text.splitlines():
        title = _plain(line)
        if any(char.isalnum() or unicodedata.category(char) == "So" for char in title):
            return shortened(title, TITLE_CELLS)
    return ""


def _plain(line: str) -> str:
    line = _LINE_MARK.sub("", line)
    line = _LINK.sub(r"\1", line)
    line = _EMPHASIS.sub(r"\2", line)
    kept = (char for char in one_line(line) if char == "\u200d" or unicodedata.category(char) != "Cf")
    return " ".join("".join(kept).split())
