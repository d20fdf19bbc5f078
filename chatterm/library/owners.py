"""Which running program is writing a reply, so that only the replies of dead ones are called interrupted.

Each library that writes replies holds a lock on a file of its own. The operating system drops that lock when
the process ends, however it ends; a process number would be given out again, and means nothing to a process
in another container.
"""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path

_ATTEMPTS = 10


def try_lock(file: int) -> bool:
    """Lock an open file for this program alone; False when another program or library holds the lock."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class Owner:
    """A name that is this library's while it is open, and nobody's ever after."""

    def __init__(self, folder: Path, prefix: str = "") -> None:
        """Take a new name that begins with `prefix` in `folder`, which is made if need be.

        Raises:
            OSError: the folder cannot be written.
        """
        folder.mkdir(mode=0o700, exist_ok=True)
        for _ in range(_ATTEMPTS):
            self.name = prefix + secrets.token_hex(8)
            self._path = folder / self.name
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            # Between these two steps another program may have found the file unlocked and tidied it away.
            if try_lock(self._file) and self._path.exists():
                return
            os.close(self._file)
        raise OSError(f"no lock can be had in {folder}")

    def release(self) -> None:
        """Give the name up."""
        with suppress(OSError):
            self._path.unlink()
        os.close(self._file)


def is_alive(folder: Path, name: str) -> bool:
    """Whether the library that took this name is still open. The file of a dead one is removed."""
    if "/" in name or "\\" in name or name.startswith("."):
        return False
    try:
        file = os.open(folder / name, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError):  # no file, or no name that one could have
        return False
    try:
        if not try_lock(file):
            return True
        with suppress(OSError):
            (folder / name).unlink()
        return False
    finally:
        os.close(file)


def forget_dead(folder: Path) -> None:
    """Remove the files of all that have died, also those that were not writing anything."""
    with suppress(OSError):
        for path in list(folder.iterdir()):
            is_alive(folder, path.name)
