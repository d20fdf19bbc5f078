"""A file that is moved, deleted or replaced while a window has it open: nothing passes for saved then."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from chatterm.errors import UserError
from chatterm.library import Library, opening, salvage


def spoil(path: Path) -> None:
    """The version in the header, as a bad sector would."""
    with path.open("r+b") as file:
        file.seek(60)
        file.write(b"\xff" * 4)


def delete(path: Path) -> None:
    for file in path.parent.glob("library.sqlite3*"):
        if file.is_file():
            file.unlink()


def move(path: Path) -> None:
    (path.parent / "elsewhere").mkdir()
    for file in path.parent.glob("library.sqlite3*"):
        if file.is_file():
            file.rename(path.parent / "elsewhere" / file.name)


def replace(path: Path) -> None:
    """As a program does that restores or synchronises files."""
    copy = path.with_name("incoming")
    shutil.copyfile(path, copy)
    copy.replace(path)


def set_aside(path: Path) -> None:
    spoil(path)
    with Library(path) as other:
        assert "damaged" in other.notices[0]


def said(library: Library) -> list[str]:
    return [m.content for c in library.conversations() for m in library.open(c.id).path]


@pytest.fixture
def talk(library: Library) -> tuple[int, int]:
    """A conversation and its first message, in the file itself and not only in its log."""
    conversation = library.create().id
    message = library.add_message(conversation, None, "user", "before").id
    with library._sentences():
        library._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return conversation, message


@pytest.mark.parametrize("fate", [delete, move, replace, set_aside])
def test_nothing_is_saved_into_a_file_that_is_not_the_library_any_more(
    library: Library, library_path: Path, talk: tuple[int, int], fate: Callable[[Path], None]
) -> None:
    conversation, message = talk
    reply = library.begin_reply(conversation, message, model="tiny").id
    fate(library_path)
    for call in (
        lambda: library.add_message(conversation, message, "user", "after"),
        lambda: library.extend_reply(reply, text="after"),
        lambda: library.finish_reply(reply, "end"),
        library.create,
    ):
        with pytest.raises(UserError, match=r"moved, deleted or replaced .* start chatterm anew"):
            call()
    assert not library.is_saving
    assert "before" in said(library), "what was said before can still be read"
    library.close()
    with Library(library_path) as again:
        assert "after" not in said(again)


def test_a_file_that_comes_back_is_the_library_again(
    library: Library, library_path: Path, talk: tuple[int, int]
) -> None:
    library_path.rename(library_path.with_name("away"))
    with pytest.raises(UserError, match="moved"):
        library.add_message(*talk, "user", "while it was away")
    library_path.with_name("away").rename(library_path)
    library.add_message(*talk, "user", "and back")
    assert library.is_saving and said(library) == ["before", "and back"]


def test_a_file_that_is_moved_while_something_is_written_has_not_saved_it(
    library: Library, library_path: Path
) -> None:
    with pytest.raises(UserError, match="moved, deleted or replaced"), library._writing():
        library_path.rename(library_path.with_name("away"))
    assert not library.is_saving


def test_an_error_of_a_moved_file_is_explained_by_that(library: Library, library_path: Path) -> None:
    """And nothing is mended in it, nor a mark of damage left beside its successor."""
    delete(library_path)
    with pytest.raises(UserError, match="moved, deleted or replaced"), library._reading():
        raise sqlite3.DatabaseError("file is not a database")
    assert not library_path.with_name("library.sqlite3.damaged").exists()


def test_a_window_that_has_the_old_file_open_does_not_touch_the_log_of_the_new_one(
    library: Library, library_path: Path, talk: tuple[int, int]
) -> None:
    spoil(library_path)
    with Library(library_path) as other:
        other.add_message(*talk, "user", "in the new one")
        library.close()
        assert library_path.with_name("library.sqlite3-wal").stat().st_size > 0
        with Library(library_path) as third:
            assert said(third) == ["before", "in the new one"]


def test_what_is_saved_while_a_damaged_file_is_set_right_is_carried_over(
    library: Library, library_path: Path, talk: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window writes on while another one has read all and not yet renamed anything."""
    times = []

    def and_then(damaged: Path, connection: sqlite3.Connection) -> int:
        carried = salvage.salvage(damaged, connection)
        if not times:
            library.add_message(*talk, "user", "at the last moment")
        times.append(damaged)
        return carried

    monkeypatch.setattr(opening, "salvage", and_then)
    spoil(library_path)
    with Library(library_path) as other:
        assert said(other) == ["before", "at the last moment"]
        assert "2 of its messages were carried over" in other.notices[0]
    assert len(times) == 2
    assert not [*library_path.parent.glob("*.new*"), *library_path.parent.glob("*.begun*")]


def test_a_full_disk_at_that_moment_leaves_what_was_carried_over_before(
    library: Library, library_path: Path, talk: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = []

    def full_afterwards(damaged: Path, connection: sqlite3.Connection) -> int:
        if times:
            raise OSError("No space left on device")
        carried = salvage.salvage(damaged, connection)
        times.append(library.add_message(*talk, "user", "at the last moment"))
        return carried

    monkeypatch.setattr(opening, "salvage", full_afterwards)
    spoil(library_path)
    with Library(library_path) as other:
        assert said(other) == ["before"]
        (aside,) = library_path.parent.glob("library.damaged-*.sqlite3")
        assert str(aside) in other.notices[0], "the rest is there"


def test_a_file_that_is_replaced_while_it_is_opened_is_opened_again(
    library_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Library(library_path).close()
    connect, times = opening.Opening._connect, []

    def and_replaced(self: opening.Opening, target: Path | str, **how: bool) -> sqlite3.Connection:
        connection = connect(self, target, **how)
        if not times:
            replace(library_path)
        times.append(target)
        return connection

    monkeypatch.setattr(opening.Opening, "_connect", and_replaced)
    with Library(library_path) as library:
        library.add_message(library.create().id, None, "user", "hello")
    assert len(times) == 2
    with Library(library_path) as library:
        assert said(library) == ["hello"]
