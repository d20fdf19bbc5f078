"""The search index: the folded text of every finished message, under the message's id.

It can be made anew from the messages at any time, so damage to it is mended where it is met.
"""

from __future__ import annotations

import sqlite3

from chatterm.library import lenient
from chatterm.library.text import folded

# Trigrams find any part of any word in any script, Chinese too. The text is stored already folded: the index
# has no case to fold, and instr() finds what is under three characters.
CREATE = "CREATE VIRTUAL TABLE search USING fts5 (text, tokenize = 'trigram case_sensitive 1')"


def add(connection: sqlite3.Connection, message: int, content: str) -> None:
    """Make a message findable."""
    connection.execute("INSERT INTO search (rowid, text) VALUES (?, ?)", (message, folded(content)))


def remove(connection: sqlite3.Connection, message: int) -> None:
    """Make a message unfindable; it need not have been findable."""
    connection.execute("DELETE FROM search WHERE rowid = ?", (message,))


def rebuild(connection: sqlite3.Connection) -> None:
    """Make the index anew from the messages, whatever state it is in; inside a transaction."""
    try:
        connection.execute("DROP TABLE search")
    except sqlite3.DatabaseError:
        _forget(connection)
    connection.execute(CREATE)
    rows = connection.execute("SELECT id, content FROM message WHERE status <> 'writing'")
    connection.executemany(
        "INSERT INTO search (rowid, text) VALUES (?, ?)",
        ((message, folded(lenient.text(content))) for message, content in rows),
    )


def _forget(connection: sqlite3.Connection) -> None:
    """Drop an index so damaged that SQLite will not drop it: first its name, then the tables under it."""
    connection.execute("PRAGMA writable_schema = ON")
    try:
        connection.execute("DELETE FROM sqlite_master WHERE name = 'search'")
    finally:
        connection.execute("PRAGMA writable_schema = RESET")
    for part in ("data", "idx", "content", "docsize", "config"):
        connection.execute(f"DROP TABLE IF EXISTS search_{part}")
