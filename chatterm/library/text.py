"""Text that SQLite can hold, can be searched and can be put on one line.

Each function here keeps the number of characters, so that offsets hold across it.
"""

from __future__ import annotations

import re
import unicodedata

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def storable(text: str) -> str:
    """`text` with every lone surrogate, which UTF-8 cannot carry, shown as U+FFFD."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def folded(text: str) -> str:
    """`text` as it is searched: in lower case where that keeps the length, NUL as a space."""
    text = text.replace("\0", " ")
    if text.isascii():
        return text.lower()
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


def one_line(text: str) -> str:
    """`text` with line ends, tabs and other control characters as spaces."""
    return _UNPRINTABLE.sub(" ", text)


def cells(char: str) -> int:
    """Columns that a character takes in a terminal: 0, 1 or 2 (Unicode's East Asian Width)."""
    if unicodedata.category(char) in {"Mn", "Me", "Cf", "Cc"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def shortened(text: str, width: int) -> str:
    """`text` in at most `width` terminal columns, ending in “…” where something was left out.

    It is cut between words where a space is near, never before a combining character.
    """
    used, end = 0, 0
    fits = 0  # as much as leaves a column for the ellipsis
    for end, char in enumerate(text):
        used += cells(char)
        if used > width:
            break
        if used < width:
            fits = end + 1
    else:
        return text
    cut = text[:fits]
    if fits < len(text) and not text[fits].isspace() and (space := cut.rfind(" ")) > len(cut) * 2 // 3:
        cut = cut[:space]
    return cut.rstrip(" ,;:，；：、") + "…"
