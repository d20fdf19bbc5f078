"""The tables, and how a library of an older version becomes one of this version.

`PRAGMA user_version` counts the migrations that a file has been through. A migration is a function that takes
the connection inside a transaction; those that were ever released are never changed, only followed by others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

from chatterm.library import index

APPLICATION_ID = 0x63687474  # "chtt", in the file's header

Migration = Callable[[sqlite3.Connection], None]


def _version_1(connection: sqlite3.Connection) -> None:
    """Conversations, messages, tokens, and the search index."""
    # Ids are never used twice, so that a window that still shows a purged message cannot hit another. A
    # message's parent is older and its chosen child is younger than itself: no row can make a cycle.
    for statement in (
        """
        CREATE TABLE conversation (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            title TEXT NOT NULL,
            title_is_users INTEGER NOT NULL CHECK (title_is_users IN (0, 1)),
            created REAL NOT NULL,
            updated REAL NOT NULL,
            recency INTEGER NOT NULL,   -- the order of the list: unlike `updated`, no clock can disturb it
            pinned INTEGER NOT NULL CHECK (pinned IN (0, 1)),
            deleted REAL,
            chosen INTEGER,             -- the first message of the active path
            model TEXT,
            system_prompt TEXT NOT NULL,
            sampling BLOB               -- MessagePack
        ) STRICT
        """,
        "CREATE INDEX conversation_recency ON conversation (recency)",
        """
        CREATE TABLE message (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            conversation INTEGER NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
            parent INTEGER REFERENCES message (id) ON DELETE CASCADE CHECK (parent < id),
            chosen INTEGER CHECK (chosen > id),   -- the child on the active path
            role TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant')),
            content TEXT NOT NULL,
            created REAL NOT NULL,
            status TEXT NOT NULL CHECK
                (status IN ('done', 'writing', 'stopped', 'length', 'context', 'failed', 'interrupted')),
            owner TEXT CHECK ((owner IS NULL) = (status <> 'writing')),   -- the program that writes it
            model TEXT,
            sampling BLOB,              -- MessagePack
            finish TEXT,
            notices TEXT NOT NULL,      -- JSON
            timing TEXT,                -- JSON
            edited_from INTEGER,
            forked_from INTEGER,
            forked_at INTEGER
        ) STRICT
        """,
        "CREATE INDEX message_children ON message (conversation, parent)",
        "CREATE INDEX message_parent ON message (parent)",
        "CREATE INDEX message_writing ON message (owner) WHERE status = 'writing'",
        """
        CREATE TABLE chunk (
            message INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,
            first INTEGER NOT NULL,     -- index of its first token in the message
            count INTEGER NOT NULL,
            start INTEGER NOT NULL,     -- where that token begins in the content, in characters
            data BLOB NOT NULL,         -- chatterm.library.chunks
            PRIMARY KEY (message, first)
        ) STRICT
        """,
        index.CREATE,
    ):
        connection.execute(statement)


def _version_2(connection: sqlite3.Connection) -> None:
    """What the user did to a message besides writing it."""
    for column in (
        "left_out INTEGER NOT NULL DEFAULT 0 CHECK (left_out IN (0, 1))",
        "attachments_left_out INTEGER NOT NULL DEFAULT 0 CHECK (attachments_left_out IN (0, 1))",
        "raw_prompt BLOB",  # chatterm.library.marks, and so is the next
        "placed BLOB",
    ):
        connection.execute(f"ALTER TABLE message ADD COLUMN {column}")


MIGRATIONS: tuple[Migration, ...] = (_version_1, _version_2)


def version(connection: sqlite3.Connection) -> int:
    """How many migrations the file has been through."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def is_as_written(connection: sqlite3.Connection) -> bool:
    """Whether the file's tables are those that its version has; the search index is not looked at.

    Raises:
        sqlite3.Error, UnicodeDecodeError: they cannot be read.
    """
    done = version(connection)
    if not 0 < done <= len(MIGRATIONS):
        return False
    with closing(sqlite3.connect(":memory:")) as fresh:
        for migration in MIGRATIONS[:done]:
            migration(fresh)
        return _tables(connection) == _tables(fresh)


def statement(table: str) -> str:
    """The statement that makes a table as this version has it."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        for migration in MIGRATIONS:
            migration(fresh)
        (sql,) = fresh.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    return str(sql)


def holds_our_tables(connection: sqlite3.Connection) -> bool:
    """Whether the file has tables by our names, whatever its header says."""
    return {"conversation", "message", "chunk"} <= {name for name, _ in _tables(connection)}


def _tables(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'search%' AND sql NOTNULL"
    )
    return {(name, sql) for name, sql in rows if not name.startswith("sqlite_")}


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to this version, one migration a transaction; a file of this version is not touched."""
    while version(connection) < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            done = version(connection)  # another window may have been quicker
            if done < len(MIGRATIONS):
                MIGRATIONS[done](connection)
                connection.execute(f"PRAGMA user_version = {done + 1}")
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
