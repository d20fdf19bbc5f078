"""A run of a reply's tokens as the bytes of one database row.

A chunk is a format byte and a zlib stream of one MessagePack array: the tokens by columns, since a column of
like values compresses two to three times better than rows of mixed ones. Numbers that come from the model's
32-bit arithmetic are stored as 32-bit floats.
"""

from __future__ import annotations

import itertools
import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from chatterm.errors import UserError
from chatterm.library.records import Candidate, Removal, Token
from chatterm.library.text import storable

FORMAT = b"\x01"
MAX_BYTES = 64 << 20
"""A chunk that unpacks to more than this is taken for damaged; 1 000 tokens take about 0.4 MB."""


Item = TypeVar("Item")


class _Columns(msgspec.Struct, array_like=True):
    """One entry for every token, then one for every candidate, then one for every removal."""

    steps: list[str]  # the names that `candidate_removed_by` and `removal_steps` count in
    ids: list[int]
    texts: list[str]
    positions: list[int]
    ranks: list[int]
    kept: list[int]
    temperatures: list[float]
    logprobs: bytes
    sampled: bytes
    entropies: bytes
    candidates: list[int]  # how many each token has
    removals: list[int]
    candidate_ids: list[int]
    candidate_texts: list[str]
    candidate_ranks: list[int]
    candidate_logprobs: bytes
    candidate_sampled: bytes
    candidate_removed_by: list[int]  # 0 = kept, n = steps[n - 1]
    removal_steps: list[int]
    removal_tokens: list[int]
    removal_masses: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Columns)


def encode(tokens: Sequence[Token]) -> bytes:
    """The tokens as one chunk. Their `start` is not kept: it follows from the texts."""
    candidates = [candidate for token in tokens for candidate in token.candidates]
    removals = [removal for token in tokens for removal in token.removed]
    names = {c.removed_by for c in candidates if c.removed_by is not None} | {r.step for r in removals}
    steps = sorted(names)
    number = {step: index for index, step in enumerate(steps, 1)}
    columns = _Columns(
        steps=steps,
        ids=[t.id for t in tokens],
        texts=[storable(t.text) for t in tokens],
        positions=[t.position for t in tokens],
        ranks=[t.rank for t in tokens],
        kept=[t.kept for t in tokens],
        temperatures=[t.temperature for t in tokens],
        logprobs=_floats(t.logprob for t in tokens),
        sampled=_floats(t.sampled for t in tokens),
        entropies=_floats(t.entropy for t in tokens),
        candidates=[len(t.candidates) for t in tokens],
        removals=[len(t.removed) for t in tokens],
        candidate_ids=[c.id for c in candidates],
        candidate_texts=[storable(c.text) for c in candidates],
        candidate_ranks=[c.rank for c in candidates],
        candidate_logprobs=_floats(c.logprob for c in candidates),
        candidate_sampled=_floats(c.sampled for c in candidates),
        candidate_removed_by=[number[c.removed_by] if c.removed_by is not None else 0 for c in candidates],
        removal_steps=[number[r.step] for r in removals],
        removal_tokens=[r.tokens for r in removals],
        removal_masses=_floats(r.mass for r in removals),
    )
    return FORMAT + zlib.compress(_encoder.encode(columns), 6)


def decode(chunk: bytes, start: int) -> tuple[Token, ...]:
    """The tokens of a chunk whose first one begins at character `start` of the message.

    Raises:
        UserError: the chunk is damaged or of a format that this version does not know.
    """
    try:
        return tuple(_tokens(_decoder.decode(_unpacked(chunk)), start))
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError, zlib.error) as error:
        raise UserError(
            f"The stored probabilities of this reply cannot be read ({error}); its text is not affected."
        ) from error


def _unpacked(chunk: bytes) -> bytes:
    if chunk[:1] != FORMAT:
        raise ValueError("they are in an unknown format")
    inflate = zlib.decompressobj()
    body = inflate.decompress(chunk[1:], MAX_BYTES)
    if not inflate.eof:
        raise ValueError("they are cut off or too large")
    return body


def _tokens(columns: _Columns, start: int) -> Iterator[Token]:
    candidates = _candidates(columns)
    removals = iter(
        [
            Removal(columns.steps[step - 1], tokens, mass)
            for step, tokens, mass in zip(
                columns.removal_steps, columns.removal_tokens, _numbers(columns.removal_masses), strict=True
            )
        ]
    )
    rows = zip(
        columns.ids,
        columns.texts,
        columns.positions,
        _numbers(columns.logprobs),
        columns.ranks,
        _numbers(columns.sampled),
        _numbers(columns.entropies),
        columns.temperatures,
        columns.kept,
        columns.candidates,
        columns.removals,
        strict=True,
    )
    for (
        id_,
        text,
        position,
        logprob,
        rank,
        sampled,
        entropy,
        temperature,
        kept,
        n_candidates,
        n_removals,
    ) in rows:
        yield Token(
            id=id_,
            text=text,
            position=position,
            logprob=logprob,
            rank=rank,
            sampled=sampled,
            entropy=entropy,
            temperature=temperature,
            kept=kept,
            removed=_next(removals, n_removals),
            candidates=_next(candidates, n_candidates),
            start=start,
        )
        start += len(text)


def _candidates(columns: _Columns) -> Iterator[Candidate]:
    rows = zip(
        columns.candidate_ids,
        columns.candidate_texts,
        _numbers(columns.candidate_logprobs),
        columns.candidate_ranks,
        _numbers(columns.candidate_sampled),
        columns.candidate_removed_by,
        strict=True,
    )
    for id_, text, logprob, rank, sampled, removed_by in rows:
        yield Candidate(
            id_, text, logprob, rank, sampled, columns.steps[removed_by - 1] if removed_by else None
        )


def _next(items: Iterator[Item], count: int) -> tuple[Item, ...]:
    taken = tuple(itertools.islice(items, count))
    if len(taken) != count:
        raise ValueError("a list is too short")
    return taken


def _floats(values: Iterable[float]) -> bytes:
    numbers = array("f", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _numbers(data: bytes) -> array[float]:
    numbers = array("f")
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
