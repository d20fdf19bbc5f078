"""What the terminal's background is, asked of the terminal itself before the screen is its own."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
from time import monotonic

PATIENCE = 0.2
"""Seconds that an answer may take; terminals answer within milliseconds, but for slow links."""

QUESTION = b"\x1b]11;?\x1b\\\x1b[c"
"""The background colour (OSC 11), then the terminal's attributes: every terminal answers these, last."""

_COLOUR = re.compile(rb"\x1b\]11;rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})")
_ATTRIBUTES = re.compile(rb"\x1b\[\?[0-9;]*c")


def is_light() -> bool | None:
    """Whether the background is light; None where the terminal does not say."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    try:
        import termios
        import tty
    except ImportError:  # Windows
        return None
    file = sys.stdin.fileno()
    try:
        before = termios.tcgetattr(file)
        tty.setcbreak(file, termios.TCSANOW)
        try:
            os.write(sys.stdout.fileno(), QUESTION)
            answer = _read_answer(file)
        finally:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(file, termios.TCSANOW, before)
    except (OSError, termios.error):
        return None
    return light_in(answer)


def _read_answer(file: int) -> bytes:
    answer, until = b"", monotonic() + PATIENCE
    while not _ATTRIBUTES.search(answer) and (left := until - monotonic()) > 0:
        if not select.select([file], [], [], left)[0]:
            break
        answer += os.read(file, 1024)
    return answer


def light_in(answer: bytes) -> bool | None:
    """Whether the colour in an answer is light: its relative luminance, without gamma, is over a half."""
    found = _COLOUR.search(answer)
    if found is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5)
