"""What is carried over of a library whose pages were destroyed: all that does not lie on them."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chatterm.library import Library, damage
from chatterm.library.leaves import PAGE_BYTES, leaves

LEADS_TO_OTHERS, HAS_ROWS = 0x05, 0x0D  # https://sqlite.org/fileformat.html, 1.6


def fill(path: Path) -> list[str]:
    """So many and so long messages that one page leads to many; what was said."""
    said = []
    with Library(path) as library:
        for number in range(12):
            conversation = library.create().id
            parent = None
            for words in ("question", "answer"):
                text = f"{words} {number} " + f"{words} " * (900 if number % 3 else 100)
                parent = library.add_message(
                    conversation, parent, "user" if words == "question" else "assistant", text
                ).id
                said.append(text)
    return sorted(said)


def all_said(library: Library) -> list[str]:
    return sorted(m.content for c in library.conversations() for m in library.open(c.id).path)


def destroy(path: Path, page: int) -> None:
    """Overwrite a page, counted from 1."""
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(b"\xff" * PAGE_BYTES)


def root(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    return int(page)


def kind(path: Path, page: int) -> int:
    return path.read_bytes()[(page - 1) * PAGE_BYTES]


@pytest.mark.parametrize("destroyed", ["the first page", "the page that leads to all messages", "both"])
def test_pages_that_only_lead_to_others_are_not_needed(library_path: Path, destroyed: str) -> None:
    said = fill(library_path)
    page = root(library_path, "message")
    assert kind(library_path, page) == LEADS_TO_OTHERS
    if destroyed != "the first page":
        destroy(library_path, page)
    if destroyed != "the page that leads to all messages":
        destroy(library_path, 1)
    damage.remember(library_path)
    with Library(library_path) as library:
        assert all_said(library) == said
        assert [hit.snippet for hit in library.search("answer 11")]


def test_of_messages_only_those_on_a_destroyed_page_are_lost(library_path: Path) -> None:
    said = fill(library_path)
    whole = library_path.read_bytes()
    lost = []
    for page in leaves(library_path):
        library_path.write_bytes(whole)
        for rest in library_path.parent.glob("library.*sqlite3-*"):
            rest.unlink()
        destroy(library_path, page)
        damage.remember(library_path)
        with Library(library_path) as library:
            left = all_said(library)
        assert set(left) <= set(said)
        lost.append(len(said) - len(left))
    assert sum(lost) == len(said), "a row lies on one page"
    assert max(lost) < len(said) / 2


def test_what_is_only_in_the_log_is_found_behind_a_destroyed_page(library_path: Path) -> None:
    held = library_path.with_name("held.sqlite3")
    said = fill(held)
    with Library(held) as library:
        text = "said last"
        library.add_message(library.create().id, None, "user", text)
        shutil.copyfile(held, library_path)
        shutil.copyfile(f"{held}-wal", f"{library_path}-wal")
    destroy(library_path, root(held, "message"))
    damage.remember(library_path)
    with Library(library_path) as library:
        assert all_said(library) == sorted([*said, text])


def test_what_was_purged_is_not_found_again(library_path: Path) -> None:
    said = fill(library_path)
    with Library(library_path) as library:
        first = library.conversations()[-1].id
        gone = [message.content for message in library.open(first).path]
        library.delete(first)
        assert library.purge_deleted(-1) == 1
    raw = library_path.read_bytes()
    assert not any(text.encode()[:60] in raw for text in gone)
    destroy(library_path, 1)
    with Library(library_path) as library:
        assert all_said(library) == sorted(set(said) - set(gone))


@pytest.mark.parametrize("pages", range(1, 9))
def test_a_file_cut_to_a_few_pages_is_carried_over(library_path: Path, pages: int) -> None:
    said = fill(library_path)
    library_path.write_bytes(library_path.read_bytes()[: pages * PAGE_BYTES - 5])
    damage.remember(library_path)
    with Library(library_path) as library:
        assert "damaged" in library.notices[0]
        assert set(all_said(library)) <= set(said)
