"""Whether two stored tensors hold the same bytes."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from chatterm.checkpoint.blocks import Bytes

CHUNK = 1 << 20
SAMPLES = 64
SAMPLE = 4096


class Stored(Protocol):
    """A tensor in a file, of either format."""

    @property
    def type(self) -> object:
        """What its numbers are stored as."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Row-major, outermost first."""

    @property
    def nbytes(self) -> int:
        """Size in the file."""

    @property
    def data(self) -> Bytes:
        """The stored bytes, a view of the memory-mapped file."""


def same(one: Stored, other: Stored, *, thorough: bool = True) -> bool:
    """Whether type, shape and bytes agree.

    Two matrices that were trained apart differ in the first bytes, so only for equal ones everything is read.

    Args:
        one: a tensor.
        other: another.
        thorough: with False, 64 places of 4 KiB spread over them are compared in place of everything.
    """
    if (one.type, one.shape, one.nbytes) != (other.type, other.shape, other.nbytes):
        return False
    left, right = one.data.reshape(-1), other.data.reshape(-1)
    if thorough or len(left) <= SAMPLES * SAMPLE:
        places = range(0, len(left), CHUNK)
        size = CHUNK
    else:
        places = range(0, len(left) - SAMPLE + 1, (len(left) - SAMPLE) // (SAMPLES - 1))
        size = SAMPLE
    return all(np.array_equal(left[at : at + size], right[at : at + size]) for at in places)
