"""What must hold of a library after a fault, and while it lasts."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

from chatterm.errors import UserError
from chatterm.library import Library
from tests.faults.sentences import check_sentence
from tests.faults.stock import Said, length, token


def check_kept(library: Library, said: Said) -> None:
    """Every message that was reported as saved is there as it was said."""
    for message, content in said.items():
        assert library.message(message).content == content, f"message {message} is not what was saved"


def check_usable(library: Library) -> None:
    """A conversation can be had."""
    conversation = library.create().id
    question = library.add_message(conversation, None, "user", "and now?").id
    reply = library.begin_reply(conversation, question, model="tiny").id
    library.extend_reply(reply, [token("well"), token(" then")])
    library.finish_reply(reply, "end")
    assert [message.content for message in library.open(conversation).path] == ["and now?", "well then"]
    assert library.search("well then")


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
