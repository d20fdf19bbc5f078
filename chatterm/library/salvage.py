"""What can still be read of a damaged library, carried over into a new one.

First row by row as SQLite finds them, then, because pages that lead to others may be lost, page by page.
"""

# ruff: noqa: S608 - what is put into SQL here are the names of our own tables and columns

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from chatterm.library import index, schema
from chatterm.library.damage import TABLES, all_or_nothing
from chatterm.library.leaves import PAGE_BYTES, leaves, tables_of_one_leaf

_HEADER = {
    0: b"SQLite format 3\0",
    16: PAGE_BYTES.to_bytes(2, "big"),
    18: bytes((2, 2)),  # written and read with a write-ahead log
    20: bytes((0, 64, 32, 32)),  # nothing reserved on a page; the payload fractions
    44: (4).to_bytes(4, "big"),  # schema format
    56: (1).to_bytes(4, "big"),  # UTF-8
}
_GIVE_UP_AFTER = 4_096  # ranges of one table that could not be read


def salvage(damaged: Path, connection: sqlite3.Connection) -> int:
    """Carry over all rows that can still be read into a new library; how many messages that were.

    Raises:
        OSError, sqlite3.Error: there is no room for it, or the new library cannot be written.
    """
    with copied(damaged, damaged.parent) as copy:
        carried = _carry_over(copy, connection)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it in the one file that gets the name
    return carried


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
                copy.write_bytes(bytes(PAGE_BYTES))
        yield copy


def _mend_header(file: Path) -> None:
    """Put what is the same in every one of our files where it belongs (https://sqlite.org/fileformat.html)."""
    if file.stat().st_size < PAGE_BYTES:
        return
    with file.open("r+b") as stream:
        for place, content in _HEADER.items():
            stream.seek(place)
            stream.write(content)


def _carry_over(copy: Path, new: sqlite3.Connection) -> int:
    new.execute("PRAGMA foreign_keys = OFF")  # rows refer to rows that come later, or never
    try:
        with all_or_nothing(new):
            with closing(sqlite3.connect(copy, isolation_level=None)) as old:
                old.text_factory = lambda raw: raw.decode("utf-8", "replace")
                for table in TABLES:
                    _add(new, table, _rows(old, table))
                with suppress(sqlite3.Error):  # so that closing brings what is in the log into the file
                    old.execute("BEGIN IMMEDIATE")
                    old.execute("ROLLBACK")
            pages = leaves(copy)
            for table in TABLES:
                for leaf in tables_of_one_leaf(copy, pages, table, schema.statement(table)):
                    _add(new, table, _rows(leaf, table))
            _mend(new)
            index.rebuild(new)
            return int(new.execute("SELECT count(*) FROM message").fetchone()[0])
    finally:
        new.execute("PRAGMA foreign_keys = ON")


def _add(new: sqlite3.Connection, table: str, rows: Iterator[tuple[list[str], tuple[Any, ...]]]) -> None:
    for names, row in rows:
        # A row that no constraint lets in cannot be read, is another table's, or is there already.
        with suppress(sqlite3.IntegrityError):
            new.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(row))})", row)


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
