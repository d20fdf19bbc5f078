"""What discovery saw the last time, so that files that have not changed need not be opened again.

Opening a GGUF file takes a tenth of a second, with a large vocabulary a whole one: too long for a list of
dozens. The memory is a cache in the plain sense: lost, damaged or from another version, it is made anew.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from chatterm.checkpoint.folders import entries
from chatterm.paths import cache_folder, first_bytes, make_private, write_private

MAX_BYTES = 16 << 20
FILE = "discovered.msgpack"

Signature = tuple[tuple[str, int, int], ...]
"""Name, size and time of change of a file, or of each file in a folder."""

Known = TypeVar("Known")


@dataclass
class Seen(Generic[Known]):
    """Known facts by path, each good as long as nothing at that path has changed."""

    kind: type[Known]
    context: str  # what else the facts depend on
    _before: dict[str, tuple[Signature, Known]] = field(default_factory=dict)
    _now: dict[str, tuple[Signature, Known]] = field(default_factory=dict)

    @classmethod
    def load(cls, kind: type[Known], context: str) -> Seen[Known]:
        """What was saved, or nothing."""
        seen = cls(kind, f"{_code()} {context}")
        path = cache_folder() / FILE
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            saved = msgspec.msgpack.decode(
                first_bytes(path, MAX_BYTES),
                type=tuple[str, dict[str, tuple[Signature, kind]]],  # type: ignore[valid-type]
            )
            if saved[0] == seen.context:
                seen._before = saved[1]
        return seen

    def recall(self, path: Path) -> Known | None:
        """What is known of a file or folder, if it is still the same."""
        known = self._before.get(str(path))
        if known is None or known[0] != signature(path):
            return None
        self._now[str(path)] = known
        return known[1]

    def remember(self, path: Path, facts: Known) -> None:
        """Keep what was found out."""
        self._now[str(path)] = (signature(path), facts)

    def save(self) -> None:
        """Write it down if anything is new; whatever was not asked for this time is forgotten."""
        if self._now == self._before:
            return
        content = msgspec.msgpack.encode((self.context, self._now))
        with contextlib.suppress(OSError):
            folder = cache_folder()
            make_private(folder)
            write_private(folder / FILE, content, durable=False)


def signature(path: Path) -> Signature:
    """What changes when a file, or any file in a folder, changes."""
    found = []
    for file in entries(path) or [path]:
        with contextlib.suppress(OSError):
            status = file.stat()
            found.append((file.name, status.st_size, status.st_mtime_ns))
    return tuple(found)


@functools.cache
def _code() -> str:
    """Which code found the facts out: another version, or a changed clone, may see more."""
    return str(max(file.stat().st_mtime_ns for file in Path(__file__).parent.rglob("*.py")))
