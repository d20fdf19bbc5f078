"""The memory in which a checkpoint's files lie mapped: asked for ahead, and given back when it has been read.

A mapped page stays with the process that has looked at it, so a file of four gigabytes that is copied into
another form would stand in memory twice until the last of it is done. What is given back is read again from
the file if somebody looks at it again.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from chatterm.checkpoint.blocks import Bytes


@dataclass(frozen=True)
class _File:
    map: mmap.mmap
    start: int  # address of its first byte
    size: int


class Pages:
    """The pages of some mapped files, found by their address."""

    def __init__(self, parts: Iterable[Bytes]) -> None:
        """`parts` are bytes of the files; those that are no view of a mapped one do not count."""
        maps = {id(found): found for part in parts if (found := _mapping(part)) is not None}
        self._files = [
            _File(found, np.frombuffer(found, np.uint8).ctypes.data, len(found)) for found in maps.values()
        ]

    def give_back(self, address: int, size: int) -> None:
        """The memory of so many bytes from there on was read; addresses outside of the files are ignored."""
        self._advise("MADV_DONTNEED", address, size)

    def fetch(self, address: int, size: int) -> None:
        """So many bytes from there on are wanted soon, so that the disk can be read beside other work."""
        self._advise("MADV_WILLNEED", address, size)

    def give_all_back(self) -> None:
        """Nothing of the files is needed any more."""
        for file in self._files:
            self.give_back(file.start, file.size)

    def _advise(self, what: str, address: int, size: int) -> None:
        advice = getattr(mmap, what, None)
        file = next((file for file in self._files if 0 <= address - file.start < file.size), None)
        if advice is None or file is None or size <= 0:
            return
        offset = address - file.start
        begin = offset - offset % mmap.PAGESIZE
        end = min(offset + size, file.size)
        if end > begin:
            file.map.madvise(advice, begin, end - begin)


def _mapping(part: Bytes) -> mmap.mmap | None:
    base: object = part
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    return base if isinstance(base, mmap.mmap) else None
