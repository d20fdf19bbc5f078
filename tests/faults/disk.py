"""Everything that can be wrong with the place where conversations are kept.

A case makes one fault, uses the library or the real interface over it, takes the fault away where that is
possible, and looks for everything that had been reported as saved.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from unittest.mock import patch

from chatterm.errors import UserError
from chatterm.library import Library, schema
from chatterm.library.exports import export
from tests.faults import corruption
from tests.faults.campaign import Campaign
from tests.faults.sentences import check_sentence
from tests.faults.small_disk import can_mount, fill, read_only, small_disk
from tests.faults.stock import Said, check_kept, check_usable, length, old_library
from tests.faults.stock import fill as fill_library
from tests.faults.talking import talk, talk_in_a_terminal

FILE = "library.sqlite3"
NAMES_OF_FOLDERS = ("CHATTERM_CONFIG", "CHATTERM_DATA", "CHATTERM_CACHE", "CHATTERM_LOG", "CHATTERM_MODELS")


def case(numbers: random.Random, folder: Path) -> str:
    """One fault."""
    if numbers.random() < 0.03:
        return f"the whole program at a terminal: {whole_program(numbers, folder)}"
    kind = numbers.choice(tuple(KINDS))
    what = KINDS[kind](numbers, folder)
    return f"{kind}{f': {what}' if what else ''}"


# --- a full disk ------------------------------------------------------------------------------------------


def full_while_talking(numbers: random.Random, folder: Path) -> str:
    """Write until nothing fits any more, then some; make room; all is there and it goes on."""
    with small(folder, numbers) as path:
        said = new_library(path, numbers)
        ballast = fill(path.parent, leave=numbers.randrange(0, 120_000)) if can_mount() else None
        with Library(path) if ballast is None else opened_or_none(path) as library:
            if library is not None and library.is_saving:
                if ballast is None:
                    limit_pages(library, numbers.randint(0, 10))
                write_until_full(library, numbers, said)
        check_opens_with_a_sentence(path, said)
        if ballast is not None:
            ballast.unlink()
        check_all_is_well(path, said)
    return ""


def full_in_the_interface(numbers: random.Random, folder: Path) -> str:
    """The interface over a disk with little or no room."""
    if not can_mount():
        return full_while_talking(numbers, folder)
    with small(folder, numbers) as path:
        said = new_library(path, numbers) if numbers.random() < 0.6 else {}
        path.parent.mkdir(exist_ok=True)
        ballast = fill(path.parent, leave=numbers.choice([0, 0, numbers.randrange(0, 60_000)]))
        talked = talk(path)
        ballast.unlink()
        check_all_is_well(path, said)
    return talked.state


def full_at_a_bad_moment(numbers: random.Random, folder: Path) -> str:
    """No room while an older library is converted, or a damaged one set right."""
    if not can_mount():
        return full_while_talking(numbers, folder)
    with small(folder, numbers) as path:
        leave = numbers.choice([0, 4096, numbers.randrange(0, 200_000)])
        if numbers.random() < 0.4:
            said = old_library(path, numbers, numbers.randrange(1, len(schema.MIGRATIONS)))
            ballast = fill(path.parent, leave)
            check_opens_with_a_sentence(path, said)
            ballast.unlink()
            check_all_is_well(path, said)
            return "converting"
        said = new_library(path, numbers)
        with path.open("r+b") as file:  # the search index is damaged, and with it what is seen at the opening
            file.seek(18)
            file.write(b"\x09\x09")
        damaged = path.read_bytes()
        ballast = fill(path.parent, leave)
        check_opens_with_a_sentence(path, {})
        assert kept_somewhere(path, damaged), "the damaged file is gone"
        ballast.unlink()
        with Library.open_or_in_memory(path) as library:
            check_kept(library, said)
        check_all_is_well(path, said)
    return "setting a damaged one right"


# --- folders that cannot be written -----------------------------------------------------------------------


def read_only_folder(numbers: random.Random, folder: Path) -> str:
    """A library that can be read and not written, or none at all."""
    path = folder / "data" / FILE
    path.parent.mkdir(mode=0o700)
    said: Said = {}
    what = numbers.choice(["with a library", "with a library and its log", "empty"])
    if what == "with a library":
        said = new_library(path, numbers)
    elif what == "with a library and its log":
        in_file, in_log = corruption.as_after_a_kill(folder / "elsewhere" / FILE, numbers)
        for file in (folder / "elsewhere").glob(f"{FILE}*"):
            shutil.copyfile(file, path.with_name(file.name))
        said = in_file | in_log
    before = snapshot(path.parent)
    with write_protected(path.parent):
        if numbers.random() < 0.5:
            talked = talk(path)
            assert talked.state == "not saved"
        with Library.open_or_in_memory(path) as library:
            assert not library.is_saving
            (notice,) = library.notices
            check_sentence(notice)
            assert "nothing is saved" in notice
            if said:
                check_kept(library, said)
                refuses_to_write(library)
            else:
                check_usable(library)
    assert snapshot(path.parent) == before, "something was written"
    check_all_is_well(path, said)
    return what


def folder_in_the_way(numbers: random.Random, folder: Path) -> str:
    """Something else where the folder or the file should be."""
    place = folder / "data"
    what = numbers.choice(
        ["a file", "a broken link", "a link to itself", "a folder called like the file", "a pipe"]
    )
    match what:
        case "a file":
            place.write_text("not a folder")
        case "a broken link":
            place.symlink_to("/proc/none/at/all")
        case "a link to itself":
            place.symlink_to(place)
        case "a folder called like the file":
            (place / FILE).mkdir(parents=True)
        case _:
            place.mkdir()
            os.mkfifo(place / FILE)
    with Library.open_or_in_memory(place / FILE) as library:
        assert not library.is_saving
        check_sentence(*library.notices)
        check_usable(library)
    if numbers.random() < 0.3:
        assert talk(place / FILE).state == "not saved"
    return what


def no_home(numbers: random.Random, folder: Path) -> str:
    """No home folder, one that is not there, or one that is none; everything at its usual place in it."""
    (folder / "file").write_text("")
    homes = {
        "HOME is a file": {"HOME": str(folder / "file")},
        "HOME is not there": {"HOME": "/proc/nobody"},
        "XDG folders that cannot be written": {
            "HOME": str(folder),
            "XDG_DATA_HOME": "/proc/data",
            "XDG_CONFIG_HOME": "/proc/config",
            "XDG_CACHE_HOME": "/proc/cache",
            "XDG_STATE_HOME": "/proc/state",
        },
        "a user whom nobody knows": None,
    }
    what = numbers.choice(tuple(homes))
    if homes[what] is None:
        nobody_knows_the_user()
        return what
    clean = {name: value for name, value in os.environ.items() if name not in NAMES_OF_FOLDERS}
    clean = {name: value for name, value in clean.items() if not name.startswith("XDG_")}
    with patch.dict(os.environ, {**clean, **(homes[what] or {})}, clear=True):
        from chatterm import paths

        path = paths.data_folder() / FILE
        assert str(path).startswith(("/proc", str(folder))), f"{path} is somebody's own"
        assert talk(path).state == "not saved"
    return what


_STRANGER = """
    import os, sys
    from chatterm import paths
    from chatterm.errors import UserError
    from chatterm.library import Library
    from chatterm.settings import load_settings

    os.setgid(54321)
    os.setuid(54321)
    for name in list(os.environ):
        if name == "HOME" or name.startswith(("CHATTERM_", "XDG_")):
            del os.environ[name]
    os.chdir("/")
    load_settings()
    with Library.open_or_in_memory() as library:
        assert not library.is_saving, library.path
        library.add_message(library.create().id, None, "user", "hello")
        print(*library.notices)
"""


def nobody_knows_the_user() -> None:
    """As in a container that is run with a user number of one's own and without HOME."""
    if os.geteuid() != 0:
        return
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_STRANGER)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    check_sentence(done.stdout.strip())


# --- several programs, and the clock ----------------------------------------------------------------------


def two_at_once(numbers: random.Random, folder: Path) -> str:
    """Two or three windows on one library, taking turns at random; one may be closed and opened again."""
    path = folder / "data" / FILE
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
    path = folder / "data" / FILE
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
    path = folder / "data" / FILE
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


# --- other versions and damage ----------------------------------------------------------------------------


def older_version(numbers: random.Random, folder: Path) -> str:
    """A library of each version that there ever was."""
    path = folder / "data" / FILE
    version = numbers.randrange(0, len(schema.MIGRATIONS))
    said = old_library(path, numbers, version) if version else {}
    if numbers.random() < 0.5:
        assert talk(path).state == "saved"
    check_all_is_well(path, said)
    return f"format {version}"


def newer_version(numbers: random.Random, folder: Path) -> str:
    """A library of a later chatterm is refused and not touched."""
    path = folder / "data" / FILE
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
    path = folder / "data" / FILE
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
    path = folder / "data" / FILE
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


def whole_program(numbers: random.Random, folder: Path) -> str:
    """A few of the faults with nothing left out: a terminal, the default model, the real folders."""
    path = folder / "data" / FILE
    what = numbers.choice(["a file for a folder", "read-only", "full", "damaged", "newer", "older"])
    if what in ("read-only", "full") and not can_mount():
        what = "a file for a folder"
    expected, said = "not saved", {}
    with ExitStack() as stack:
        match what:
            case "a file for a folder":
                path.parent.write_text("in the way")
            case "read-only":
                said = new_library(path, numbers)
                stack.enter_context(read_only(path.parent))
            case "full":
                path.parent.mkdir()
                stack.enter_context(small_disk(path.parent, 1 << 20))
                fill(path.parent, leave=0)
            case "damaged":
                new_library(path, numbers)
                corruption.overwrite_header(path, numbers)
                expected = ""
            case "newer":
                new_library(path, numbers)
                with closing(sqlite3.connect(path)) as connection:
                    connection.execute("PRAGMA user_version = 999")
            case _:
                said = old_library(path, numbers, 1)
                expected = "saved"
        state = talk_in_a_terminal(folder)
        assert state == expected or not expected, f"it says {state}"
    if said:
        check_all_is_well(path, said)
    return what


KINDS: dict[str, Callable[[random.Random, Path], str]] = {
    "full disk": full_while_talking,
    "full disk, in the interface": full_in_the_interface,
    "full disk at a bad moment": full_at_a_bad_moment,
    "read-only folder": read_only_folder,
    "something else in its place": folder_in_the_way,
    "no home": no_home,
    "several windows": two_at_once,
    "locked by another program": locked_by_another,
    "the clock jumps": clock_jumps,
    "older version": older_version,
    "newer version": newer_version,
    "damaged file": damaged,
    "damaged log": damaged_log,
}


# --- what must hold ---------------------------------------------------------------------------------------


def new_library(path: Path, numbers: random.Random, actions: int = 12) -> Said:
    with Library(path) as library:
        return fill_library(library, numbers, actions)


def check_opens_with_a_sentence(path: Path, said: Said) -> None:
    """It opens, or a library in memory takes its place and says why; what it does show is right."""
    with Library.open_or_in_memory(path) as library:
        for notice in library.notices:
            check_sentence(notice)
        if library.path is None:
            assert library.notices
            check_usable(library)
        else:
            check_kept(library, said)


def check_all_is_well(path: Path, said: Said) -> None:
    """Without the fault it opens without a word, holds everything, and goes on."""
    for _ in range(2):
        with Library(path) as library:
            assert library.notices == (), f"it says {library.notices}"
            check_kept(library, said)
            check_usable(library)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def use_until_it_works(path: Path) -> None:
    """A library that met damage works after at most one more opening; every error is a sentence."""
    for _ in range(3):
        try:
            with Library(path) as library:
                for notice in library.notices:
                    check_sentence(notice)
                for conversation in library.conversations():
                    for message in library.open(conversation.id).path:
                        with suppress(UserError):  # a chunk that cannot be read is a sentence
                            library.tokens(message.id)
                library.search("word")
                check_usable(library)
        except UserError as error:
            check_sentence(error.sentence)
        else:
            break
    else:
        raise AssertionError("it does not come to work")
    with Library(path) as library:
        assert library.notices == (), f"again: {library.notices}"
        check_usable(library)


def write_until_full(library: Library, numbers: random.Random, said: Said) -> None:
    refused = 0
    for _ in range(400):
        try:
            conversation = library.create().id
            words = "word " * length(numbers) * 10
            message = library.add_message(conversation, None, "user", words)
            said[message.id] = words
        except UserError as error:
            check_sentence(error.sentence)
            assert "space" in error.sentence or "disk" in error.sentence, error.sentence
            refused += 1
            if refused == 3:
                return
    raise AssertionError("the disk was never full")


def refuses_to_write(library: Library) -> None:
    for act in (
        library.create,
        partial(library.begin_reply, 1, None, model="tiny"),
        partial(library.delete, 1),
    ):
        try:
            act()
        except UserError as error:
            check_sentence(error.sentence)
        else:
            raise AssertionError("it was written")


def kept_somewhere(path: Path, content: bytes) -> bool:
    return content in [file.read_bytes() for file in path.parent.glob("library*.sqlite3")]


def set_aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob("library.damaged-*.sqlite3"))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def limit_pages(library: Library, more: int) -> None:
    """Where nothing may be mounted: SQLite's own limit, which gives the same error."""
    with library._reading() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + more}")


@contextmanager
def opened_or_none(path: Path) -> Iterator[Library | None]:
    with Library.open_or_in_memory(path) as library:
        for notice in library.notices:
            check_sentence(notice)
        yield library


@contextmanager
def small(folder: Path, numbers: random.Random) -> Iterator[Path]:
    """A library's path on a small disk, where one may be mounted."""
    place = folder / "disk"
    place.mkdir(mode=0o700)
    with ExitStack() as stack:
        if can_mount():
            stack.enter_context(small_disk(place, numbers.randrange(6 << 20, 9 << 20)))
        yield place / FILE


@contextmanager
def write_protected(folder: Path) -> Iterator[None]:
    if can_mount():
        with read_only(folder):
            yield
        return
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)


CAMPAIGN = Campaign(
    name="disk",
    promise="Whatever is wrong with the place where conversations are kept, there is one sentence that says "
    "so, nothing that was saved is lost, nothing damaged is deleted, and the chat goes on, without saving "
    "if it must.",
    case=case,
    short=5,
    long=300,
)
