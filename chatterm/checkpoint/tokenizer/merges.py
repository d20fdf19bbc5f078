"""Merges that a file does not state, rebuilt from the scores of its tokens.

A large vocabulary has a million and more places where a token can be cut in two, and each half has to be
looked up, so the halves are compared by 64-bit hashes, all at once. A false match (by chance, one vocabulary
of 262 144 tokens in sixty million has one) would be a merge into a token that does not exist, which
`bpe_model` drops.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from chatterm.errors import UserError

MOST_CUTS = 4_000_000
"""Places where tokens can be cut in two: each takes a hundred bytes for a moment. Gemma has a third of it."""

_Integers = npt.NDArray[np.int64]
_Hashes = npt.NDArray[np.uint64]
_BASE = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2⁶⁴
_MIX = 0xBF58476D1CE4E5B9


def merges_from_scores(scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """All pairs of tokens whose concatenation is a token, the best score of the concatenation first.

    Pairs of equal score stand by the length of the left part, then of the right part, longest first: the
    order in which transformers rebuilds the merges of a SentencePiece model. Tokens that must not take part
    (control tokens, bytes) are left out of `scores` by the caller.

    Raises:
        UserError: the tokens are longer than those of any real model.
    """
    tokens = list(scores)
    lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
    cuts = np.maximum(lengths - 1, 0)  # places where each token can be cut
    if cuts.sum() == 0:
        return []
    if cuts.sum() > MOST_CUTS:
        raise UserError(
            f"The tokens have {lengths.sum()} characters, more than in any real model; it is damaged."
        )
    ends = np.cumsum(lengths)
    starts = ends - lengths
    text = _TextHashes("".join(tokens))
    lookup = _Lookup(text.of(starts, ends))

    whole = np.repeat(np.arange(len(tokens)), cuts)
    left_length = np.arange(len(whole)) - np.repeat(np.cumsum(cuts) - cuts, cuts) + 1
    left = lookup.find(text.of(starts[whole], starts[whole] + left_length))
    known = left >= 0
    whole, left, left_length = whole[known], left[known], left_length[known]
    right = lookup.find(text.of(starts[whole] + left_length, ends[whole]))
    known = right >= 0
    whole, left, right = whole[known], left[known], right[known]

    score = np.fromiter(scores.values(), np.float64, len(tokens))
    order = np.lexsort((-lengths[right], -lengths[left], -score[whole]))
    first, second = (map(tokens.__getitem__, side[order].tolist()) for side in (left, right))
    return list(zip(first, second, strict=True))


class _TextHashes:
    """Hashes of any part of a text: Σ mixed(code point) · baseⁱ, counted from where the part begins."""

    def __init__(self, text: str) -> None:
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
        mixed = (points + np.uint64(1)) * np.uint64(_MIX)
        mixed ^= mixed >> np.uint64(31)
        powers = _powers(_BASE, len(points))
        self._sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed * powers[:-1], dtype=np.uint64)])
        self._inverses = _powers(pow(_BASE, -1, 1 << 64), len(points))

    def of(self, starts: _Integers, ends: _Integers) -> _Hashes:
        """The hash of every part `[start, end)`."""
        result: _Hashes = (self._sums[ends] - self._sums[starts]) * self._inverses[starts]
        return result


def _powers(base: int, count: int) -> _Hashes:
    """1, base, base² … base^count, modulo 2⁶⁴."""
    factors = np.full(count + 1, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)


class _Lookup:
    """Finds which of some hashes others equal."""

    def __init__(self, hashes: _Hashes) -> None:
        self._order = np.argsort(hashes, kind="stable")
        self._sorted = hashes[self._order]

    def find(self, wanted: _Hashes) -> _Integers:
        """The index of each hash, or -1."""
        order = np.argsort(wanted)  # in order, neighbours are found in the same lines of the cache
        place = np.empty_like(order)
        place[order] = np.searchsorted(self._sorted, wanted[order])
        place = np.minimum(place, len(self._sorted) - 1)
        return np.where(self._sorted[place] == wanted, self._order[place], -1)
