"""A damaged library: telling it, moving it aside, and carrying over what can be read.

Nothing is deleted. Opening looks only at what every opening reads anyway; damage that is met later leaves a
mark beside the file, and the next opening looks through all of it.
"""

# ruff: noqa: S608 - what is put into SQL here are the names of our own tables and columns

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from chatterm.errors import UserError
from chatterm.library import index, schema
from chatterm.library.owners import try_lock

_SUFFIXES = ("", "-wal", "-shm")
_PAGE_BYTES = 4_096
_HEADER = {
    0: b"SQLite format 3\0",
    16: _PAGE_BYTES.to_bytes(2, "big"),
    18: bytes((2, 2)),  # written and read with a write-ahead log
    20: bytes((0, 64, 32, 32)),  # nothing reserved on a page; the payload fractions
    44: (4).to_bytes(4, "big"),  # schema format
    56: (1).to_bytes(4, "big"),  # UTF-8
}
_TABLES = ("conversation", "message", "chunk")
_GIVE_UP_AFTER = 4_096  # ranges of one table that could not be read


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
                for table in _TABLES
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
        with _all_or_nothing(connection):
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


def new_beside(path: Path) -> Path:
    """Where the new library is made; what an earlier attempt left there is removed."""
    new = path.with_name(path.name + ".new")
    for suffix in _SUFFIXES:
        new.with_name(new.name + suffix).unlink(missing_ok=True)
    return new


def was_interrupted(path: Path) -> bool:
    """Whether the names of the damaged file and of the new one were only half changed."""
    return not path.exists() and path.with_name(path.name + ".new").exists()


def finish(path: Path) -> None:
    """Give the new library its name, if that is still to be done."""
    if was_interrupted(path):
        put_in_place(path)


def put_in_place(path: Path) -> Path:
    """Rename the damaged file, with its log, to a name that says so, and the new one to `path`.

    The name that the damaged one has now is returned.
    """
    aside = _move_aside(path)
    path.with_name(path.name + ".new").rename(path)
    _sync(path.parent)
    return aside


def _move_aside(path: Path) -> Path:
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


def _sync(folder: Path) -> None:
    """Make renames survive a power cut, where the system can."""
    if os.name == "posix":
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def salvage(damaged: Path, connection: sqlite3.Connection) -> int:
    """Carry over all rows that can still be read into a new library; how many messages that were.

    Raises:
        OSError, sqlite3.Error: there is no room for it, or the new library cannot be written.
    """
    with copied(damaged, damaged.parent) as copy, closing(sqlite3.connect(copy)) as old:
        old.text_factory = lambda raw: raw.decode("utf-8", "replace")
        carried = _carry_over(old, connection)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it in the one file that gets the name
    return carried


def sentence(carried: int, aside: Path) -> str:
    """What became of the library."""
    what = f"{carried} of its messages were carried over" if carried else "none of it could be read"
    return f"The conversation library was damaged; {what}. The damaged file is kept as {aside}."


@contextmanager
def copied(path: Path, beside: Path | None = None) -> Iterator[Path]:
    """A copy to read from, with its log, and with a header as all of our files have it.

    SQLite changes even what it only reads: it may drop a log that it mistrusts.
    """
    with tempfile.TemporaryDirectory(prefix=f"{path.stem}-", dir=beside) as folder:
        copy = Path(folder, path.name)
        shutil.copyfile(path, copy)
        _mend_header(copy)
        log = path.with_name(path.name + "-wal")
        if log.exists():
            shutil.copyfile(log, copy.with_name(log.name))
            if (
                copy.stat().st_size == 0
            ):  # a log beside an empty file would be dropped, beside any page it is read
                copy.write_bytes(bytes(_PAGE_BYTES))
        yield copy


def _mend_header(file: Path) -> None:
    """Put what is the same in every one of our files where it belongs (https://sqlite.org/fileformat.html)."""
    if file.stat().st_size < _PAGE_BYTES:
        return
    with file.open("r+b") as stream:
        for place, content in _HEADER.items():
            stream.seek(place)
            stream.write(content)


def _carry_over(old: sqlite3.Connection, new: sqlite3.Connection) -> int:
    new.execute("PRAGMA foreign_keys = OFF")  # rows refer to rows that come later, or never
    try:
        with _all_or_nothing(new):
            for table in _TABLES:
                for names, row in _rows(old, table):
                    # A row that no constraint lets in is one of those that cannot be read.
                    with suppress(sqlite3.IntegrityError):
                        new.execute(
                            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(row))})",
                            row,
                        )
            _mend(new)
            index.rebuild(new)
            return int(new.execute("SELECT count(*) FROM message").fetchone()[0])
    finally:
        new.execute("PRAGMA foreign_keys = ON")


@contextmanager
def _all_or_nothing(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _rows(old: sqlite3.Connection, table: str) -> Iterator[tuple[list[str], tuple[Any, ...]]]:
    """The readable rows of a table with the names of their columns, halving around what cannot be read."""
    unreadable = 0
    ranges = [(-(2**62), 2**62)]
    while ranges and unreadable < _GIVE_UP_AFTER:
        low, high = ranges.pop()
        try:
            cursor = old.execute(f"SELECT * FROM {table} WHERE rowid BETWEEN ? AND ?", (low, high))
            rows = cursor.fetchall()
        except (sqlite3.Error, UnicodeDecodeError):
            unreadable += 1
            if low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]
            continue
        names = [column[0] for column in cursor.description]
        yield from ((names, row) for row in rows)


def _mend(new: sqlite3.Connection) -> None:
    """Make a whole tree of the rows that were carried over."""
    new.execute(
        """
        INSERT INTO conversation
            (id, title, title_is_users, created, updated, recency, pinned, system_prompt)
        SELECT conversation, '', 0, min(created), max(created), min(conversation), 0, ''
        FROM message WHERE conversation NOT IN (SELECT id FROM conversation) GROUP BY conversation
        """
    )
    new.execute("UPDATE message SET status = 'interrupted', owner = NULL WHERE status = 'writing'")
    new.execute("UPDATE message SET parent = NULL WHERE parent NOT IN (SELECT id FROM message)")
    new.execute("DELETE FROM chunk WHERE message NOT IN (SELECT id FROM message)")
    # Whoever has children has a chosen one: the newest where the choice was lost.
    new.execute(
        """
        UPDATE message SET chosen = (SELECT max(child.id) FROM message child WHERE child.parent = message.id)
        WHERE chosen IS NULL OR NOT EXISTS
            (SELECT 1 FROM message child WHERE child.id = message.chosen AND child.parent = message.id)
        """
    )
    new.execute(
        """
        UPDATE conversation SET chosen =
            (SELECT max(id) FROM message WHERE conversation = conversation.id AND parent IS NULL)
        WHERE chosen IS NULL OR NOT EXISTS
            (SELECT 1 FROM message first WHERE first.id = conversation.chosen
                AND first.conversation = conversation.id AND first.parent IS NULL)
        """
    )
