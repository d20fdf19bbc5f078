"""What the terminal's background is: the question, and what terminals answer."""

from __future__ import annotations

import re

AUTO = "auto"
"""The theme that is light or dark as the background is."""

QUESTION = "\x1b]11;?\x1b\\\x1b[c"
"""The background colour (OSC 11), then the terminal's attributes: every terminal answers these, last."""

_COLOUR = re.compile(rb"\x1b\]11;rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})")
_ATTRIBUTES = re.compile(rb"\x1b\[\?[0-9;]*c")
_ANSWERS = re.compile(rb"\x1b\]11;[^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[\?[0-9;]*c")


def is_complete(answer: bytes) -> bool:
    """Whether nothing more is to come."""
    return _ATTRIBUTES.search(answer) is not None


def light_in(answer: bytes) -> bool | None:
    """Whether the colour in an answer is light: its relative luminance, without gamma, is over a half."""
    found = _COLOUR.search(answer)
    if found is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5)


def without_answers(read: bytes) -> bytes:
    """What stood around the answers: it was typed. The beginning of an answer is kept too, for its rest."""
    return _ANSWERS.sub(b"", read)
