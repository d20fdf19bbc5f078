"""The search index: the folded text of every finished message, under the message's id."""

from __future__ import annotations

import sqlite3

from chatterm.library.text import folded


def add(connection: sqlite3.Connection, message: int, content: str) -> None:
    """Make a message findable."""
    connection.execute("INSERT INTO search (rowid, text) VALUES (?, ?)", (message, folded(content)))


def remove(connection: sqlite3.Connection, message: int) -> None:
    """Make a message unfindable; it need not have been findable."""
    connection.execute("DELETE FROM search WHERE rowid = ?", (message,))


def rebuild(connection: sqlite3.Connection) -> None:
    """Make the index anew from the messages, whatever state it is in."""
    connection.execute("DROP TABLE search")
    connection.execute("CREATE VIRTUAL TABLE search USING fts5 (text, tokenize = 'trigram case_sensitive 1')")
    rows = connection.execute("SELECT id, content FROM message WHERE status <> 'writing'")
    connection.executemany(
        "INSERT INTO search (rowid, text) VALUES (?, ?)",
        ((message, folded(content)) for message, content in rows),
    )
