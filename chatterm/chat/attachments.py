"""Texts that go along with a message: files that were attached, and long texts that were pasted."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from chatterm import inert, paths, quoting
from chatterm.errors import UserError
from chatterm.language import _

MAX_BYTES = 2 << 20
"""Of one file that is attached: over half a million tokens, more than a window holds."""

LONG_LINES = 15
LONG_CHARACTERS = 2000
"""A pasted text of more lines or characters than these becomes an attachment."""

MOST_ENTRIES = 5000
"""Names of a folder that are looked at, and …"""
MOST_OFFERED = 50
"""… those that are offered."""

_NAMED_SO = """
bat c cc cfg conf cpp cs css csv diff go h hpp htm html ini ipynb java jl js json jsonl jsx kt lock log lua md
patch php pl po ps1 py pyi r rb rs rst scala sh sql srt svg swift tex toml ts tsv tsx txt xml yaml yml
"""
TEXT_SUFFIXES = frozenset(f".{name}" for name in _NAMED_SO.split())
"""A name behind an @ that ends so is meant to be a file; most others are somebody's, or part of a program."""

_MENTION = re.compile(r'(?:(?<=\s)|^)@(?:"([^"\n]+)"|(\S+))')

_PUNCTUATION = ".,;:!?)。，；：！？）"


@dataclass(eq=False, slots=True)
class Attachment:
    """One text. `tokens` are counted by the engine; None while nobody has."""

    quote: quoting.Quote
    path: Path | None = None
    tokens: int | None = None
    pasted: bool = False

    @property
    def lines(self) -> int:
        """Lines of the text."""
        return len(self.quote.text.splitlines())


def is_long(text: str) -> bool:
    """Whether a pasted text is better folded into an attachment."""
    return len(text) > LONG_CHARACTERS or text.count("\n") >= LONG_LINES


def read(path: Path) -> Attachment:
    """A file as an attachment.

    Raises:
        UserError: it is no text file, too large, or cannot be read.
    """
    try:
        is_other = path.exists() and not path.is_file()
    except OSError:
        is_other = False  # reading it says what is wrong
    if is_other:
        raise UserError(
            _("{name} is no file: only text files can be attached.").format(name=inert.line(str(path)))
        )
    return Attachment(quoting.read_file(path, at_most=MAX_BYTES), path)


def message(attachments: Sequence[Attachment], said: str) -> str:
    """What is sent: the attachments, then what was said."""
    parts = [quoting.quoted(attachment.quote) for attachment in attachments]
    return "\n\n".join([*parts, said] if said.strip() else parts)


def mentioned(text: str, folder: Path) -> tuple[Path, ...]:
    """The files that a text names as `@path` or `@"path"` and that are there."""
    found = dict.fromkeys(_file_of(match, folder) for match in _MENTION.finditer(text))
    return tuple(path for path in found if path is not None)


def missing(text: str, folder: Path) -> str | None:
    """The first name behind an `@` that must be meant for a file, by its look, and that none has."""
    for match in _MENTION.finditer(text):
        name = match[1] or match[2].rstrip(_PUNCTUATION)
        looks_so = (
            match[1] or name.startswith(("./", "../", "~/")) or Path(name).suffix.lower() in TEXT_SUFFIXES
        )
        if looks_so and _file_of(match, folder) is None:
            return name
    return None


def _file_of(mention: re.Match[str], folder: Path) -> Path | None:
    name = mention[1] or mention[2]
    for one in (name, name.rstrip(_PUNCTUATION)):
        path = named(one, folder)
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):
            continue
    return None


def named(name: str, folder: Path) -> Path:
    """The file that is meant by a name behind `@`, seen from a folder."""
    return folder / paths.expand(name) if name else folder


# --- completion -----------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """A name that is offered: what would stand behind the `@`, and whether it is a folder."""

    name: str
    is_folder: bool
    bytes: int


def query(line: str) -> str | None:
    """The path that is being written at the end of a line, behind its `@`; None where there is none."""
    place = line.rfind("@")
    if place < 0 or (place and not line[place - 1].isspace()):
        return None
    return line[place + 1 :].removeprefix('"')


def matching(query: str, folder: Path) -> tuple[Entry, ...]:
    """The files and folders whose names begin with a path, or contain its last part; folders first.

    Hidden ones are offered where the query begins with a dot. At most `MOST_OFFERED`, of at most
    `MOST_ENTRIES` that are looked at.
    """
    head, slash, part = query.rpartition("/")
    try:
        where = folder / paths.expand(head + slash)
        with os.scandir(where) as entries:
            found = [_entry(entry, head + slash) for entry in islice(entries, MOST_ENTRIES)]
    except (OSError, ValueError):
        return ()
    return tuple(_sorted(found, len(head + slash), part)[:MOST_OFFERED])


def _entry(entry: os.DirEntry[str], head: str) -> Entry:
    try:
        is_folder = entry.is_dir()
        size = 0 if is_folder else entry.stat().st_size
    except OSError:
        is_folder, size = False, 0
    return Entry(head + entry.name + "/" * is_folder, is_folder, size)


def _sorted(entries: Iterable[Entry], head: int, part: str) -> list[Entry]:
    wanted = part.casefold()
    kept = []
    for entry in entries:
        name = entry.name[head:].rstrip("/").casefold()
        hidden = name.startswith(".") and not part.startswith(".")
        if wanted in name and not hidden:
            kept.append((not name.startswith(wanted), not entry.is_folder, name, entry))
    return [row[-1] for row in sorted(kept)]
