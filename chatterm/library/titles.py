"""The title of a conversation, from what was first said in it."""

from __future__ import annotations

import re
import unicodedata

from chatterm import quoting
from chatterm.library.text import cells, one_line, shortened, storable

TITLE_CELLS = 40
LITTLE_CELLS = 8
"""A first message of one word of so few columns says little."""

_FENCE = re.compile(r"^\s*(```|~~~).*$", re.MULTILINE)
_LINE_MARK = re.compile(r"^\s*(#{1,6}\s+|>+\s*|[-*+]\s+|\d{1,3}[.)]\s+)")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_EMPHASIS = re.compile(r"(\*\*|__|\*|`)(?=\S)(.+?)(?<=\S)\1")
_LONGEST_LOOKED_AT = 4_000


def title_of(message: str) -> str:
    """A title from the first message: its first line that says something, in at most `TITLE_CELLS` columns.

    What is attached stands in front of what was said, and gives the title only where nothing was.

    Markdown, control characters and invisible formatting (bidirectional overrides, zero-width signs) are
    dropped; a joiner between emoji stays. The result is empty when the message says nothing.
    """
    said = quoting.split(message)[1]  # not the text that is attached to it, unless that is all
    text = _FENCE.sub("", storable((said if said.strip() else message)[:_LONGEST_LOOKED_AT]))
    for line in text.splitlines():
        title = _plain(line)
        if any(char.isalnum() or unicodedata.category(char) == "So" for char in title):
            return shortened(title, TITLE_CELLS)
    return ""


def title_from(message: str, reply: str) -> str:
    """A title from the first exchange: that of the message, and the reply's where the message says little.

    A greeting alone ("hi", "你好") would be the title of many conversations.
    """
    title = title_of(message)
    if not title or " " in title or sum(map(cells, title)) > LITTLE_CELLS:
        return title
    answer = title_of(reply)
    return shortened(f"{title} · {answer}", TITLE_CELLS) if answer else title


def _plain(line: str) -> str:
    line = _LINE_MARK.sub("", line)
    line = _LINK.sub(r"\1", line)
    line = _EMPHASIS.sub(r"\2", line)
    kept = (char for char in one_line(line) if char == "\u200d" or unicodedata.category(char) != "Cf")
    return " ".join("".join(kept).split())
