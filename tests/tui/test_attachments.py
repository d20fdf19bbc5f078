"""Files and pasted texts that go along with a message."""

from __future__ import annotations

import os

import pytest
from picking import toasts
from textual import events

from chatterm.chat import attachments
from chatterm.errors import UserError


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", None),
        ("me@example.org", None),
        ("see @", ""),
        ("@src/a", "src/a"),
        ("看 @说明 书", "说明 书"),
        ('@"my no', "my no"),
    ],
)
def test_the_path_that_is_being_written(line, found):
    assert attachments.query(line) == found


def test_names_are_offered_folders_first_those_that_begin_so_before_those_that_hold_it(tmp_path):
    for name in ("notes.md", "my notes.txt", "说明 书.txt", ".hidden"):
        (tmp_path / name).write_text("x")
    (tmp_path / "notebook").mkdir()
    names = [entry.name for entry in attachments.matching("note", tmp_path)]
    assert names == ["notebook/", "notes.md", "my notes.txt"]
    assert [entry.name for entry in attachments.matching("说", tmp_path)] == ["说明 书.txt"]
    assert [entry.name for entry in attachments.matching(".h", tmp_path)] == [".hidden"]
    assert len(attachments.matching("", tmp_path)) == 4
    assert attachments.matching("none/", tmp_path) == ()
    assert attachments.matching("a\0/", tmp_path) == ()
    assert attachments.matching("~nobody-of-this-name/", tmp_path) == ()


def test_files_that_a_text_names(tmp_path):
    for name in ("a.py", "my file", "说明.txt"):
        (tmp_path / name).write_text("x")
    text = 'Compare @a.py, @"my file" and @说明.txt！ with @none, @~nobody-of-this-name/x and me@a.py'
    assert attachments.mentioned(text, tmp_path) == tuple(
        tmp_path / n for n in ("a.py", "my file", "说明.txt")
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Look at @notes.txt, please", "notes.txt"),
        ('and @"my notes"', "my notes"),
        ("@src/none.PY", "src/none.PY"),
        ("看 @说明.md。", "说明.md"),
        ("@./none", "./none"),
        ("@a.py is there", None),
        ("@ada wrote @pytest.mark.slow and @types/node 2.0", None),
        ("me@example.txt", None),
    ],
)
def test_a_name_that_must_be_meant_for_a_file_and_is_none_is_noticed(tmp_path, text, name):
    (tmp_path / "a.py").write_text("x")
    assert attachments.missing(text, tmp_path) == name


async def test_a_file_that_is_not_there_is_not_sent_as_words_unless_one_says_so(chat, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with chat() as it:
        await it.ready()
        composer = it.app.chat.widgets.composer
        composer.put("Sum up @notes.txt")
        await it.press("enter")
        await it.until(lambda: "There is no file notes.txt" in toasts(it))
        assert composer.text == "Sum up @notes.txt" and not it.session.turns
        (tmp_path / "notes.txt").write_text("the sea\n")
        await it.press("enter")
        await it.until(lambda: it.session.last_reply is not None and it.session.live is None)
        assert "the sea" in it.session.turns[0].text
        composer.put("And @none.txt")
        await it.press("enter", "enter")
        await it.until(lambda: any(turn.text == "And @none.txt" for turn in it.session.turns))


def test_what_is_no_text_is_refused_with_a_sentence(tmp_path):
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0")
    (tmp_path / "latin").write_bytes(b"\xe9t\xe9")
    (tmp_path / "huge").write_bytes(b"x" * (attachments.MAX_BYTES + 1))
    os.mkfifo(tmp_path / "pipe")
    for name, words in (
        ("binary", "zero bytes"),
        ("latin", "not UTF-8"),
        ("huge", "larger than 2 MB"),
        ("pipe", "no file"),
        (".", "no file"),
        ("none", "No such file"),
    ):
        with pytest.raises(UserError, match=words):
            attachments.read(tmp_path / name)


def test_what_is_sent(tmp_path):
    (tmp_path / "a.py").write_text("print(1)\n")
    attached = attachments.read(tmp_path / "a.py")
    assert attached.lines == 1
    assert attachments.message([attached], "What?") == "a.py:\n\n```py\nprint(1)\n```\n\nWhat?"
    assert attachments.message([attached], " ") == "a.py:\n\n```py\nprint(1)\n```"
    assert attachments.message([], "What?") == "What?"


async def test_a_file_that_only_a_pasted_text_names_is_not_read(chat, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("SECRET=1")
    (tmp_path / "notes.md").write_text("my own notes")
    async with chat() as it:
        await it.ready()
        composer = it.app.chat.widgets.composer
        composer.focus()
        await it.press(*"read @notes.md ")
        composer.post_message(events.Paste("and then @.env please"))
        await it.pilot.pause()
        await it.press("enter")
        await it.until(lambda: it.session.last_reply is not None and it.session.live is None)
        (said,) = [turn.text for turn in it.session.turns if turn.role == "user"]
        assert "my own notes" in said and "SECRET" not in said and "@.env" in said
        assert any(".env was not attached" in note.message for note in it.app._notifications)
        await it.press("up", "enter")
        await it.until(lambda: len([t for t in it.session.turns if t.role == "user"]) == 2)
        assert "SECRET" not in it.session.turns[2].text, "nor when it is sent again"


async def test_a_file_that_is_typed_is_read_whoever_named_it_before(chat, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.md").write_text("my own notes")
    async with chat() as it:
        await it.ready()
        composer = it.app.chat.widgets.composer
        composer.focus()
        composer.post_message(events.Paste("look at @notes.md"))
        await it.pilot.pause()
        composer.put("")
        await it.press(*"see @notes.md, please")
        await it.press("enter")
        await it.until(lambda: bool(it.session.turns))
        assert "my own notes" in it.session.turns[0].text
