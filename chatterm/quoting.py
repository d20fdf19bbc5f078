"""Files and pasted texts in a message: each under its name, in a fence that nothing in it can close."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from chatterm import inert
from chatterm.errors import UserError
from chatterm.paths import first_bytes

MAX_BYTES = 16 << 20
"""Of one file: far more than any context window holds."""

_QUOTE = re.compile(
    r"(?P<name>[^\n]{1,4096}):\n\n(?P<fence>`{3,})(?P<language>[A-Za-z0-9+-]{0,20})\n"
    r"(?P<text>(?s:.*?))\n(?P=fence)(?:\n\n|\Z)"
)


class Quote(NamedTuple):
    """A quoted text: what it is called, what stands in it, and the language of its fence."""

    name: str
    text: str
    language: str = ""


def quoted(quote: Quote) -> str:
    """A text under its name, in a fence longer than any in it."""
    longest = max((len(run) for run in re.findall("`+", quote.text)), default=0)
    fence = "`" * max(3, longest + 1)
    kind = quote.language if re.fullmatch(r"[A-Za-z0-9+-]{1,20}", quote.language) else ""
    return f"{inert.line(quote.name)}:\n\n{fence}{kind}\n{quote.text.rstrip()}\n{fence}"


class Place(NamedTuple):
    """Where a quote stands in a message, in characters: its name, its fence, and what comes after it."""

    quote: Quote
    start: int
    fence: int
    end: int


def located(message: str) -> tuple[Place, ...]:
    """The quotes at the head of a message."""
    found, place = [], 0
    while match := _QUOTE.match(message, place):
        quote = Quote(match["name"], match["text"], match["language"])
        found.append(Place(quote, place, match.start("fence"), match.end()))
        place = match.end()
    return tuple(found)


def split(message: str) -> tuple[tuple[Quote, ...], str]:
    """The quotes at the head of a message, and what was said after them."""
    found = located(message)
    return tuple(place.quote for place in found), message[found[-1].end if found else 0 :]


def read_file(file: Path, *, at_most: int = MAX_BYTES) -> Quote:
    """A text file as a quote; `at_most` bytes are read.

    Raises:
        UserError: it cannot be read, is too large or is no text.
    """
    shown = inert.line(str(file))
    try:
        data = first_bytes(file, at_most + 1)
    except OSError as error:
        raise UserError(f"{shown} cannot be read ({error.strerror}).") from error
    return Quote(file.name, decoded(data, shown, at_most=at_most), file.suffix[1:])


def decoded(data: bytes, name: str, *, at_most: int = MAX_BYTES) -> str:
    """Bytes as text.

    Raises:
        UserError: they are too many or no text.
    """
    if len(data) > at_most:
        raise UserError(f"{name} is larger than {at_most >> 20} MB.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text (byte {error.start}).") from error
    if "\0" in text:
        raise UserError(f"{name} is not text: there are zero bytes in it.")
    return text
