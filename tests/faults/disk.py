"""Everything that can be wrong with the place where conversations are kept.

A case makes one fault, uses the library or the real interface over it, takes the fault away where that is
possible, and looks for everything that had been reported as saved.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from chatterm.library.store import FILE_NAME
from tests.faults import corruption
from tests.faults.campaign import Campaign
from tests.faults.disk_files import (
    clock_jumps,
    damaged,
    damaged_log,
    locked_by_another,
    newer_version,
    older_version,
    two_at_once,
)
from tests.faults.disk_places import (
    folder_in_the_way,
    full_at_a_bad_moment,
    full_in_the_interface,
    full_while_talking,
    no_home,
    read_only_folder,
)
from tests.faults.settled import check_all_is_well
from tests.faults.small_disk import can_mount, fill, read_only, small_disk
from tests.faults.stock import new_library, old_library
from tests.faults.talking import talk_in_a_terminal


def case(numbers: random.Random, folder: Path) -> str:
    """One fault."""
    if numbers.random() < 0.03:
        return f"the whole program at a terminal: {whole_program(numbers, folder)}"
    kind = numbers.choice(tuple(KINDS))
    what = KINDS[kind](numbers, folder)
    return f"{kind}{f': {what}' if what else ''}"


def whole_program(numbers: random.Random, folder: Path) -> str:
    """A few of the faults with nothing left out: a terminal, the default model, the real folders."""
    path = folder / "data" / FILE_NAME
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


CAMPAIGN = Campaign(
    name="disk",
    promise="Whatever is wrong with the place where conversations are kept, there is one sentence that says "
    "so, nothing that was saved is lost, nothing damaged is deleted, and the chat goes on, without saving "
    "if it must.",
    case=case,
    short=5,
    long=300,
)
