"""Whether a library is whole, and what is in it, read after the program that wrote it was killed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from chatterm.library import Library, Message

EVERYTHING = 10**9


def read_whole(path: Path, before: dict[int, Message]) -> dict[int, Message]:
    """All messages by their numbers; `before` are those that were there, and seen to be whole, earlier.

    Raises:
        AssertionError: the library is damaged, a tree is not whole, or something of before is missing.
    """
    with Library(path) as library:
        assert library.notices == (), f"opening said {library.notices}"
        now: dict[int, Message] = {}
        for conversation in library.conversations(limit=EVERYTHING):
            nodes = {node.id: node for node in library.tree(conversation.id)}
            path_ids = [message.id for message in library.open(conversation.id).path]
            assert all(node.parent is None or node.parent in nodes for node in nodes.values()), (
                "a lost parent"
            )
            assert path_ids and nodes[path_ids[0]].parent is None, "the active path has no beginning"
            assert nodes[path_ids[-1]].children == 0, "the active path ends before a leaf"
            assert {node.id for node in nodes.values() if node.active} == set(path_ids), "two active paths"
            now |= {number: library.message(number) for number in nodes}
        for number, message in now.items():
            if before.get(number) != message and message.role == "assistant":
                _check_tokens(library, message)
    _check_file(path)
    for number, message in before.items():
        assert number in now, f"message {number} is missing"
        assert now[number].content.startswith(message.content), f"message {number} is not what it was"
        assert now[number].parent == message.parent, f"message {number} hangs elsewhere"
    assert all(message.status != "writing" for message in now.values()), "a dead program still writes"
    owners = path.with_name(path.name + ".owners")
    assert not owners.exists() or not any(owners.iterdir()), "a dead program still owns something"
    return now


def used(path: Path, number: int) -> int:
    """Tokens of the context window up to the end of a saved reply, as the status line counts them."""
    with Library(path) as library:
        tokens = library.tokens(number)
    return tokens[-1].position + 1 if tokens else 0


def _check_tokens(library: Library, message: Message) -> None:
    tokens = library.tokens(message.id)
    text = "".join(token.text for token in tokens)
    assert message.content.startswith(text), f"the tokens of reply {message.id} are not its text"
    # What the tokens do not bring is at most the beginning of a character that was never finished.
    assert len(message.content) - len(text) <= 4, f"reply {message.id} has text without tokens"
    positions = [token.position for token in tokens]
    assert positions == list(range(positions[0], positions[0] + len(positions))) if positions else True, (
        f"tokens are missing in reply {message.id}"
    )


def _check_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchall()
        assert found == [("ok",)], f"integrity_check: {found[:3]}"
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == [], "a row refers to nothing"
        connection.execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")
        unfindable = "SELECT count(*) FROM message WHERE id NOT IN (SELECT rowid FROM search)"
        assert connection.execute(unfindable).fetchone() == (0,), "a message cannot be found by searching"
