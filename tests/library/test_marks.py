"""What the user did to messages besides writing them: kept, copied with branches, exported, converted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from chatterm.errors import UserError
from chatterm.library import Library, Token, index, marks, schema
from chatterm.library.exports import export
from chatterm.library.imports import read
from chatterm.library.text import folded

MakeTokens = Callable[..., list[Token]]


def test_what_is_left_out_is_known_to_another_library(library: Library, library_path: Path) -> None:
    talk = library.create().id
    message = library.add_message(talk, None, "user", "hello").id
    assert not library.message(message).left_out
    library.leave_out({message: (True, False)})
    with Library(library_path) as other:
        assert other.message(message).left_out and not other.message(message).attachments_left_out
        other.leave_out({message: (False, True)})
    assert not library.message(message).left_out and library.message(message).attachments_left_out
    with pytest.raises(UserError, match="no message 99"):
        library.leave_out({message: (True, True), 99: (True, True)})
    assert not library.message(message).left_out, "all of them or none"


def test_a_branch_knows_what_the_user_put_there(library: Library, make_tokens: MakeTokens) -> None:
    talk = library.create().id
    question = library.add_message(talk, None, "user", "q").id
    first = library.begin_reply(talk, question, model="m", raw_prompt=(1, 2, 3))
    library.finish_reply(first.id, "end", tokens=make_tokens(list("abcdef")))
    assert first.raw_prompt == (1, 2, 3) and first.placed == ()

    fork = library.fork_reply(first.id, 2, model="m", placed=2)
    library.finish_reply(fork.id, "stopped", tokens=make_tokens(list("XYz")))
    assert library.message(fork.id).placed == ((2, 4),)

    again = library.fork_reply(fork.id, 3, model="m", placed=1)
    assert again.placed == ((2, 3), (3, 4)) and again.raw_prompt == (1, 2, 3)
    library.finish_reply(again.id, "end", tokens=make_tokens(["!"]))

    other = library.continue_reply(fork.id, 5, model="another")
    assert other.id != fork.id and other.placed == ((2, 4),)
    library.finish_reply(other.id, "end")

    edited = library.edit(fork.id, "abXand so on")
    assert edited.placed == ((2, 3),) and edited.raw_prompt == (1, 2, 3)


def test_marks_go_out_and_come_back(library: Library, make_tokens: MakeTokens) -> None:
    talk = library.create().id
    question = library.add_message(talk, None, "user", "q").id
    library.leave_out({question: (True, True)})
    first = library.begin_reply(talk, question, model="m", raw_prompt=(5, 6))
    library.finish_reply(first.id, "end", tokens=make_tokens(["a", "b"]))
    fork = library.fork_reply(first.id, 1, model="m", placed=1)
    library.finish_reply(fork.id, "end", tokens=make_tokens(["c", "d"]))
    text = export([library.whole(talk)], "json")
    (copy,) = library.add_conversations(read(text.encode(), "own.json", 0.0).conversations)
    whole = library.whole(copy.id)
    assert [m.left_out for m in whole.messages] == [True, False, False]
    assert [m.attachments_left_out for m in whole.messages] == [True, False, False]
    assert [m.raw_prompt for m in whole.messages] == [None, (5, 6), (5, 6)]
    assert [m.placed for m in whole.messages] == [(), (), ((1, 2),)]
    assert export([whole], "json") == text


def test_a_branch_that_never_got_its_tokens_can_be_exported(
    library: Library, make_tokens: MakeTokens
) -> None:
    talk = library.create().id
    first = library.begin_reply(talk, None, model="m")
    library.finish_reply(first.id, "end", tokens=make_tokens(["a", "b"]))
    fork = library.fork_reply(first.id, 1, model="m", placed=3)
    library.finish_reply(fork.id, "failed", tokens=make_tokens(["c"]))
    (copy,) = library.add_conversations(
        read(export([library.whole(talk)], "json").encode(), "own.json", 0.0).conversations
    )
    assert library.whole(copy.id).messages[1].placed == ((1, 2),)


@pytest.mark.parametrize("placed", ["[[0, 9]]", "[[1, 1]]", "[[1, 2], [0, 1]]"])
def test_ranges_that_make_no_sense_are_refused(
    library: Library, make_tokens: MakeTokens, placed: str
) -> None:
    talk = library.create().id
    first = library.begin_reply(talk, None, model="m")
    library.finish_reply(first.id, "end", tokens=make_tokens(["a", "b"]))
    text = export([library.whole(talk)], "json").replace('"placed":[]', f'"placed":{placed}')
    with pytest.raises(UserError, match="put into message 1 is no range"):
        library.add_conversations(read(text.encode(), "own.json", 0.0).conversations)


def test_marks_that_cannot_be_read_count_as_none() -> None:
    assert marks.read_ids(None) is None and marks.read_ids(b"\xc1") is None
    assert marks.read_ranges(b"\xa1x") == ()
    assert marks.read_ids(marks.stored((7, 8))) == (7, 8)
    assert marks.read_ranges(marks.stored_ranges(((0, 2),))) == ((0, 2),)
    assert marks.stored_ranges(()) is None


def test_a_library_without_marks_gets_them(library_path: Path) -> None:
    library_path.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(library_path)) as old:
        old.create_function("folded", 1, folded, deterministic=True)
        schema.MIGRATIONS[0](old)
        old.execute("PRAGMA user_version = 1")
        old.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        old.execute(
            "INSERT INTO conversation (id, title, title_is_users, created, updated, recency, pinned, chosen, "
            "system_prompt) VALUES (1, 'old', 0, 1.0, 2.0, 1, 0, 1, '')"
        )
        old.execute(
            "INSERT INTO message (id, conversation, role, content, created, status, notices) "
            "VALUES (1, 1, 'user', 'said long ago', 1.0, 'done', '[]')"
        )
        index.add(old, 1, "said long ago")
        old.commit()
    with Library(library_path) as library:
        (message,) = library.open(1).path
        assert message.content == "said long ago" and library.search("long ago")[0].message == 1
        assert (message.left_out, message.attachments_left_out) == (False, False)
        assert message.raw_prompt is None and message.placed == ()
        library.leave_out({1: (True, False)})
        reply = library.begin_reply(1, 1, model="m", raw_prompt=(4,))
        assert library.message(1).left_out and reply.raw_prompt == (4,)
