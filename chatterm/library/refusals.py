"""SQLite's errors as sentences."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from chatterm.library.damage import primary_code

ELSEWHERE = "set CHATTERM_DATA to another folder"
"""What a user can always do, for the end of a sentence."""


def sentence(error: sqlite3.Error, path: Path | None) -> str | None:
    """What a user is told of an error about the library in `path` (None: in memory).

    None for an error that is not SQLite's but the Python module's own: that is a mistake of ours.
    """
    where = _where(path)
    match primary_code(error):
        case -1:
            return None
        case sqlite3.SQLITE_FULL:
            return f"There is no space left to save {where}; what was saved before is safe: free some space."
        case sqlite3.SQLITE_READONLY:
            return f"Nothing can be saved to {where}: the file or its folder is write-protected."
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"Another program has kept {where} locked for too long: try again."
        case sqlite3.SQLITE_PROTOCOL:
            return (
                f"The drive does not let {where} be locked ({error}); network drives often do not: "
                f"try again, or {ELSEWHERE}."
            )
        case sqlite3.SQLITE_TOOBIG:
            return f"That is too large to be saved with {where}."
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return f"The disk refused to read or write {where} ({error})."
        case sqlite3.SQLITE_CONSTRAINT | sqlite3.SQLITE_MISMATCH:
            return f"Something in {where} does not fit together ({error}); another program has edited it."
        case _:
            return f"Something is wrong with {where} ({error})."


def out_of_memory(path: Path | None) -> str:
    """What a user is told where there is no memory, which the Python module does not call an SQLite error."""
    return f"There is not enough memory to read or write {_where(path)}: close other programs and try again."


def _where(path: Path | None) -> str:
    return f"the conversations in {path}" if path else "this session's conversations"
