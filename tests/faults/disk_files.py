"""A library of another version, a damaged one, one that several programs use, and clocks that jump."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from unittest.mock import patch

from chatterm.errors import UserError
from chatterm.library import Library, schema
from chatterm.library.exports import export
from chatterm.library.store import FILE_NAME
from tests.faults import corruption
from tests.faults.sentences import check_sentence
from tests.faults.settled import (
    check_all_is_well,
    check_kept,
    check_usable,
    kept_somewhere,
    set_aside,
    use_until_it_works,
)
from tests.faults.stock import Said, new_library, old_library
from tests.faults.talking import talk


def two_at_once(numbers: random.Random, folder: Path) -> str:
    """Two or three windows on one library, taking turns at random; one may be closed and opened again."""
    path = folder / "data" / FILE_NAME
    count = numbers.randint(2, 3)
    said: Said = {}
    growing: dict[int, tuple[int, str]] = {}
    with ExitStack() as stack:
        windows = [stack.enter_context(Library(path)) for _ in range(count)]
        conversation = windows[0].create().id
        parents: list[int | None] = [None]
        for number in range(40):
            turn = numbers.randrange(count)
            window = windows[turn]
            match numbers.randrange(6):
                case 0 | 1:
                    message = window.add_message(
                        conversation, numbers.choice(parents), "user", f"said {number}"
                    )
                    said[message.id] = message.content
                    parents.append(message.id)
                case 2 if turn not in growing:
                    reply = window.begin_reply(conversation, numbers.choice(parents), model="tiny").id
                    growing[turn] = (reply, "")
                case 3 if turn in growing:
                    reply, text = growing[turn]
                    window.extend_reply(reply, text=f" word {number}")
                    growing[turn] = (reply, f"{text} word {number}")
                case 4 if turn in growing:
                    reply, text = growing.pop(turn)
                    assert window.finish_reply(reply, "end").content == text
                    said[reply] = text
                case _:
                    others = [reply for other, (reply, _) in growing.items() if other != turn]
                    for reply in others:
                        assert window.message(reply).status == "writing", (
                            "a reply of the living was interrupted"
                        )
                        with suppress(UserError):
                            window.extend_reply(reply, text="!")
                            raise AssertionError("a reply of another window was written to")
            check_kept(numbers.choice(windows), said)
        said |= dict(growing.values())
    if numbers.random() < 0.3:
        assert talk(path).state == "saved"
    check_all_is_well(path, said)
    return ""


def locked_by_another(numbers: random.Random, folder: Path) -> str:
    """Another program keeps the file locked for longer than anybody waits."""
    path = folder / "data" / FILE_NAME
    said = new_library(path, numbers)
    with Library(path, busy_seconds=0.05) as library, closing(sqlite3.connect(path, timeout=60)) as other:
        other.isolation_level = None
        other.execute("BEGIN EXCLUSIVE" if numbers.random() < 0.5 else "BEGIN IMMEDIATE")
        try:
            library.create()
        except UserError as error:
            check_sentence(error.sentence)
        else:
            raise AssertionError("it was written while it was locked")
        other.execute("ROLLBACK")
        check_usable(library)
    check_all_is_well(path, said)
    return ""


def clock_jumps(numbers: random.Random, folder: Path) -> str:
    """The clock jumps between messages, by centuries; order, search, exports and the screen go on."""
    path = folder / "data" / FILE_NAME
    moments = [0.0, -1e9, 1e9, 2**31, 2**33, 1e11, 253402300800.0, 1e15, -1e13, time.time()]
    order: list[int] = []
    said: Said = {}
    with patch("time.time", lambda: numbers.choice(moments)), Library(path) as library:
        for number in range(10):
            conversation = numbers.choice(order) if order and numbers.random() < 0.4 else library.create().id
            message = library.add_message(conversation, None, "user", f"said {number}")
            said[message.id] = message.content
            order = [one for one in order if one != conversation] + [conversation]
            assert [one.id for one in library.conversations()] == order[::-1], "the list is out of order"
        last = library.last_conversation()
        assert last is not None and last.id == order[-1]
        for kind in ("json", "markdown", "text", "html", "svg"):
            assert export([library.whole(last.id)], kind)
        library.delete(order[0])
        library.undelete(order[0])
        check_kept(library, said)
    if numbers.random() < 0.5:
        with patch("time.time", lambda: numbers.choice(moments)):
            assert talk(path).state == "saved"
    check_all_is_well(path, said)
    return ""


def older_version(numbers: random.Random, folder: Path) -> str:
    """A library of each version that there ever was."""
    path = folder / "data" / FILE_NAME
    version = numbers.randrange(0, len(schema.MIGRATIONS))
    said = old_library(path, numbers, version) if version else {}
    if numbers.random() < 0.5:
        assert talk(path).state == "saved"
    check_all_is_well(path, said)
    return f"format {version}"


def newer_version(numbers: random.Random, folder: Path) -> str:
    """A library of a later chatterm is refused and not touched."""
    path = folder / "data" / FILE_NAME
    new_library(path, numbers)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {numbers.choice([len(schema.MIGRATIONS) + 1, 99, 999])}")
    before = path.read_bytes()
    if numbers.random() < 0.5:
        talked = talk(path)
        assert talked.state == "not saved" and "newer" in " ".join(talked.notices)
    with Library.open_or_in_memory(path) as library:
        assert not library.is_saving
        check_sentence(*library.notices)
        check_usable(library)
    assert path.read_bytes() == before, "it was touched"
    return ""


def damaged(numbers: random.Random, folder: Path) -> str:
    """A damaged file: it is kept, what can be read of it is there, and the next conversation is saved."""
    path = folder / "data" / FILE_NAME
    new_library(path, numbers, actions=numbers.choice([4, 40]))
    what = numbers.choice(tuple(corruption.DAMAGES))
    corruption.DAMAGES[what](path, numbers)
    if numbers.random() < 0.3:
        talk(path)
    else:
        before = path.read_bytes()
        with suppress(UserError), Library(path):
            pass
        assert kept_somewhere(path, before) or not set_aside(path), "the damaged file is not as it was"
    use_until_it_works(path)
    return what


def damaged_log(numbers: random.Random, folder: Path) -> str:
    """A killed program's log is gone, cut or damaged: what is in the file is there all the same."""
    path = folder / "data" / FILE_NAME
    in_file, in_log = corruption.as_after_a_kill(path, numbers)
    what = numbers.choice(
        ["the log is whole", "the log is gone", "the log is damaged", "the file is cut to nothing"]
    )
    match what:
        case "the log is gone":
            corruption.log_of(path).unlink()
        case "the log is damaged":
            corruption.damage_log(path, numbers)
        case "the file is cut to nothing":
            path.write_bytes(b"")
    if numbers.random() < 0.3:
        talk(path)
    use_until_it_works(path)
    if what == "the file is cut to nothing":
        assert kept_somewhere(path, b""), "the file is gone"
    else:
        with Library(path) as library:
            check_kept(library, in_file if what != "the log is whole" else in_file | in_log)
    return what
