"""The database file: opening it safely, transactions, and its errors as sentences."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from chatterm import paths
from chatterm.errors import UserError
from chatterm.library import damage, lenient, schema
from chatterm.library.damage import DamagedError, is_damage, primary_code, says_nothing
from chatterm.library.owners import Owner
from chatterm.library.salvage import copied, salvage
from chatterm.library.text import folded

FILE_NAME = "library.sqlite3"
BUSY_SECONDS = 10.0
MOST_VERSIONS = 1 << 16
"""A format beyond it was never written by anybody: the header of the file is damaged."""

OLDEST_SQLITE = (3, 37, 0)  # STRICT tables

_CANNOT_WRITE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_FROM_ROWS = (sqlite3.Error, ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError)
"""What a query raises, and what rows raise that hold what no program ever put there."""

_MOVE_OR_ELSEWHERE = "set CHATTERM_DATA to another folder"


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
        self.notices = ()
        self.is_read_only = False
        self._busy_seconds = busy_seconds
        self._owner: Owner | None = None
        self._held: Owner | None = None  # the conversation that is open here
        try:
            with self._sentences():
                self._connection = self._connect(":memory:") if path is None else self._open_file(path)
        except (OSError, DamagedError) as error:
            why = getattr(error, "strerror", None) or "what is written to it comes back damaged"
            raise UserError(
                f"Conversations cannot be kept in {path} ({why}): see to that, or {_MOVE_OR_ELSEWHERE}."
            ) from error

    @property
    def is_saving(self) -> bool:
        """Whether what is said now outlives this process."""
        return self.path is not None and not self.is_read_only

    def hurry(self, seconds: float) -> None:
        """Wait at most `seconds` for other programs' transactions from now on."""
        self._busy_seconds = seconds
        self._connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    def close(self) -> None:
        """Close the connection and give up this library's name as a writer of replies."""
        with suppress(sqlite3.Error):
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

    # --- opening ----------------------------------------------------------------------------------------

    def _open_file(self, path: Path) -> sqlite3.Connection:
        if damage.was_interrupted(path):
            with damage.moving(path, self._busy_seconds):
                damage.finish(path)
        _make_file(path)
        try:
            return self._connect_checked(path)
        except DamagedError:
            pass
        with damage.moving(path, self._busy_seconds):
            try:
                return self._connect_checked(path)  # another window may have set it right by now
            except DamagedError:
                pass
            mended = damage.new_beside(path)
            _make_file(mended)
            with closing(self._connect(mended)) as connection:
                carried = salvage(path, connection)
            aside = damage.put_in_place(path)
            connection = self._connect_checked(path)
        self.notices = (damage.sentence(carried, aside),)
        return connection

    def _connect_checked(self, path: Path) -> sqlite3.Connection:
        """A connection to a file that is not damaged as far as can be told quickly.

        When damage was met before, all of the file is looked through, and a broken search index is made anew.

        Raises:
            DamagedError: it is damaged.
        """
        try:
            damage.refuse_emptied(path)
            connection = self._connect_file(path)
            if damage.was_met(path):
                try:
                    damage.mend(connection)
                except BaseException:
                    connection.close()
                    raise
                damage.forget(path)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if is_damage(error) or (says_nothing(error) and not _is_whole_file(path)):
                raise DamagedError from error
            raise
        return connection

    def _connect_file(self, path: Path) -> sqlite3.Connection:
        try:
            return self._connect(path)
        except sqlite3.OperationalError as error:
            if primary_code(error) not in _CANNOT_WRITE or os.access(path.parent, os.W_OK):
                raise
        # A folder that cannot be written, a file that can be read: better to show it than to refuse. Without
        # a log beside it the file is all there is, and SQLite need not make the log's index to read it.
        has_log = path.with_name(path.name + "-wal").exists()
        mode = "mode=ro" if has_log else "immutable=1"
        try:
            connection = self._connect(f"{path.absolute().as_uri()}?{mode}", convert=False)
        except sqlite3.OperationalError as error:
            if not has_log or primary_code(error) not in _CANNOT_WRITE:
                raise
            connection = self._copy_in_memory(path)  # the log's index would have to be made beside it
        if schema.version(connection) < len(schema.MIGRATIONS):  # it cannot be converted where it is
            connection = self._converted_copy(connection)
        self.is_read_only = True
        self.notices = (f"The conversations in {path} can be read but not written: nothing is saved.",)
        return connection

    def _copy_in_memory(self, path: Path) -> sqlite3.Connection:
        """A file and its log, which cannot be read together where they are."""
        with copied(path) as copy, closing(sqlite3.connect(copy)) as old:
            connection = self._connect(":memory:", convert=False)
            old.backup(connection)
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _converted_copy(self, old: sqlite3.Connection) -> sqlite3.Connection:
        """An older library in memory, as this version reads it."""
        with closing(old):
            copy = self._connect(":memory:", convert=False)
            old.backup(copy)
        schema.migrate(copy)
        copy.execute("PRAGMA query_only = ON")
        return copy

    def _connect(self, target: Path | str, *, convert: bool = True) -> sqlite3.Connection:
        connection = sqlite3.connect(
            target,
            timeout=self._busy_seconds,
            isolation_level=None,
            cached_statements=256,
            uri=isinstance(target, str),
        )
        try:
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            connection.create_function(
                "folded", 1, lambda value: folded(lenient.text(value)), deterministic=True
            )
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")  # what is purged is gone from the file too
            self._refuse_foreign(connection)
            if isinstance(target, Path):
                self._make_durable(connection)
            if convert:
                schema.migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _refuse_foreign(self, connection: sqlite3.Connection) -> None:
        found = schema.version(connection)
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and (application != schema.APPLICATION_ID or not 0 < found < MOST_VERSIONS):
            if schema.holds_our_tables(connection):  # only the header says otherwise
                raise DamagedError
            raise UserError(
                f"{self.path} is a database of another program: move it away, or {_MOVE_OR_ELSEWHERE}."
            )
        if found > len(schema.MIGRATIONS):
            raise UserError(
                f"The conversations in {self.path} were written by a newer chatterm (format {found}; this "
                f"one knows {len(schema.MIGRATIONS)}): upgrade chatterm, or {_MOVE_OR_ELSEWHERE}."
            )

    def _make_durable(self, connection: sqlite3.Connection) -> None:
        """Write-ahead log, flushed to the disk at every commit (docs/library.md says why)."""
        # Two programs that switch a new file to WAL at once are told "locked" without waiting.
        deadline = time.monotonic() + self._busy_seconds
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: through the drive's own cache as well
        connection.execute("PRAGMA checkpoint_fullfsync = ON")

    # --- reading and writing ----------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Several queries that see one state of the library."""
        with self._sentences(), _transaction(self._connection, "DEFERRED"):
            yield self._connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is on the disk when the block is left, or did not happen."""
        with self._sentences(), _transaction(self._connection):
            if schema.version(self._connection) != len(schema.MIGRATIONS):
                raise UserError(
                    f"A newer chatterm has converted the conversations in {self.path}: start this one anew."
                )
            yield self._connection

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except _FROM_ROWS as error:
            if is_damage(error) or (says_nothing(error) and self._is_damaged()):
                if not hasattr(self, "_connection"):
                    raise DamagedError from error  # it is only being opened
                raise UserError(self._damage_sentence()) from error
            sentence = self._sentence(error) if isinstance(error, sqlite3.Error) else None
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

    def _sentence(self, error: sqlite3.Error) -> str | None:
        where = f"the conversations in {self.path}" if self.path else "this session's conversations"
        match primary_code(error):
            case sqlite3.SQLITE_FULL:
                return (
                    f"There is no space left to save {where}; what was saved before is safe: free some space."
                )
            case sqlite3.SQLITE_READONLY:
                return f"Nothing can be saved to {where}: the file or its folder is write-protected."
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return f"Another program has kept {where} locked for too long: try again."
            case sqlite3.SQLITE_TOOBIG:
                return f"That is too large to be saved with {where}."
            case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_NOMEM:
                return f"The disk refused to read or write {where} ({error})."
            case sqlite3.SQLITE_CONSTRAINT | sqlite3.SQLITE_MISMATCH:
                return f"Something in {where} does not fit together ({error}); another program has edited it."
            case sqlite3.SQLITE_ERROR if isinstance(error, sqlite3.OperationalError):
                return f"Something is wrong with {where} ({error})."
            case _:
                return None

    def _row(self, sql: str, *parameters: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(sql, parameters).fetchone()
        return row


@contextmanager
def _transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def _is_whole_file(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return damage.is_whole(connection)


def _make_file(path: Path) -> None:
    """Make an empty file that only the user can read, in a folder that only the user can enter.

    An existing one of the user's is made private. The log and its index take the file's mode from SQLite.
    """
    paths.make_private(path.parent)
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            with suppress(OSError):
                path.chmod(0o600)
        return
    os.close(file)
    if os.name == "posix":  # the file's name must survive a power cut as its contents do
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
