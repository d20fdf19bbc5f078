"""Alt with a digit and alt with Enter, as every terminal without the kitty protocol sends them.

Textual takes the sequences of the digits for the letters that one Mac terminal's Option key would type: alt+2
becomes ™ and is written into the message. Escape and a carriage return it takes for these two keys, one after
the other. Here they are keys with alt.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS


class _Key(NamedTuple):
    """In the place of one of Textual's `Keys`, which has none for it."""

    value: str


def read_as_keys() -> None:
    """From now on escape and a digit, or the end of a line, is alt with that key."""
    sequences = cast(dict[str, Any], ANSI_SEQUENCES_KEYS)  # a dictionary, declared as a mapping
    for digit in "0123456789":
        sequences.pop(f"\x1b{digit}", None)
    for line_end in "\r\n":  # with ctrl or a terminal in raw mode it may be either
        sequences[f"\x1b{line_end}"] = (_Key("alt+enter"),)
