"""A damaged library: telling it, mending its search index, moving it aside.

Nothing is deleted. Opening looks only at what every opening reads anyway; damage that is met later leaves a
mark beside the file, and the next opening looks through all of it.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chatterm import paths
from chatterm.errors import UserError
from chatterm.library import index, schema
from chatterm.library.owners import try_lock

_SUFFIXES = ("", "-wal", "-shm")
TABLES = ("conversation", "message", "chunk")
"""Those that hold what was said; the search index can be made anew from them."""


class DamagedError(Exception):
    """The file is not a database any more, or not a whole one."""


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its extension; -1 for an error of the Python module itself."""
    code = getattr(error, "sqlite_errorcode", None)
    return -1 if code is None else code & 0xFF


def is_damage(error: Exception) -> bool:
    """Whether an error says that the file, or the search index in it, is damaged."""
    if isinstance(error, UnicodeDecodeError):
        return True  # SQLite quotes the file in its error message, and it is not even text
    if not isinstance(error, sqlite3.Error):
        return False
    if primary_code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return True
    # So the index says that it holds a message already; the tables' own constraints have longer codes.
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CONSTRAINT


def refuse_emptied(path: Path) -> None:
    """Refuse a file cut to nothing while its log still holds data: SQLite would throw that log away.

    Raises:
        DamagedError: it is so.
    """
    log = path.with_name(path.name + "-wal")
    if path.stat().st_size == 0 and log.exists() and log.stat().st_size > 0:
        raise DamagedError


def says_nothing(error: Exception) -> bool:
    """Whether an error may come from damage as well as from anything else: the file has to be looked at."""
    return not isinstance(error, sqlite3.Error) or primary_code(error) in {
        -1,
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_RANGE,
    }


def is_whole(connection: sqlite3.Connection) -> bool:
    """Whether all that was said can be read and fits together; the search index is not looked at."""
    try:
        return (
            schema.is_as_written(connection)
            and all(
                connection.execute(f"PRAGMA integrity_check({table})").fetchone()[0] == "ok"
                for table in TABLES
            )
            and connection.execute("PRAGMA foreign_key_check").fetchone() is None
        )
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if is_damage(error) or says_nothing(error):
            return False
        raise


def mend(connection: sqlite3.Connection) -> None:
    """Look through all that was said, and, if that is whole, make the search index anew.

    Raises:
        DamagedError: it is not whole.
    """
    if not is_whole(connection):
        raise DamagedError
    try:
        with all_or_nothing(connection):
            index.rebuild(connection)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if is_damage(error) or says_nothing(error):
            raise DamagedError from error
        raise


def _mark(path: Path) -> Path:
    return path.with_name(path.name + ".damaged")


def remember(path: Path) -> None:
    """Leave word that damage was met."""
    with suppress(OSError):
        _mark(path).touch(mode=0o600)


def was_met(path: Path) -> bool:
    """Whether damage was met since the file was last looked through."""
    return _mark(path).exists()


def forget(path: Path) -> None:
    """Take the word back."""
    with suppress(OSError):
        _mark(path).unlink()


@contextmanager
def moving(path: Path, seconds: float) -> Iterator[None]:
    """Keep other programs from moving the same file aside meanwhile.

    Raises:
        UserError: another one has been at it for more than `seconds`.
    """
    file = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + seconds
        while not try_lock(file):
            if time.monotonic() > deadline:
                raise UserError(f"Another chatterm is setting the damaged {path} aside: try again.")
            time.sleep(0.02)
        yield
    finally:
        os.close(file)


# The new library is made beside the damaged one, and only when it is whole do both change their names. So a
# full disk in between leaves everything as it was, and after a crash in between it is either begun anew or
# finished: where the new one is there and the old one is not, the new one is whole.


def begin_new(path: Path) -> Path:
    """Where the new library is made; what an earlier attempt left there is removed."""
    begun = _begun(path)
    for suffix in _SUFFIXES:
        begun.with_name(begun.name + suffix).unlink(missing_ok=True)
    return begun


def new_is_whole(path: Path) -> None:
    """Let the new library, which is closed by now, count as whole, in place of an earlier one."""
    _begun(path).replace(_new(path))
    paths.sync_folder(path.parent)


def stamp(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """What is another when somebody has written to a library meanwhile."""
    return tuple(_written(path.with_name(path.name + suffix)) for suffix in _SUFFIXES[:2])


def _written(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def _begun(path: Path) -> Path:
    return path.with_name(path.name + ".begun")


def _new(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def was_interrupted(path: Path) -> bool:
    """Whether the names of the damaged file and of the new one were only half changed."""
    return not path.exists() and _new(path).exists()


def finish(path: Path) -> None:
    """Give the new library its name, if that is still to be done."""
    if was_interrupted(path):
        move_aside(path)
        put_in_place(path)


def put_in_place(path: Path) -> None:
    """Give the new library the name that the damaged one had."""
    _new(path).rename(path)
    paths.sync_folder(path.parent)


def move_aside(path: Path) -> Path:
    """Rename the damaged file, with its log, to a name that says so; that name."""
    stem = f"{path.stem}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    aside = path.with_name(stem + path.suffix)
    number = 2
    while any(aside.with_name(aside.name + suffix).exists() for suffix in _SUFFIXES):
        aside = path.with_name(f"{stem}-{number}{path.suffix}")
        number += 1
    for suffix in (*_SUFFIXES[1:], _SUFFIXES[0]):  # the file last: no log may lie beside another than its own
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    forget(path)
    return aside


def sentence(carried: int, aside: Path) -> str:
    """What became of the library."""
    what = f"{carried} of its messages were carried over" if carried else "none of it could be read"
    return f"The conversation library was damaged; {what}. The damaged file is kept as {aside}."


@contextmanager
def all_or_nothing(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that is rolled back where the block raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
