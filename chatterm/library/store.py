"""The database file: transactions, and its errors as sentences."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from chatterm import paths
from chatterm.errors import UserError
from chatterm.library import damage, refusals, schema
from chatterm.library.damage import DamagedError, is_damage, primary_code, says_nothing
from chatterm.library.opening import Opening, identity
from chatterm.library.owners import Owner
from chatterm.library.refusals import ELSEWHERE

FILE_NAME = "library.sqlite3"
BUSY_SECONDS = 10.0
LOOK_SECONDS = 0.05
"""How often it is looked whether another program has ended its transaction."""

OLDEST_SQLITE = (3, 37, 0)  # STRICT tables

_FROM_ROWS = (sqlite3.Error, ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError)
"""What a query raises, and what rows raise that hold what no program ever put there."""


class Store:
    """One connection to one library, for one thread.

    Attributes:
        path: the file, or None when nothing is saved.
        notices: sentences for the user about what happened on opening.
        is_read_only: nothing can be saved, what there is can be read.
    """

    path: Path | None
    notices: tuple[str, ...]
    is_read_only: bool

    def __init__(self, path: Path | None = None, *, busy_seconds: float = BUSY_SECONDS) -> None:
        """Open the library in `path` (a file; the user's own by default), making it if it is not there.

        A damaged file is moved aside, with a sentence in `notices`, and a new one begun with what could be
        read of it. `busy_seconds` is how long to wait for another program's transaction.

        Raises:
            UserError: it cannot be opened or made, or a newer chatterm wrote it.
        """
        self._begin(path or paths.data_folder() / FILE_NAME, busy_seconds)

    @classmethod
    def in_memory(cls, *notices: str) -> Self:
        """A library that is gone when it is closed, for running without saving."""
        store = cls.__new__(cls)
        store._begin(None, BUSY_SECONDS)
        store.notices = notices
        return store

    @classmethod
    def open_or_in_memory(cls, path: Path | None = None) -> Self:
        """The library in `path`, or, if that cannot be had, one in memory whose `notices` say why."""
        try:
            return cls(path)
        except UserError as error:
            return cls.in_memory(f"{error.sentence} Until then nothing is saved.")

    def _begin(self, path: Path | None, busy_seconds: float) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise UserError(
                f"This Python comes with SQLite {sqlite3.sqlite_version}; conversations need 3.37 or newer."
            )
        self.path = path
        self._owner: Owner | None = None
        self._held: Owner | None = None  # the conversation that is open here
        self._busy_seconds = busy_seconds
        self._patience_ends = math.inf  # when others are not waited for any more
        opening = Opening(path, busy_seconds)
        try:
            with self._sentences():
                self._connection = opening.connect()
        except (OSError, DamagedError) as error:
            why = getattr(error, "strerror", None) or "what is written to it comes back damaged"
            raise UserError(
                f"Conversations cannot be kept in {path} ({why}): see to that, or {ELSEWHERE}."
            ) from error
        self.notices, self.is_read_only = opening.notices, opening.is_read_only
        self._identity = opening.identity
        self._is_in_place = True

    @property
    def is_saving(self) -> bool:
        """Whether what is said now outlives this process."""
        return self.path is not None and not self.is_read_only and self._is_in_place

    def hurry(self, seconds: float) -> None:
        """Wait at most `seconds` longer for other programs. Any thread may call this while another waits."""
        self._patience_ends = time.monotonic() + seconds

    def close(self) -> None:
        """Close the connection and give up this library's name as a writer of replies."""
        with suppress(sqlite3.Error):
            self._wait_at_most(LOOK_SECONDS)
            self._connection.execute("PRAGMA optimize")
        self._connection.close()
        if self._owner is not None:
            self._owner.release()
            self._owner = None
        if self._held is not None:
            self._held.release()
            self._held = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- reading and writing ----------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Several queries that see one state of the library."""
        with self._sentences(), _transaction(self._connection, self._begin_reading):
            yield self._connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is on the disk when the block is left, or did not happen."""
        with self._sentences():
            with _transaction(self._connection, self._begin_writing):
                self._check_place()
                if schema.version(self._connection) != len(schema.MIGRATIONS):
                    raise UserError(
                        f"A newer chatterm has converted the conversations in {self.path}: "
                        "start this one anew."
                    )
                yield self._connection
            self._check_place()  # it may have been moved meanwhile

    def _begin_reading(self) -> None:
        self._connection.execute("BEGIN DEFERRED")

    def _begin_writing(self) -> None:
        """Wait until no other program writes.

        It looks again and again, because a wait of SQLite's own cannot be cut short.
        """
        deadline = time.monotonic() + self._busy_seconds
        self._wait_at_most(LOOK_SECONDS)
        try:
            while True:
                try:
                    self._connection.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as error:
                    is_late = time.monotonic() > min(deadline, self._patience_ends)
                    if is_late or primary_code(error) != sqlite3.SQLITE_BUSY:
                        raise
        finally:
            self._wait_at_most(self._busy_seconds)

    def _wait_at_most(self, seconds: float) -> None:
        self._connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    def _check_place(self) -> None:
        """See that the file that is written to is still the one that the next start will open.

        SQLite holds on to a file that was moved, deleted or replaced, and goes on writing to it.

        Raises:
            UserError: it is not.
        """
        if self.path is None or self._identity is None:
            return
        self._is_in_place = identity(self.path) == self._identity
        if not self._is_in_place:
            raise UserError(
                f"{self.path} was moved, deleted or replaced while it was open here, so nothing more "
                "is saved: copy what you want to keep, and start chatterm anew."
            )

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except MemoryError as error:
            raise UserError(refusals.out_of_memory(self.path)) from error
        except _FROM_ROWS as error:
            if hasattr(self, "_connection"):
                self._check_place()  # what is not in its place is not the library, and not ours to mend
            if is_damage(error) or (says_nothing(error) and self._is_damaged()):
                if not hasattr(self, "_connection"):
                    raise DamagedError from error  # it is only being opened
                raise UserError(self._damage_sentence()) from error
            sentence = refusals.sentence(error, self.path) if isinstance(error, sqlite3.Error) else None
            if sentence is None:
                raise
            raise UserError(sentence) from error

    def _is_damaged(self) -> bool:
        return (
            self.path is not None and hasattr(self, "_connection") and not damage.is_whole(self._connection)
        )

    def _damage_sentence(self) -> str:
        """Mend what can be mended in use; what was done, or what is to be done."""
        if self.path is None or self.is_read_only:
            return f"The conversations in {self.path or 'memory'} are damaged."
        damage.remember(self.path)
        try:
            damage.mend(self._connection)
        except (DamagedError, sqlite3.Error):
            return (
                f"The conversations in {self.path} are damaged: start chatterm anew, and the file will be "
                "set aside and all that can be read of it carried over."
            )
        damage.forget(self.path)
        return f"The search index of {self.path} was damaged and has been made anew: try again."

    def _row(self, sql: str, *parameters: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(sql, parameters).fetchone()
        return row


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: Callable[[], None]) -> Iterator[None]:
    begin()
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise
