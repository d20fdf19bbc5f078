"""The active path: which child of each message was looked at last, and where that is kept."""

# ruff: noqa: S608 - what is put into SQL here are constants of this module

from __future__ import annotations

import sqlite3

# looked_at() is `Choices.looked_at`.
ACTIVE = """
    WITH RECURSIVE active (id, depth) AS (
        SELECT first.id, 0 FROM conversation c
            JOIN message first ON first.id = looked_at('conversation', c.id, c.chosen)
            WHERE c.id = ? AND first.conversation = c.id
        UNION ALL
        SELECT child.id, depth + 1 FROM active JOIN message m ON m.id = active.id
            JOIN message child ON child.id = looked_at('message', m.id, m.chosen)
            WHERE child.parent = m.id AND child.id > m.id
    )
"""
"""The messages of a conversation's active path; it takes the conversation's number."""

_UP = """
    WITH RECURSIVE up (id, parent, conversation) AS (
        SELECT id, parent, conversation FROM message WHERE id = ?
        UNION ALL
        SELECT m.id, m.parent, m.conversation FROM up JOIN message m ON m.id = up.parent AND m.id < up.id
    )
"""
"""A message and all that are above it."""


class Choices:
    """Makes the choices in a library's tables, or, where they cannot be written, here, to be forgotten."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._here: dict[tuple[str, int], int] = {}
        connection.create_function("looked_at", 3, self.looked_at, deterministic=True)

    def looked_at(self, table: str, above: int, stored: int | None) -> int | None:
        """The child that the active path goes to from a row of `table`, where `stored` is what it says."""
        return self._here.get((table, above), stored)

    def look_at(self, message: int) -> None:
        """Lead the active path through a message as long as the library is open; nothing is written."""
        rows = self._connection.execute(
            f"{_UP} SELECT id, parent, conversation FROM up", (message,)
        ).fetchall()
        found = {row[0] for row in rows}
        for id_, parent, conversation in rows:
            above = ("message", parent) if parent in found else ("conversation", conversation)
            self._here[above] = id_

    def choose(self, message: int) -> None:
        """Lead the active path through a message: every message above it chooses the one that leads to it."""
        self._connection.execute(
            f"""
            {_UP}
            UPDATE message SET chosen = up.id FROM up
            WHERE message.id = up.parent AND message.id < up.id AND message.chosen IS NOT up.id
            """,
            (message,),
        )
        self._connection.execute(
            f"""
            {_UP}
            UPDATE conversation SET chosen = up.id FROM up
            WHERE NOT EXISTS (SELECT 1 FROM message WHERE id = up.parent AND id < up.id)
                AND conversation.id = up.conversation AND conversation.chosen IS NOT up.id
            """,
            (message,),
        )
