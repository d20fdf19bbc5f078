"""Damage that is not met where one looks for it, and faults while it is being mended."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from chatterm.errors import UserError
from chatterm.library import Library, damage


def fill(path: Path) -> list[str]:
    """Two messages in a conversation; what was said."""
    with Library(path) as library:
        conversation = library.create().id
        first = library.add_message(conversation, None, "user", "what was said")
        library.add_message(conversation, first.id, "assistant", "what was answered")
    return ["what was said", "what was answered"]


def said(library: Library) -> list[str]:
    (conversation,) = library.conversations()
    return [message.content for message in library.open(conversation.id).path]


def set_aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob("library.damaged-*.sqlite3"))


def put(path: Path, place: int, content: bytes) -> bytes:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(content)
    return path.read_bytes()


def spoil_a_name(path: Path) -> bytes:
    """The statement that made a table, no text any more; SQLite quotes it in its error."""
    content = path.read_bytes()
    return put(path, content.index(b"TABLE conversation") + 2, b"\xf9\xfa\xfb")


HEADERS: dict[str, Callable[[Path], bytes]] = {
    "application": lambda path: put(path, 68, b"\x01\x02\x03\x04"),
    "version": lambda path: put(path, 60, b"\x7f\x02\x03\x04"),
    "version zero": lambda path: put(path, 60, bytes(4)),
    "journal mode": lambda path: put(path, 18, b"\x09\x09"),
    "page size": lambda path: put(path, 16, b"\x00\x07"),
    "first word": lambda path: put(path, 0, b"SQLite format 9\0"),
    "schema format": lambda path: put(path, 44, b"\x09\x09\x09\x09"),
    "a table's statement": spoil_a_name,
}


@pytest.mark.parametrize("spoil", HEADERS.values(), ids=HEADERS.keys())
def test_a_file_with_a_damaged_header_is_set_aside_and_carried_over(
    library_path: Path, spoil: Callable[[Path], bytes]
) -> None:
    fill(library_path)
    damaged = spoil(library_path)
    with Library(library_path) as library:
        (notice,) = library.notices
        assert "damaged" in notice
        library.add_message(library.create().id, None, "user", "on we go")
    assert [aside.read_bytes() for aside in set_aside(library_path)] == [damaged]
    with Library(library_path) as library:
        assert library.notices == ()


@pytest.mark.parametrize("spoil", [name for name in HEADERS if "table" not in name])
def test_only_the_header_was_damaged_so_all_is_carried_over(library_path: Path, spoil: str) -> None:
    told = fill(library_path)
    HEADERS[spoil](library_path)
    with Library(library_path) as library:
        assert "2 of its messages were carried over" in library.notices[0]
        assert said(library) == told


def test_a_full_disk_while_mending_changes_nothing(
    library_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = fill(library_path)
    damaged = HEADERS["version"](library_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(UserError, match="No space left"):
            Library(library_path)
        with Library.open_or_in_memory(library_path) as library:
            assert not library.is_saving and "nothing is saved" in library.notices[0]
    assert library_path.read_bytes() == damaged and set_aside(library_path) == []
    with Library(library_path) as library:
        assert said(library) == told
    assert [aside.read_bytes() for aside in set_aside(library_path)] == [damaged]


class _PowerCutError(BaseException):
    pass


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_crash_while_mending_loses_nothing(
    library_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Whichever rename comes last before it, the next opening has all that could be read."""
    told = fill(library_path)
    damaged = HEADERS["version"](library_path)
    log = library_path.with_name("library.sqlite3-wal")
    log.write_bytes(b"a log that is not one")
    rename, done = Path.rename, 0

    def counted(self: Path, target: Path) -> Path:
        nonlocal done
        done += 1
        if done == step:
            raise _PowerCutError
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", counted)
        with pytest.raises(_PowerCutError):
            Library(library_path)
            raise _PowerCutError  # there were fewer steps
    with Library(library_path) as library:
        assert said(library) == told
    assert damaged in [aside.read_bytes() for aside in set_aside(library_path)]
    assert not library_path.with_name("library.sqlite3.new").exists()
    with Library(library_path) as library:
        assert library.notices == () and said(library) == told


def test_rows_that_do_not_fit_together_are_a_sentence_and_set_right(library_path: Path) -> None:
    """As when a page of an older moment comes back: the parent of a message is not there."""
    fill(library_path)
    with closing(sqlite3.connect(library_path)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DELETE FROM conversation")
        connection.commit()
    with Library(library_path) as library:
        damage.remember(library_path)
    with Library(library_path) as library:
        assert "2 of its messages were carried over" in library.notices[0]
        assert said(library) == ["what was said", "what was answered"]
