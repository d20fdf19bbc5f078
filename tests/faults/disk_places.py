"""Disks that are full, folders that cannot be written, and no home at all."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from unittest.mock import patch

from chatterm.library import Library, schema
from chatterm.library.store import FILE_NAME
from tests.faults import corruption
from tests.faults.sentences import check_sentence
from tests.faults.settled import (
    check_all_is_well,
    check_kept,
    check_opens_with_a_sentence,
    check_usable,
    kept_somewhere,
    limit_pages,
    opened_or_none,
    refuses_to_write,
    snapshot,
    write_until_full,
)
from tests.faults.small_disk import can_mount, fill, small, write_protected
from tests.faults.stock import Said, new_library, old_library
from tests.faults.talking import talk

NAMES_OF_FOLDERS = ("CHATTERM_CONFIG", "CHATTERM_DATA", "CHATTERM_CACHE", "CHATTERM_LOG", "CHATTERM_MODELS")


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


def read_only_folder(numbers: random.Random, folder: Path) -> str:
    """A library that can be read and not written, or none at all."""
    path = folder / "data" / FILE_NAME
    path.parent.mkdir(mode=0o700)
    said: Said = {}
    what = numbers.choice(["with a library", "with a library and its log", "empty"])
    if what == "with a library":
        said = new_library(path, numbers)
    elif what == "with a library and its log":
        in_file, in_log = corruption.as_after_a_kill(folder / "elsewhere" / FILE_NAME, numbers)
        for file in (folder / "elsewhere").glob(f"{FILE_NAME}*"):
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
            (place / FILE_NAME).mkdir(parents=True)
        case _:
            place.mkdir()
            os.mkfifo(place / FILE_NAME)
    with Library.open_or_in_memory(place / FILE_NAME) as library:
        assert not library.is_saving
        check_sentence(*library.notices)
        check_usable(library)
    if numbers.random() < 0.3:
        assert talk(place / FILE_NAME).state == "not saved"
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

        path = paths.data_folder() / FILE_NAME
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
