"""A library that another program has edited is shown as far as it makes sense, and can be gone on with."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chatterm.library import Library, lenient
from chatterm.library.conversations import read_sampling
from chatterm.library.exports import FORMATS, export
from chatterm.library.owners import is_alive
from tests.faults.stock import token


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Conversation 1: messages 1 to 4, each an answer to the one before."""
    path = tmp_path / "library.sqlite3"
    with Library(path) as library:
        talk = library.create(model="m").id
        parent = None
        for number in range(1, 5):
            parent = library.add_message(talk, parent, "user", f"message {number}").id
    return path


def edit(path: Path, *statements: str, strict: bool = True) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        if not strict:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(
                "UPDATE sqlite_master SET sql = replace(replace(sql, 'STRICT', ''), 'NOT NULL', '') "
                "WHERE name IN ('conversation', 'message', 'chunk')"
            )
            version = connection.execute("PRAGMA schema_version").fetchone()[0]
            connection.execute(f"PRAGMA schema_version = {version + 1}")
            connection.commit()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def goes_on(path: Path) -> list[str]:
    """Read everything, say something, and give what is on the active path then."""
    with Library(path) as library:
        assert len(library.tree(1)) == 4, "every message has its place in the tree"
        whole = library.whole(1)
        assert len(whole.messages) == 4
        for format_ in FORMATS:
            export([whole], format_, branches=True)
        library.search("message")
        opened = library.open(1)
        last = opened.path[-1].id if opened.path else None
        library.add_message(1, last, "user", "after")
        return [message.content for message in library.open(1).path]


def test_a_circle_of_chosen_messages_ends(file: Path) -> None:
    edit(file, "UPDATE message SET chosen = 2 WHERE id = 3")
    assert goes_on(file) == ["message 1", "message 2", "message 3", "after"]


def test_messages_that_answer_each_other_stand_at_the_beginning(file: Path) -> None:
    edit(file, "UPDATE message SET parent = 3 WHERE id = 2")
    assert goes_on(file)[-1] == "after"
    with Library(file) as library:
        assert [node.id for node in library.tree(1) if node.parent is None] == [1, 2]


@pytest.mark.parametrize("number", [99, 4, -1, 2**63 - 1])
def test_a_number_of_no_message(file: Path, number: int) -> None:
    edit(
        file,
        f"UPDATE message SET parent = {number} WHERE id = 3",
        f"UPDATE message SET chosen = {number} WHERE id = 2",
    )
    assert goes_on(file) == ["message 1", "message 2", "after"]


def test_a_conversation_that_begins_nowhere_can_be_gone_on_with(file: Path) -> None:
    edit(file, "UPDATE conversation SET chosen = 77")
    assert goes_on(file) == ["after"]


@pytest.mark.parametrize("value", ["NULL", "5", "2.5", "x'fffe'", "'\x1b[31m'", "9e999"])
@pytest.mark.parametrize(
    "column", ["content", "created", "role", "status", "model", "notices", "timing", "sampling"]
)
def test_values_of_a_wrong_type(file: Path, column: str, value: str) -> None:
    edit(file, f"UPDATE message SET {column} = {value} WHERE id = 4", strict=False)
    assert len(goes_on(file)) == 5


@pytest.mark.parametrize("value", ["'x'", "x'00'", "-5", "2.5"])
def test_a_place_of_tokens_that_is_no_number(file: Path, value: str) -> None:
    with Library(file) as library:
        reply = library.begin_reply(1, 4, model="m").id
        library.extend_reply(reply, [token("well")])
        library.finish_reply(reply, "end")
    edit(file, f"UPDATE chunk SET start = {value}", strict=False)
    with Library(file) as library:
        assert all(isinstance(one.start, int) and one.start >= 0 for one in library.tokens(reply))


@pytest.mark.parametrize("value", [None, 5, b"\xff", "[" * 5_000, b"\x82\xa1a", b"\x81" * 2_000])
def test_values_that_make_no_sense_in_a_column_of_ours(value: Any) -> None:
    assert read_sampling(value) is None
    assert isinstance(lenient.text(value), str)
    assert lenient.real(value) in (0.0, 5.0)
    assert lenient.role(value) == "user" and lenient.status(value) == "done"


def test_an_owner_that_is_no_name(tmp_path: Path) -> None:
    assert not is_alive(tmp_path, "a\0b")
    assert not is_alive(tmp_path, "../x")
