"""Libraries with something in them."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

from chatterm.library import Candidate, Library, Token, schema

Said = dict[int, str]
"""Message → content, of messages that were reported as saved."""


def fill(library: Library, numbers: random.Random, actions: int = 12) -> Said:
    """Some conversations with messages and replies of all lengths, branches among them."""
    said: Said = {}
    conversation, parents = library.create().id, [None]
    for number in range(actions):
        parent = numbers.choice(parents[-4:])
        if number and numbers.random() < 0.2:
            conversation, parents, parent = library.create().id, [None], None
        words = f"{number} 苹果 " + " ".join(f"{numbers.getrandbits(32):08x}" for _ in range(length(numbers)))
        if numbers.random() < 0.5:
            message = library.add_message(conversation, parent, "user", words)
            said[message.id] = words
        else:
            message = library.begin_reply(conversation, parent, model="tiny")
            for piece in words.split(" "):
                library.extend_reply(message.id, [token(piece + " ")])
            said[message.id] = library.finish_reply(message.id, "end").content
        parents.append(message.id)
    return said


def length(numbers: random.Random) -> int:
    return numbers.choice([1, 3, 30, numbers.randrange(200)])


def token(text: str) -> Token:
    return Token(
        id=1,
        text=text,
        position=0,
        logprob=-1.0,
        rank=1,
        sampled=0.5,
        entropy=1.0,
        temperature=0.8,
        kept=3,
        candidates=(Candidate(1, text, -1.0, 1, 0.5, None),),
    )


def old_library(path: Path, numbers: random.Random, version: int) -> Said:
    """A library as a chatterm that knew only the first `version` migrations left it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    said: Said = {}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for done, migration in enumerate(schema.MIGRATIONS[:version], 1):
            connection.execute("BEGIN IMMEDIATE")
            migration(connection)
            connection.execute(f"PRAGMA user_version = {done}")
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            connection.execute("COMMIT")
        for number in range(1, numbers.randint(2, 6)):
            connection.execute(
                "INSERT INTO conversation (title, title_is_users, created, updated, recency, pinned, chosen, "
                "system_prompt) VALUES ('old', 0, 1.0, 1.0, ?, 0, ?, '')",
                (number, number),
            )
            content = f"said long ago {number} " + "word " * length(numbers)
            connection.execute(
                "INSERT INTO message (conversation, role, content, created, status, notices) "
                "VALUES (?, 'user', ?, 1.0, 'done', '[]')",
                (number, content),
            )
            connection.execute("INSERT INTO search (rowid, text) VALUES (?, ?)", (number, content))
            said[number] = content
    return said


def new_library(path: Path, numbers: random.Random, actions: int = 12) -> Said:
    """A library of this version."""
    with Library(path) as library:
        return fill(library, numbers, actions)
