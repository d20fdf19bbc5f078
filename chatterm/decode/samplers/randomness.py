"""Random numbers that can be asked for in any order: a pure function of (seed, position, purpose, token id).

A generator that is advanced token by token gives different numbers as soon as one thing before it changes.
Here every token id has a number of its own at every position, so that two replies with the same seed make the
same choice wherever their distributions agree.

The numbers are the outputs of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014), whose n-th output is a hash of its state plus n times a constant and can be
computed without the ones before it. (seed, position, purpose) make the state, the token id is n.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

_MASK = 2**64 - 1
_GAMMA = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


class Purpose(IntEnum):
    """What a random number is for; one purpose never sees the numbers of another."""

    DRAW = 1
    XTC = 2


def _mix(value: int) -> int:
    """The finaliser of SplitMix64 on one 64-bit integer."""
    value = ((value ^ (value >> 30)) * _FIRST) & _MASK
    value = ((value ^ (value >> 27)) * _SECOND) & _MASK
    return value ^ (value >> 31)


def _state(seed: int, position: int, purpose: Purpose) -> int:
    state = _mix((seed + _GAMMA) & _MASK)
    state = _mix((state ^ (position & _MASK)) + _GAMMA & _MASK)
    return _mix((state ^ int(purpose)) + _GAMMA & _MASK)


def uniforms(seed: int, position: int, purpose: Purpose, ids: Ids) -> Floats:
    """One number in the open interval (0, 1) for each token id, with a resolution of 52 bits.

    Shape: as `ids`. A token's number does not depend on which other ids are asked for.
    """
    bits = ids.astype(np.uint64)  # arithmetic modulo 2^64 is meant, which arrays do without a word
    bits += np.uint64(1)
    bits *= np.uint64(_GAMMA)
    bits += np.uint64(_state(seed, position, purpose))
    shifted = np.empty_like(bits)
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        bits ^= np.right_shift(bits, np.uint64(shift), out=shifted)
        bits *= np.uint64(factor)
    bits ^= np.right_shift(bits, np.uint64(31), out=shifted)
    bits >>= np.uint64(12)
    numbers = bits.astype(np.float64)
    numbers += 0.5
    numbers *= 2.0**-52
    return numbers


def uniform(seed: int, position: int, purpose: Purpose) -> float:
    """One number in the open interval (0, 1)."""
    return ((_mix((_state(seed, position, purpose) + _GAMMA) & _MASK) >> 12) + 0.5) * 2.0**-52
