"""Opening the database file: what is checked before it is used, what is mended, and how it is set up."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from chatterm import paths
from chatterm.errors import UserError
from chatterm.library import damage, lenient, schema
from chatterm.library.damage import DamagedError, is_damage, primary_code, says_nothing
from chatterm.library.refusals import ELSEWHERE
from chatterm.library.salvage import copied, salvage
from chatterm.library.text import folded

MOST_VERSIONS = 1 << 16
"""A format beyond it was never written by anybody: the header of the file is damaged."""

Identity = tuple[int, int]
"""Which file it is, whatever its name: its device and its number there."""

_SETTLES = 5  # times after which whatever is done to a file meanwhile should be over
_CANNOT_WRITE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}


class Opening:
    """One opening of a library, and what came of it.

    Args:
        path: the file; None for a library in memory.
        busy_seconds: how long to wait for another program's transaction.

    Attributes:
        notices: sentences for the user about what happened.
        is_read_only: nothing can be saved, what there is can be read.
        identity: which file is written to; None where none is.
    """

    def __init__(self, path: Path | None, busy_seconds: float) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self.notices: tuple[str, ...] = ()
        self.is_read_only = False
        self.identity: Identity | None = None

    def connect(self) -> sqlite3.Connection:
        """The connection to go on with.

        Raises:
            UserError: a newer chatterm or another program wrote the file, or it is being moved.
            DamagedError: what is written to it comes back damaged.
            OSError, sqlite3.Error: it cannot be opened or made.
        """
        return self._connect(":memory:") if self._path is None else self._open_file(self._path)

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
            seen = damage.stamp(path)
            carried = self._carry_over(path)
            aside = damage.move_aside(path)
            for _ in range(_SETTLES):
                if damage.stamp(aside) == seen:
                    break
                # A window that had it open has saved something more meanwhile. Now it is refused: the file
                # that it knows is not in its place any more.
                seen = damage.stamp(aside)
                with suppress(OSError, sqlite3.Error):  # then what was carried over before has to do
                    carried = self._carry_over(aside)
            damage.put_in_place(path)
            connection = self._connect_checked(path)
        self.notices = (damage.sentence(carried, aside),)
        return connection

    def _carry_over(self, source: Path) -> int:
        """Make the new library from what can be read of a damaged one; how many messages that were."""
        assert self._path is not None
        begun = damage.begin_new(self._path)
        _make_file(begun)
        with closing(self._connect(begun)) as connection:
            carried = salvage(source, connection)
        damage.new_is_whole(self._path)
        return carried

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
            return self._connect_in_place(path)
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

    def _connect_in_place(self, path: Path) -> sqlite3.Connection:
        """A connection, and which file it leads to: another may be put in its place at any moment."""
        for _ in range(_SETTLES):
            before = identity(path)
            connection = self._connect(path)
            if before is not None and identity(path) == before:
                self.identity = before
                return connection
            connection.close()
            _make_file(path)
        raise UserError(f"Another program puts one file after the other in place of {path}: try again.")

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
            raise UserError(f"{self._path} is a database of another program: move it away, or {ELSEWHERE}.")
        if found > len(schema.MIGRATIONS):
            raise UserError(
                f"The conversations in {self._path} were written by a newer chatterm (format {found}; this "
                f"one knows {len(schema.MIGRATIONS)}): upgrade chatterm, or {ELSEWHERE}."
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


def identity(path: Path) -> Identity | None:
    """Which file has this name now; None where none can be found."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


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
    paths.sync_folder(path.parent)  # the file's name must survive a power cut as its contents do
