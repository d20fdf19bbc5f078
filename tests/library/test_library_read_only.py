"""A library that can be read and not written: all of it can be looked at, and nothing is changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from chatterm.library import Library


def fill(path: Path) -> None:
    """Two conversations; the second one has two branches, one of them longer, and ends in the shorter one."""
    with Library(path) as library:
        library.add_message(library.create().id, None, "user", "something else")
        talk = library.create().id
        question = library.add_message(talk, None, "user", "question")
        first = library.add_message(talk, question.id, "assistant", "first answer")
        library.add_message(talk, first.id, "user", "and then?")
        library.add_message(talk, question.id, "assistant", "second answer")
        library.edit(question.id, "another question")


def without_log(path: Path) -> None:
    fill(path)


def of_version_1(path: Path) -> None:
    """It cannot be brought up to date where it is."""
    fill(path)
    with closing(sqlite3.connect(path)) as connection:
        for column in ("left_out", "attachments_left_out", "raw_prompt", "placed"):
            connection.execute(f"ALTER TABLE message DROP COLUMN {column}")
        connection.execute("PRAGMA user_version = 1")


def with_log(path: Path) -> None:
    """As a killed program leaves it: all of it is in the log."""
    other = path.with_name("other.sqlite3")
    fill(other)
    with Library(other) as library:
        library.rename(1, "in the log")
        for suffix in ("", "-wal"):
            shutil.copyfile(other.with_name(other.name + suffix), path.with_name(path.name + suffix))
            path.with_name(path.name + suffix).chmod(0o444)


_READER = """
    import os, sys
    from pathlib import Path
    from chatterm.errors import UserError
    from chatterm.library import Library

    def refused(call):
        try:
            call()
        except UserError as error:
            assert "Nothing can be saved" in error.sentence, error.sentence
        else:
            raise AssertionError("it was written")

    def shown(library):
        return [m.content for m in library.open(2).path]

    os.setuid(int(sys.argv[2]))
    with Library(Path(sys.argv[1])) as library:
        assert library.is_read_only and not library.is_saving, "it can be written"
        assert "not written" in library.notices[0]
        assert len(library.conversations()) == 2
        (hit,) = library.search('"and then"')
        refused(library.create)
        refused(lambda: library.begin_reply(1, None, model="tiny"))

        assert shown(library) == ["another question"]
        longer = ["question", "first answer", "and then?"]
        assert [m.content for m in library.select(hit.message).path] == longer
        assert shown(library) == longer == [m.content for m in library.whole(2).path]
        assert {n.preview for n in library.tree(2) if n.active} == set(longer)
        second = library.siblings(library.open(2).path[1].id).next
        assert [m.content for m in library.select(second).path] == ["question", "second answer"]
        first = library.siblings(library.open(2).path[0].id)
        assert [m.content for m in library.select(first.next).path] == ["another question"]
        assert [m.content for m in library.select(first.ids[0]).path] == ["question", "second answer"]
        refused(lambda: library.rename(1, "x"))
        print("all seen")
"""


@pytest.mark.parametrize("make", [without_log, of_version_1, with_log])
def test_a_write_protected_folder_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, make: Callable[[Path], None]
) -> None:
    folder = tmp_path_factory.mktemp("protected")
    path = folder / "library.sqlite3"
    make(path)
    nobody = 65_534 if os.geteuid() == 0 else os.geteuid()  # root writes where it likes
    for parent in (folder, *folder.parents[:3]):
        if parent.stat().st_uid == os.geteuid() and parent != Path(os.sep):
            parent.chmod(parent.stat().st_mode | 0o055)
    path.chmod(0o444)
    folder.chmod(0o555)
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    try:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(_READER), str(path), str(nobody)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        folder.chmod(0o700)
    assert (done.returncode, done.stdout) == (0, "all seen\n"), done.stderr
    assert {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()} == before
