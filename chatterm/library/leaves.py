"""The rows of a table from the single pages that they lie on, whatever became of the pages that led there.

In SQLite's file format a page that holds rows (a leaf) is also what a table of one page looks like. So each
leaf is presented to SQLite as the whole of a table, behind a first page of our own, and SQLite reads it.
"""

from __future__ import annotations

import mmap
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

PAGE_BYTES = 4_096
_MOST_ROOTS = 4  # pages that the definition of one table speaks of; where there are fewer, SQLite refuses it
_LEAF = 0x0D  # the first byte of a page with rows of a table (https://sqlite.org/fileformat.html, 1.6)
_COUNT, _FIRST_FREE = (
    28,
    32,
)  # places in the header: pages of the file, the first page of the list of free ones
_LAST_CHANGE, _COUNTED_AT = 24, 92  # the count of pages holds where these two are the same


def leaves(file: Path) -> list[int]:
    """The numbers, from 1, of all pages that look like leaves and are not known to be free.

    What stands on a free page was deleted. Where the list of free pages is damaged, its rest is unknown.
    """
    with file.open("rb") as stream:
        if file.stat().st_size < PAGE_BYTES:
            return []
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as pages:
            free = _free(pages)
            count = len(pages) // PAGE_BYTES
            return [
                page
                for page in range(2, count + 1)
                if pages[(page - 1) * PAGE_BYTES] == _LEAF and page not in free
            ]


def _free(pages: mmap.mmap) -> set[int]:
    """The list of free pages (https://sqlite.org/fileformat.html, 1.5), as far as it can be read."""

    def number(place: int) -> int:
        return int.from_bytes(pages[place : place + 4], "big")

    count = len(pages) // PAGE_BYTES
    free: set[int] = set()
    trunk = number(_FIRST_FREE)
    while 1 < trunk <= count and trunk not in free:
        free.add(trunk)
        begin = (trunk - 1) * PAGE_BYTES
        listed = min(number(begin + 4), PAGE_BYTES // 4 - 2)
        free |= {number(begin + 8 + 4 * index) for index in range(listed)}
        trunk = number(begin)
    return free


def tables_of_one_leaf(file: Path, pages: list[int], table: str, sql: str) -> Iterator[sqlite3.Connection]:
    """A connection for each of the `pages`; in it `table`, made by the statement `sql`, has just its rows.

    The first page of `file` is overwritten. A leaf of another table gives rows that make no sense here.
    """
    if not pages:
        return
    size = max(file.stat().st_size // PAGE_BYTES, _MOST_ROOTS)
    with file.open("r+b") as stream:
        stream.write(_first_page(table, sql, size))
        stream.truncate(size * PAGE_BYTES)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        for page in pages:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_master SET rootpage = ? WHERE name = ?", (page, table))
            connection.execute("PRAGMA writable_schema = RESET")
            yield connection


def _first_page(table: str, sql: str, size: int) -> bytes:
    """The first page of a database of `size` pages with one table."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        fresh.execute(sql)
        page = bytearray(fresh.serialize()[:PAGE_BYTES])
    page[_COUNT : _COUNT + 4] = size.to_bytes(4, "big")
    page[_COUNTED_AT : _COUNTED_AT + 4] = page[_LAST_CHANGE : _LAST_CHANGE + 4]
    return bytes(page)
