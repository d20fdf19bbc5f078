"""The disk side of a download: room, one process at a time, and a name only for what is whole."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from chatterm import paths
from chatterm.checkpoint.fetch.progress import Meter
from chatterm.errors import UserError
from chatterm.paths import make_private

UNFINISHED = ".unfinished"
"""Hidden folder beside the checkpoints in which downloads grow; nothing in it is taken for a checkpoint."""

SPARE_BYTES = 64 << 20


def in_words(size: float) -> str:
    """`269 MB`, `3.4 GB`: sizes as a person reads them, in powers of ten."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def make_room(folder: Path, needed: int, what: str) -> None:
    """Raise a `UserError` where a folder's disk has not the room for `needed` more bytes and a little air."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise UserError(
            f"{what} needs {in_words(needed + SPARE_BYTES)} of free disk, and {folder} has {in_words(free)}; "
            "make room, or set CHATTERM_MODELS to a folder on another disk."
        )


@contextlib.contextmanager
def workplace(models: Path, name: str, meter: Meter) -> Iterator[Path]:
    """A folder for one download, which no other process uses at the same time.

    What a download leaves in it stays for the next one. The lock dies with the process that holds it.

    Raises:
        FetchStoppedError: the person stopped waiting for the other process.
        UserError: the folder cannot be written to.
    """
    from filelock import FileLock, Timeout

    safe = name.replace("/", "--")
    folder = models / UNFINISHED / safe
    try:
        make_private(folder)
        lock = FileLock(models / UNFINISHED / f"{safe}.lock", mode=0o600)
        while True:
            try:
                lock.acquire(timeout=0.2)
                break
            except Timeout:
                meter.begin(f"waiting for another download of {name}", None)
                meter.check()
    except OSError as error:
        raise UserError(cannot_write(models, error)) from None
    try:
        make_private(folder)  # the one before may have cleared it away
        yield folder
    except OSError as error:
        raise UserError(cannot_write(models, error)) from None
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()  # only if nothing is left in it
        lock.release()


def cannot_write(folder: Path, error: OSError) -> str:
    """The sentence for a disk that does not take what comes."""
    reason = (error.strerror or str(error)).lower()
    return (
        f"Cannot write to {folder} ({reason}); set CHATTERM_MODELS to a folder where there is room to write."
    )


def settle(source: Path, target: Path) -> None:
    """Give a whole file or folder its final name, in one step.

    Where a folder of that name is there already, file by file, the configuration last: without it nobody
    takes the folder for a checkpoint.
    """
    make_private(target.parent)
    if source.is_dir() and target.is_dir():
        names = sorted((path.name for path in source.iterdir()), key=lambda name: name == "config.json")
        (target / "config.json").unlink(missing_ok=True)
        for name in names:
            if (source / name).is_dir() and (target / name).is_dir():
                shutil.rmtree(target / name)
            (source / name).replace(target / name)
    else:
        source.replace(target)
    paths.sync_folder(target.parent)
