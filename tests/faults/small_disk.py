"""A disk of a given size that really gets full, where this user may mount one."""

from __future__ import annotations

import functools
import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from chatterm.library.store import FILE_NAME

_MOUNT = ["mount", "-t", "tmpfs", "-o"]


@functools.cache
def can_mount() -> bool:
    """Whether this user may mount a file system here."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder), 1 << 16):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A disk of `size` bytes at `folder`, as long as the block lasts."""
    subprocess.run([*_MOUNT, f"size={size},mode=0700", "tmpfs", str(folder)], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing can be written below `folder`, not even by root, as long as the block lasts."""
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True, capture_output=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True, capture_output=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def fill(folder: Path, leave: int) -> Path:
    """Fill the disk of `folder` up to its last `leave` bytes; the file that does it."""
    filler = folder / ".filler"
    with filler.open("ab") as file, suppress(OSError):
        while (free := os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize - leave) > 0:
            file.write(bytes(min(free, 1 << 20)))
            file.flush()
    return filler


@contextmanager
def small(folder: Path, numbers: random.Random) -> Iterator[Path]:
    """A library's path on a small disk, where one may be mounted."""
    place = folder / "disk"
    place.mkdir(mode=0o700)
    with ExitStack() as stack:
        if can_mount():
            stack.enter_context(small_disk(place, numbers.randrange(6 << 20, 9 << 20)))
        yield place / FILE_NAME


@contextmanager
def write_protected(folder: Path) -> Iterator[None]:
    if can_mount():
        with read_only(folder):
            yield
        return
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)
