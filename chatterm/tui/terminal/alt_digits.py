"""Alt with a digit as every terminal but one sends it.

Textual takes the sequences for the letters that one Mac terminal's Option key would type: alt+2 becomes ™ and
is written into the message. Here they are keys.
"""

from __future__ import annotations

from typing import Any, cast

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS


def read_as_keys() -> None:
    """From now on escape and a digit is alt with that digit."""
    sequences = cast(dict[str, Any], ANSI_SEQUENCES_KEYS)  # a dictionary, declared as a mapping
    for digit in "0123456789":
        sequences.pop(f"\x1b{digit}", None)
