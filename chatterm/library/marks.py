"""What the user did to a message besides writing it, as it is stored: MessagePack, NULL where nothing was.

Whatever cannot be read, because a later version wrote it or the disk forgot it, counts as nothing done.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

Ranges = tuple[tuple[int, int], ...]
"""Pairs of first token and the one behind the last, ascending and apart."""

_ids = msgspec.msgpack.Decoder(tuple[int, ...])
_ranges = msgspec.msgpack.Decoder(Ranges)


def stored(value: Sequence[object] | None) -> bytes | None:
    """Token ids or ranges as they are stored."""
    return msgspec.msgpack.encode(value) if value is not None else None


def stored_ranges(ranges: Ranges) -> bytes | None:
    """Ranges as they are stored."""
    return stored(ranges) if ranges else None


def read_ids(found: bytes | None) -> tuple[int, ...] | None:
    """Stored token ids."""
    try:
        return None if found is None else _ids.decode(found)
    except msgspec.MsgspecError:
        return None


def read_ranges(found: bytes | None) -> Ranges:
    """Stored ranges."""
    try:
        return () if found is None else _ranges.decode(found)
    except msgspec.MsgspecError:
        return ()


def first(ranges: Ranges, count: int) -> Ranges:
    """What of the ranges lies in the first `count` tokens."""
    return tuple((start, min(end, count)) for start, end in ranges if start < count)


def are_sound(ranges: Ranges, count: int) -> bool:
    """Whether they are ascending, apart, not empty, and within `count` tokens."""
    end = 0
    for start, stop in ranges:
        if not end <= start < stop <= count:
            return False
        end = stop
    return True
