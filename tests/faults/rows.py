"""A library that another program has edited: dangling numbers, circles, wrong types, other versions."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from chatterm.errors import UserError
from chatterm.library import AsyncLibrary, Library
from chatterm.settings import Settings
from chatterm.tui.app import ChattermApp
from tests.faults.corpus import attack, writable
from tests.faults.hostile import HostileKnobs, Villain, conversation, home
from tests.faults.imported import read_all
from tests.faults.odd import check_sentence

SAID = "what was said here"
COLUMNS = {
    "conversation": (
        *("title", "title_is_users", "created", "updated", "recency", "pinned", "deleted", "chosen", "model"),
        *("system_prompt", "sampling"),
    ),
    "message": (
        *("parent", "chosen", "role", "content", "created", "status", "owner", "model", "sampling", "finish"),
        *("notices", "timing", "edited_from", "forked_from", "forked_at", "conversation"),
    ),
    "chunk": ("message", "first", "count", "start", "data"),
}


def case(numbers: random.Random, folder: Path) -> str:
    """Make a library, edit it, and do everything that the program does with it."""
    file = folder / "library.sqlite3"
    with Library(file) as library:
        library.add_conversations([conversation(Villain(numbers)) for _ in range(2)])
        kept = library.create()
        library.add_message(kept.id, None, "user", SAID)
    edit = numbers.choice(list(EDITS))
    touched = EDITS[edit](numbers, file)
    before = _contents(file)
    what = _use(numbers, file)
    if numbers.random() < 0.1:
        asyncio.run(_open(numbers, file, folder))
    saved = "\n".join(_contents(path) for path in folder.glob("library*.sqlite3"))
    lost = [content for content in before.split("\x1e") if content and content not in saved]
    assert not lost, f"{edit}: lost {lost[0][:80]!r}"
    assert touched or SAID in saved, f"{edit}: what nobody touched is lost"
    return f"library, {edit}: {what}"


def _contents(file: Path) -> str:
    """All that was said, as far as SQLite itself can read it."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(file)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        rows = connection.execute("SELECT content FROM message WHERE typeof(content) = 'text'").fetchall()
        return "\x1e".join(content for (content,) in rows)
    return ""


def _use(numbers: random.Random, file: Path) -> str:
    try:
        library = Library(file)
    except UserError as error:
        check_sentence(error.sentence)
        return "refused"
    refused = 0
    with library:
        for notice in library.notices:
            check_sentence(notice)
        for act in (_list, _read, _write):
            try:
                act(library, numbers)
            except UserError as error:
                check_sentence(error.sentence)
                refused += 1
    with suppress(UserError), Library(file) as again:
        return "set aside" if again.notices or library.notices else "refused in part" if refused else "used"
    return "refused"


def _list(library: Library, numbers: random.Random) -> None:
    library.conversations()
    library.conversations(deleted=True)
    library.conversations(matching="a")
    library.last_conversation()
    library.search("sea")
    library.search("said here")
    library.recover()
    library.open_elsewhere()


def _read(library: Library, numbers: random.Random) -> None:
    refused: list[UserError] = []
    for number in [talk.id for talk in library.conversations()]:
        try:
            read_all(library, number, numbers)
        except UserError as error:
            check_sentence(error.sentence)
            refused.append(error)
    for message in range(1, 12):
        try:
            library.tokens(message)
            library.siblings(message)
        except UserError as error:
            check_sentence(error.sentence)
    if refused:
        raise refused[0]


def _write(library: Library, numbers: random.Random) -> None:
    for talk in library.conversations():
        opened = library.open(talk.id)
        last = opened.path[-1].id if opened.path else None
        said = library.add_message(talk.id, last, "user", "and then?")
        reply = library.begin_reply(talk.id, said.id, model="m")
        library.extend_reply(reply.id, text="so")
        library.finish_reply(reply.id, "end", text=" it was")
        library.select(said.id)
        library.edit(said.id, "or else?")
        library.rename(talk.id, "renamed")
        library.delete(talk.id)
        library.undelete(talk.id)


async def _open(numbers: random.Random, file: Path, folder: Path) -> None:
    """The whole program, on this library."""

    async def library() -> AsyncLibrary:
        return await AsyncLibrary.open_library(file, or_in_memory=True)

    with home(folder):
        knobs = HostileKnobs(Villain(numbers))
        knobs.load_error = knobs.generate_error = None
        app = ChattermApp(
            Settings(language="en"), start_engine=knobs.start, library=library, resume=numbers.random() < 0.5
        )
        async with app.run_test(size=(130, 30)) as pilot:
            for action in ("conversations", "tree", "context", "find"):
                await app.chat.run_action(action)
                await pilot.pause()
                await pilot.press("down", "enter")
                await pilot.pause()
            await app.session.close()


# --- edits ----------------------------------------------------------------------------------------------


def _sql(file: Path, *statements: tuple[str, tuple[Any, ...]], checked: bool = True) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.create_function("folded", 1, str)
        connection.execute("PRAGMA foreign_keys = OFF")
        if not checked:
            connection.execute("PRAGMA ignore_check_constraints = ON")
        for statement, values in statements:
            with suppress(sqlite3.IntegrityError):
                connection.execute(statement, values)
        connection.commit()


def _some(numbers: random.Random, file: Path, table: str) -> int:
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute(f"SELECT rowid FROM {table}").fetchall()
    return int(numbers.choice(rows)[0]) if rows else 0


def _number(numbers: random.Random) -> int:
    return numbers.choice((-1, 0, 1, 2, 3, 5, 99, 2**31, 2**63 - 1, -(2**63)))


def _dangling(numbers: random.Random, file: Path) -> bool:
    """Numbers of messages that are not there, or of another conversation."""
    for _ in range(numbers.randrange(1, 4)):
        table, column = numbers.choice(
            (
                ("message", "parent"),
                ("message", "chosen"),
                ("conversation", "chosen"),
                ("message", "forked_from"),
            )
        )
        _sql(
            file,
            (
                f"UPDATE {table} SET {column} = ? WHERE rowid = ?",
                (_number(numbers), _some(numbers, file, table)),
            ),
        )
    return False


def _circle(numbers: random.Random, file: Path) -> bool:
    """Messages that answer each other, or themselves."""
    one, other = _some(numbers, file, "message"), _some(numbers, file, "message")
    column = numbers.choice(("parent", "chosen"))
    _sql(
        file,
        (f"UPDATE message SET {column} = ? WHERE id = ?", (other, one)),
        (f"UPDATE message SET {column} = ? WHERE id = ?", (one, other)),
        checked=False,
    )
    return False


def _removed(numbers: random.Random, file: Path) -> bool:
    """Rows deleted from under others."""
    table = numbers.choice(("message", "message", "conversation", "chunk"))
    _sql(file, (f"DELETE FROM {table} WHERE rowid = ?", (_some(numbers, file, table),)))
    return True


def _fields(numbers: random.Random, file: Path) -> bool:
    """Values that the tables would not take from us."""
    touched = False
    for _ in range(numbers.randrange(1, 4)):
        table = numbers.choice(list(COLUMNS))
        column = numbers.choice(COLUMNS[table])
        touched = touched or column == "content"
        value = numbers.choice(
            (
                writable(attack(numbers)),
                "evil",
                "../../../etc/passwd",
                _number(numbers),
                float("inf"),
                -1e300,
                numbers.randbytes(60),
                b"\x82\xa1a" * 9,
                "[" * 5_000,
                "{}",
                "null",
            )
        )
        row = _some(numbers, file, table)
        with suppress(sqlite3.Error):
            _sql(file, (f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row)), checked=False)
    return touched


def _types(numbers: random.Random, file: Path) -> bool:
    """Tables without their strictness, and in them what no column is for."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(replace(sql, 'STRICT', ''), 'NOT NULL', '') "
            "WHERE type = 'table' AND name IN ('conversation', 'message', 'chunk')"
        )
        version = connection.execute("PRAGMA schema_version").fetchone()[0]
        connection.execute(f"PRAGMA schema_version = {version + 1}")
        connection.commit()
    touched = False
    for _ in range(numbers.randrange(1, 4)):
        table = numbers.choice(list(COLUMNS))
        column = numbers.choice(COLUMNS[table])
        touched = touched or column in ("content", "conversation")
        value = numbers.choice(
            (None, 5, 2.5, b"\xff\xfe", "x", -(2**63), float("inf"), b"", "\0", b"\x80" * 99)
        )
        row = _some(numbers, file, table)
        with suppress(sqlite3.Error):
            _sql(file, (f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row)), checked=False)
    return touched


def _huge(numbers: random.Random, file: Path) -> bool:
    """Values of many megabytes."""
    table, column = numbers.choice(
        (
            ("message", "notices"),
            ("message", "model"),
            ("conversation", "title"),
            ("chunk", "data"),
            ("message", "timing"),
        )
    )
    size = numbers.choice((200_000, 8_000_000))
    value: object = b"\x01" + b"x" * size if column == "data" else "x" * size
    _sql(file, (f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, _some(numbers, file, table))))
    return False


def _chunks(numbers: random.Random, file: Path) -> bool:
    """Records of tokens that were cut off, changed or blown up."""
    import zlib

    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT rowid, data FROM chunk").fetchall()
    if not rows:
        return False
    row, data = numbers.choice(rows)
    place = numbers.randrange(len(data) + 1)
    new = numbers.choice(
        (
            data[:place],
            b"\x02" + data[1:],
            data[:place] + numbers.randbytes(9) + data[place:],
            b"\x01" + zlib.compress(bytes(80 << 20), 9),
            b"\x01" + zlib.compress(b"\x91" * 300_000),
            b"\x01" + zlib.compress(numbers.randbytes(500)),
            b"",
        )
    )
    _sql(file, ("UPDATE chunk SET data = ? WHERE rowid = ?", (new, row)))
    if numbers.random() < 0.5:
        column = numbers.choice(("first", "count", "start", "message"))
        _sql(file, (f"UPDATE chunk SET {column} = ? WHERE rowid = ?", (_number(numbers), row)))
    return False


def _version(numbers: random.Random, file: Path) -> bool:
    """Of another program, or of a later time."""
    name = numbers.choice(("user_version", "user_version", "application_id"))
    _sql(file, (f"PRAGMA {name} = {numbers.choice((-1, 0, 1, 2, 3, 99, 2**31 - 1))}", ()))
    return False


def _schema(numbers: random.Random, file: Path) -> bool:
    """Tables and columns that are missing, further ones, and triggers that do something."""
    statement, touched = numbers.choice(
        (
            ("DROP TABLE search", False),
            ("DROP TABLE chunk", False),
            ("DROP TABLE message", True),
            ("DROP TABLE conversation", True),
            ("ALTER TABLE message DROP COLUMN notices", False),
            ("ALTER TABLE message ADD COLUMN more TEXT", False),
            ("ALTER TABLE conversation RENAME COLUMN title TO name", False),
            ("CREATE TABLE more (x)", False),
            ("CREATE TRIGGER t AFTER INSERT ON message BEGIN DELETE FROM chunk; END", False),
            ("DROP INDEX message_children", False),
            ("CREATE VIEW v AS SELECT load_extension('x')", False),
            ("DELETE FROM search_data", False),
            ("INSERT INTO search (rowid, text) VALUES (99999, 'sea')", False),
        )
    )
    with suppress(sqlite3.Error):
        _sql(file, (statement, ()))
    return touched


EDITS: dict[str, Callable[[random.Random, Path], bool]] = {
    "dangling numbers": _dangling,
    "circles": _circle,
    "rows removed": _removed,
    "odd values": _fields,
    "wrong types": _types,
    "absurd sizes": _huge,
    "records of tokens": _chunks,
    "other versions": _version,
    "another schema": _schema,
}
"""What was edited; each says whether it changed what was said."""
