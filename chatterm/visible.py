"""Foreign text made inert: no control sequence, no direction trick, nothing invisible.

Model output, file names, metadata and pasted text go through here on their way to the terminal.
"""

from __future__ import annotations

import re
import unicodedata

_KEPT = "\n\t"
_DANGEROUS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and newline, DEL, C1
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # direction and zero width
    "\U000e0000-\U000e007f\ud800-\udfff]"  # tags, lone surrogates
)
_SPACES = {" ": "·", "\n": "⏎", "\t": "⇥", "\u00a0": "⍽", "\u3000": "□"}


def _show(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)  # the control pictures of Unicode: ␛ for escape
    if code == 0x7F:
        return "␡"
    return f"‹U+{code:04X}›"


def inert(text: str) -> str:
    """`text` with every control, bidirectional and zero-width character shown instead of obeyed.

    Newline and tab stay; carriage returns before a newline go. The joiners U+200C and U+200D stay: scripts
    and emoji need them.
    """
    return _DANGEROUS.sub(_show, text.replace("\r\n", "\n"))


def inert_line(text: str) -> str:
    """`inert`, and on one line."""
    return inert(text).replace("\n", "⏎").replace("\t", " ")


def visible_token(text: str) -> str:
    """One token for a table: spaces and line ends are seen too, a lone combining mark gets a base."""
    shown = "".join(_SPACES.get(character, character) for character in text)
    if shown and unicodedata.combining(shown[0]):
        shown = "◌" + shown
    return inert(shown)
