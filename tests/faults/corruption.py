"""Ways in which a library file may be damaged, each as a disk, a copy or another program might do it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from chatterm.library import Library
from tests.faults.stock import Said, fill

PAGE = 4096


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def overwrite_pages(path: Path, numbers: random.Random) -> None:
    pages = path.stat().st_size // PAGE
    with path.open("r+b") as file:
        for _ in range(numbers.randint(1, 4)):
            page = numbers.randrange(pages)
            junk = numbers.choice([b"\xff" * PAGE, bytes(PAGE), numbers.randbytes(PAGE), b""])
            if not junk:  # another page's content, as when a write went to the wrong place
                file.seek(numbers.randrange(pages) * PAGE)
                junk = file.read(PAGE)
            file.seek(page * PAGE)
            file.write(junk)


def overwrite_bytes(path: Path, numbers: random.Random) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        for _ in range(numbers.randint(1, 20)):
            file.seek(numbers.randrange(size))
            file.write(numbers.randbytes(numbers.randint(1, 8)))


def overwrite_header(path: Path, numbers: random.Random) -> None:
    with path.open("r+b") as file:
        file.seek(numbers.randrange(100))
        file.write(numbers.randbytes(numbers.randint(1, 30)))


def cut(path: Path, numbers: random.Random) -> None:
    with path.open("r+b") as file:
        file.truncate(numbers.choice([0, 1, 100, PAGE, numbers.randrange(path.stat().st_size)]))


def cut_and_lengthen(path: Path, numbers: random.Random) -> None:
    """As after a power cut on a file system that knows only the length."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(numbers.randrange(size))
        file.truncate(size)


def replace(path: Path, numbers: random.Random) -> None:
    other = [
        b"not a database at all\n" * 300,
        bytes(8192),
        b"SQLite format 3\0" + bytes(4080),
        b"\x1f\x8b\x08",
    ]
    path.write_bytes(numbers.choice([*other, numbers.randbytes(20_000)]))


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "whole pages overwritten": overwrite_pages,
    "single bytes overwritten": overwrite_bytes,
    "the header overwritten": overwrite_header,
    "cut off": cut,
    "zeros at the end": cut_and_lengthen,
    "no database at all": replace,
}


def damage_log(path: Path, numbers: random.Random) -> None:
    """The write-ahead log of a program that was killed, cut or damaged."""
    log = log_of(path)
    size = log.stat().st_size
    with log.open("r+b") as file:
        if numbers.random() < 0.5:
            file.truncate(numbers.randrange(size))
        else:
            file.seek(numbers.randrange(size))
            file.write(numbers.randbytes(numbers.randint(1, 5000)))


def as_after_a_kill(path: Path, numbers: random.Random) -> tuple[Said, Said]:
    """A file and its log as a killed program leaves them; what is in the file, what is only in the log."""
    held = path.with_name("held.sqlite3")
    with Library(held) as library:
        in_file = fill(library, numbers)
    with Library(held) as library:
        in_log = fill(library, numbers, actions=5)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(held, path)
        shutil.copyfile(log_of(held), log_of(path))
    return in_file, in_log
