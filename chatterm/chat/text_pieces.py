"""An edited text as pieces: stretches of what it was, and stretches that the user wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Kept(NamedTuple):
    """A stretch of the text as it was given."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """In characters."""
        return self.end - self.start

    def part(self, start: int, end: int) -> Kept:
        """Some of its characters, counted from its first."""
        return Kept(self.start + start, self.start + end)


class Typed(NamedTuple):
    """A stretch that the user wrote."""

    text: str

    @property
    def length(self) -> int:
        """In characters."""
        return len(self.text)

    def part(self, start: int, end: int) -> Typed:
        """Some of its characters."""
        return Typed(self.text[start:end])


Piece = Kept | Typed


def part(pieces: Sequence[Piece], start: int, end: int) -> list[Piece]:
    """The pieces from one offset to another."""
    found: list[Piece] = []
    place = 0
    for piece in pieces:
        size = piece.length
        first, last = max(start - place, 0), min(end - place, size)
        if first < last:
            found.append(piece.part(first, last))
        place += size
    return found


def joined(pieces: Sequence[Piece]) -> list[Piece]:
    """The same without empty pieces, and neighbours that go on from each other as one."""
    found: list[Piece] = []
    for piece in pieces:
        before = found[-1] if found else None
        if isinstance(piece, Typed) and not piece.text:
            continue
        if isinstance(piece, Typed) and isinstance(before, Typed):
            found[-1] = Typed(before.text + piece.text)
        elif isinstance(piece, Kept) and isinstance(before, Kept) and before.end == piece.start:
            found[-1] = Kept(before.start, piece.end)
        else:
            found.append(piece)
    return found


def difference(old: str, new: str, cursor: int | None) -> tuple[int, int, str]:
    """What happened to a text: where, how many characters went, and what came in their place.

    Where it could have been at several places ("aa" to "aaa") the cursor, which stands behind it, decides.
    """
    grown = len(new) - len(old)
    start = None if cursor is None else cursor - max(grown, 0)
    if start is not None and start >= 0:
        removed, put = max(-grown, 0), new[start : start + max(grown, 0)]
        if old[:start] + put + old[start + removed :] == new:
            return start, removed, put
    start = _agreement(old, new)
    tail = _agreement(old[start:][::-1], new[start:][::-1])
    return start, len(old) - start - tail, new[start : len(new) - tail]


def _agreement(one: str, other: str) -> int:
    """How many characters two texts begin with alike; by halves, since slices are compared at once."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
