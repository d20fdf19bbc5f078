"""TOML files that somebody else may have written: bounded before they are believed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from chatterm.paths import first_bytes

MAX_BYTES = 1 << 18
"""Of a file; far more than all settings, or a preset with a long system prompt, take."""

MOST_DOTS = 64
"""In one key. The parser's time grows with the square of their number."""


def load(file: Path) -> dict[str, Any]:
    """What stands in a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large, too deep, no text or no TOML; the message is the end of a sentence.
    """
    return parse(text(file))


def text(file: Path) -> str:
    """The text of a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large or no text.
    """
    return decoded(first_bytes(file, MAX_BYTES + 1))


def decoded(data: bytes) -> str:
    """The text that the bytes of a file are.

    Raises:
        ValueError: there are too many, or they are no text.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES >> 10} kB")
    return data.decode()


def parse(text: str) -> dict[str, Any]:
    """What a text says.

    Raises:
        ValueError: it is too deep or no TOML.
    """
    for line in text.split("\n"):
        key = line if line.lstrip().startswith("[") else line.partition("=")[0]
        if key.count(".") > MOST_DOTS and (key != line or key.lstrip().startswith("[")):
            raise ValueError("it is nested too deeply")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
