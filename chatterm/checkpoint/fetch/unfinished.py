"""Downloads that are not finished: a note beside each says what it was to become, so that it can go on."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from chatterm import inert
from chatterm.checkpoint.fetch.storage import UNFINISHED
from chatterm.checkpoint.folders import entries
from chatterm.errors import UserError
from chatterm.paths import first_bytes, write_private
from chatterm.records.supply import Unfinished

MAX_BYTES = 1 << 20
MOST = 1000


class Note(msgspec.Struct, frozen=True):
    """What a download is to become."""

    name: str  # as it was asked for: `organisation/name:Q4_K_M`
    source: str  # the repository
    total: int  # bytes
    files: tuple[str, ...] = ()


def write_note(folder: Path, note: Note) -> None:
    """Say what the download that grows in `folder` is to become."""
    with contextlib.suppress(OSError):
        write_private(_note(folder), msgspec.json.encode(note))


def forget_note(folder: Path) -> None:
    """The download is finished, or given up."""
    _note(folder).unlink(missing_ok=True)


@contextlib.contextmanager
def noted(folder: Path, note: Note) -> Iterator[None]:
    """Keep a note beside `folder` while a download grows in it, and afterwards if anything of it is left."""
    write_note(folder, note)
    try:
        yield
    finally:
        for part in entries(folder):
            if part.is_file() and not _size(part):
                part.unlink()
        if not any(_size(part) for part in entries(folder)):
            forget_note(folder)


def unfinished(models: Path) -> list[Unfinished]:
    """All downloads into `models` that began and did not end, by name."""
    root = models / UNFINISHED
    there = entries(root)[:MOST]
    keys = {path.name for path in there if path.is_dir() and not path.is_symlink()}
    keys |= {path.name.removesuffix(".json") for path in there if path.name.endswith(".json")}
    found = []
    for key in sorted(keys):
        note = _read(_note(root / key))
        done = sum(_size(path) for path in entries(root / key))
        is_running = _is_locked(root, key)
        if done or is_running:  # of what has not begun there is nothing to go on with
            found.append(
                Unfinished(
                    key=key,
                    name=inert.line(note.name[:300]) if note is not None else "",
                    done=done,
                    total=note.total if note is not None else None,
                    is_running=is_running,
                )
            )
    return found


def discard(models: Path, key: str) -> int:
    """Delete what has come of a download; the bytes that this frees.

    Raises:
        UserError: there is no such download, it is running, or the disk does not let go of it.
    """
    from filelock import FileLock, Timeout

    root = models / UNFINISHED
    if key not in {found.key for found in unfinished(models)}:
        raise UserError(f"There is no unfinished download {inert.line(key[:200])}.")
    folder = root / key
    freed = sum(_size(path) for path in entries(folder))
    try:
        with FileLock(root / f"{key}.lock", mode=0o600).acquire(timeout=2.0):
            if folder.is_dir():
                shutil.rmtree(folder)
            forget_note(folder)
    except Timeout:
        raise UserError("Another process is downloading this now; stop it there first.") from None
    except OSError as error:
        raise UserError(f"{folder} cannot be deleted ({error.strerror or error}).") from None
    return freed


def _note(folder: Path) -> Path:
    return folder.parent / f"{folder.name}.json"


def _read(file: Path) -> Note | None:
    try:
        note = msgspec.json.decode(first_bytes(file, MAX_BYTES), type=Note)
    except (OSError, msgspec.MsgspecError, RecursionError):
        return None
    return note if note.total >= 0 else None


def _is_locked(root: Path, key: str) -> bool:
    from filelock import FileLock, Timeout

    lock = root / f"{key}.lock"
    if not lock.exists():
        return False
    try:
        with FileLock(lock, mode=0o600).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
