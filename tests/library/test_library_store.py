"""Opening: private files, other versions, other programs' files, damage, and disks that refuse."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from chatterm.errors import UserError
from chatterm.library import Library, Token, schema
from chatterm.sampling import SamplingParameters


def fill(path: Path, conversations: int = 3) -> list[str]:
    """Conversations with two messages each; all the words that were said."""
    said = []
    with Library(path) as library:
        for number in range(conversations):
            conversation = library.create(sampling=SamplingParameters(seed=number)).id
            texts = [f"question {number} " + "ask " * 300, f"answer {number} " + "tell " * 300]
            first = library.add_message(conversation, None, "user", texts[0])
            library.add_message(conversation, first.id, "assistant", texts[1])
            said += texts
    return said


def all_said(library: Library) -> list[str]:
    return sorted(m.content for c in library.conversations() for m in library.open(c.id).path)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_files_are_the_users_alone(library_path: Path) -> None:
    old = os.umask(0)
    try:
        with Library(library_path) as library:
            library.begin_reply(library.create().id, None, model="tiny")
            files = [path for path in library_path.parent.rglob("*") if path.is_file()]
            assert len(files) >= 4 and {mode(path) for path in files} == {0o600}
            assert mode(library_path.parent) == mode(library_path.parent / "library.sqlite3.owners") == 0o700
    finally:
        os.umask(old)


def test_an_open_file_is_made_private(library_path: Path) -> None:
    fill(library_path)
    library_path.chmod(0o644)
    Library(library_path).close()
    assert mode(library_path) == 0o600


def test_the_users_own_library_is_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATTERM_DATA", str(tmp_path / "mine"))
    with Library() as library:
        assert library.path == tmp_path / "mine" / "library.sqlite3"
        assert library.is_saving


def test_every_commit_is_flushed(library: Library) -> None:
    with library._reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_a_library_in_memory_does_everything_but_last() -> None:
    with Library.in_memory("The disk is gone.") as library:
        assert library.path is None and not library.is_saving
        assert library.notices == ("The disk is gone.",)
        conversation = library.create().id
        reply = library.begin_reply(conversation, None, model="tiny").id
        library.extend_reply(reply, text="hello there")
        library.finish_reply(reply, "end")
        assert library.recover() == 0
        assert library.search("there")[0].message == reply


# --- versions -------------------------------------------------------------------------------------------


def test_an_older_library_is_brought_up_to_date(library_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = fill(library_path)

    def next_version(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE conversation ADD COLUMN colour TEXT")

    def the_one_after(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE conversation SET colour = 'blue'")

    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, next_version, the_one_after))
    with Library(library_path) as library:
        assert all_said(library) == sorted(said)
        with library._reading() as connection:
            assert connection.execute("SELECT DISTINCT colour FROM conversation").fetchall() == [("blue",)]
            assert schema.version(connection) == len(schema.MIGRATIONS)


def test_a_migration_that_fails_changes_nothing(library_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = fill(library_path)

    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM message")
        connection.execute("SELECT nonsense")

    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
        with pytest.raises(UserError, match="nonsense"):
            Library(library_path)
    with Library(library_path) as library:
        assert all_said(library) == sorted(said)


def test_a_newer_library_is_refused_and_left_as_it_is(library_path: Path) -> None:
    fill(library_path)
    with closing(sqlite3.connect(library_path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = library_path.read_bytes()
    with pytest.raises(UserError, match=r"newer chatterm \(format 99"):
        Library(library_path)
    with Library.open_or_in_memory(library_path) as library:
        assert not library.is_saving and "newer" in library.notices[0]
    assert library_path.read_bytes() == before


def test_a_library_that_is_converted_while_open_is_not_written(library_path: Path) -> None:
    said = fill(library_path)
    with Library(library_path) as library:
        with closing(sqlite3.connect(library_path)) as connection:
            connection.execute("PRAGMA user_version = 99")
        with pytest.raises(UserError, match="start this one anew"):
            library.create()
        assert all_said(library) == sorted(said)


def test_another_programs_database_is_refused(library_path: Path) -> None:
    library_path.parent.mkdir()
    with closing(sqlite3.connect(library_path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = library_path.read_bytes()
    with pytest.raises(UserError, match="another program"):
        Library(library_path)
    assert library_path.read_bytes() == before


def test_parameters_of_another_version_keep_what_can_be_kept(library: Library) -> None:
    conversation = library.create(sampling=SamplingParameters(temperature=0.25, seed=3)).id
    with library._writing() as connection:
        # {"temperature": 0.5, "seed": "x", "mood": 1}
        stored = b"\x83\xabtemperature\xcb?\xe0\x00\x00\x00\x00\x00\x00\xa4seed\xa1x\xa4mood\x01"
        connection.execute("UPDATE conversation SET sampling = ?", (stored,))
    assert library.conversation(conversation).sampling == SamplingParameters(temperature=0.5)
    with library._writing() as connection:
        connection.execute("UPDATE conversation SET sampling = x'c1'")
    assert library.conversation(conversation).sampling is None


# --- damage ---------------------------------------------------------------------------------------------


def set_aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob("library.damaged-*.sqlite3"))


@pytest.mark.parametrize(
    "content",
    [b"not a database at all" * 100, bytes(8_192), b"SQLite format 3\0" + bytes(4_080)],
    ids=["text", "zeros", "header alone"],
)
def test_what_is_no_database_is_set_aside(library_path: Path, content: bytes) -> None:
    library_path.parent.mkdir()
    library_path.write_bytes(content)
    with Library(library_path) as library:
        (notice,) = library.notices
        (aside,) = set_aside(library_path)
        assert "damaged" in notice and str(aside) in notice
        assert aside.read_bytes() == content
        library.add_message(library.create().id, None, "user", "on we go")
    with Library(library_path) as library:
        assert library.notices == () and all_said(library) == ["on we go"]


def test_a_file_cut_to_nothing_beside_its_log_is_set_aside_with_it(library_path: Path) -> None:
    with Library(library_path) as library:
        library.add_message(library.create().id, None, "user", "in the log")
        log = library_path.with_name("library.sqlite3-wal").read_bytes()
    library_path.write_bytes(b"")
    library_path.with_name("library.sqlite3-wal").write_bytes(log)
    with Library(library_path) as library:
        assert "1 of its messages" in library.notices[0]
        assert all_said(library) == ["in the log"]
    (aside,) = set_aside(library_path)
    assert aside.with_name(aside.name + "-wal").read_bytes() == log


def overwrite(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek(page * 4_096)
        file.write(b"\xff" * 4_096)


def test_damage_met_in_use_is_mended_at_the_next_opening(
    library_path: Path, make_tokens: Callable[[Sequence[str]], list[Token]]
) -> None:
    """Whichever page is destroyed, opening works, and most of what was said is carried over."""
    said = set(fill(library_path, conversations=40))
    whole = library_path.read_bytes()
    pages = len(whole) // 4_096
    assert pages > 40
    survived = []
    for page in range(0, pages, 3):
        for path in library_path.parent.iterdir():
            if path.is_file():
                path.unlink()
        library_path.write_bytes(whole)
        overwrite(library_path, page)
        for _ in range(2):
            try:
                with Library(library_path) as library:
                    left = all_said(library)
                    library.search("question")
                    library.search("qu")
                    library.add_message(library.create().id, None, "user", "one more")
                    break
            except UserError as error:
                assert "damaged" in error.sentence
        else:
            pytest.fail(f"page {page} destroyed: the library does not open again")
        assert set(left) <= said | {"one more"}
        survived.append(len(set(left) & said) / len(said))
    assert min(survived) > 0.9


@pytest.mark.parametrize(
    "breaking",
    [
        "DELETE FROM search_data",
        "DELETE FROM search_data WHERE id > 10",
        "UPDATE search_data SET block = x'ff' || block",
        "UPDATE search_data SET block = x'00'",
        "DELETE FROM search_content",
    ],
)
def test_a_broken_search_index_is_made_anew_where_it_is_met(library_path: Path, breaking: str) -> None:
    said = fill(library_path, conversations=5)
    calls: list[Callable[[Library], object]] = [
        lambda library: library.add_message(1, None, "user", "question again"),
        lambda library: library.search("question"),
        lambda library: library.purge_deleted(-1),
    ]
    for call in calls:
        with Library(library_path) as library:
            library.delete(library.conversations()[-1].id)
        with closing(sqlite3.connect(library_path)) as connection:
            connection.execute(breaking)
            connection.commit()
        with Library(library_path) as library:
            try:
                call(library)
            except UserError as error:
                assert "made anew: try again" in error.sentence
                call(library)
                assert library.search("question")
            left = {m.content for c in library.conversations() for m in library.open(c.id).path}
            assert left <= {*said, "question again"}
    assert set_aside(library_path) == [] and not library_path.with_name("library.sqlite3.damaged").exists()


# --- disks that refuse ----------------------------------------------------------------------------------


def test_a_full_disk_keeps_what_was_saved(library_path: Path) -> None:
    said = fill(library_path)
    with Library(library_path) as library:
        reply = library.begin_reply(library.create().id, None, model="tiny").id
        with library._reading() as connection:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")
        for call in (
            lambda: library.add_message(1, None, "user", "x" * 100_000),
            lambda: library.extend_reply(reply, text="x" * 100_000),
            lambda: library.finish_reply(reply, "end", text="x" * 100_000),
        ):
            with pytest.raises(UserError, match="no space left"):
                call()
        assert set(all_said(library)) == {*said, ""}
        assert library.message(reply).content == ""
        with library._reading() as connection:
            connection.execute("PRAGMA max_page_count = 1000000")
        library.extend_reply(reply, text="room again")
        assert library.finish_reply(reply, "end").content == "room again"


def test_a_locked_library_is_a_sentence_and_then_goes_on(library_path: Path) -> None:
    fill(library_path)
    with Library(library_path, busy_seconds=0.05) as library, closing(sqlite3.connect(library_path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError, match="locked for too long"):
            library.create()
        assert len(library.conversations()) == 3
        other.rollback()
        library.create()


def test_who_waits_for_another_program_can_be_told_not_to(library_path: Path) -> None:
    fill(library_path)
    with closing(sqlite3.connect(library_path)) as other, ThreadPoolExecutor(1) as thread:
        library = thread.submit(Library, library_path, busy_seconds=3600.0).result()
        other.execute("BEGIN IMMEDIATE")
        waiting = thread.submit(library.create)
        with pytest.raises(TimeoutError):
            waiting.result(0.3)
        library.hurry(0.0)
        with pytest.raises(UserError, match="locked for too long"):
            waiting.result()
        with pytest.raises(UserError, match="locked for too long"):
            thread.submit(library.create).result()
        thread.submit(library.close).result()


def raised_by_sqlite(code: int, kind: type[sqlite3.Error]) -> sqlite3.Error:
    error = kind("so SQLite puts it")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("kind", [sqlite3.OperationalError, sqlite3.DatabaseError, sqlite3.InterfaceError])
def test_whatever_sqlite_says_is_a_sentence(library: Library, kind: type[sqlite3.Error]) -> None:
    """All of its result codes, those that it may get some day, and those with an extension."""
    for code in [*range(1, 64), 100, 101, 255, *(code | 3 << 8 for code in range(1, 64))]:
        with pytest.raises(UserError) as told, library._writing():
            raise raised_by_sqlite(code, kind)
        assert told.value.sentence.endswith(".") and "\n" not in told.value.sentence, code
    with pytest.raises(UserError, match="not enough memory"), library._writing():
        raise MemoryError
    library.create()


def test_a_drive_without_locks_is_a_sentence(library_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> int:
        raise raised_by_sqlite(sqlite3.SQLITE_PROTOCOL, sqlite3.OperationalError)

    monkeypatch.setattr(schema, "version", no_locks)
    with pytest.raises(UserError, match="network drives") as told:
        Library(library_path)
    assert str(library_path) in told.value.sentence
    monkeypatch.undo()
    with Library(library_path) as library:
        library.create()


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="set CHATTERM_DATA"):
        Library(tmp_path / "file" / "library.sqlite3")
    (tmp_path / "folder.sqlite3").mkdir()
    with pytest.raises(UserError):
        Library(tmp_path / "folder.sqlite3")
    with Library.open_or_in_memory(tmp_path / "file" / "library.sqlite3") as library:
        assert not library.is_saving
        library.add_message(library.create().id, None, "user", "hello")
        assert "nothing is saved" in library.notices[0]
