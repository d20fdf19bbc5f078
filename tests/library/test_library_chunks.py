"""Chunks of tokens: exact but for 32-bit numbers, and never trusted."""

from __future__ import annotations

import struct
import zlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatterm.errors import UserError
from chatterm.library import Candidate, Removal, Token, chunks

NUMBERS = st.floats(width=32, allow_nan=False)  # infinities too: a banned token's log-probability
TEXT = st.text(max_size=6)
COUNTS = st.integers(0, 2**40)
STEPS = st.sampled_from(["top_k", "top_p", "min_p", "a step of tomorrow"])
CANDIDATES = st.builds(
    Candidate,
    id=COUNTS,
    text=TEXT,
    logprob=NUMBERS,
    rank=COUNTS,
    sampled=NUMBERS,
    removed_by=st.none() | STEPS,
)
TOKENS = st.builds(
    Token,
    id=COUNTS,
    text=TEXT,
    position=COUNTS,
    logprob=NUMBERS,
    rank=COUNTS,
    sampled=NUMBERS,
    entropy=NUMBERS,
    temperature=st.floats(0, 100),
    kept=COUNTS,
    removed=st.lists(st.builds(Removal, step=STEPS, tokens=COUNTS, mass=NUMBERS), max_size=3).map(tuple),
    candidates=st.lists(CANDIDATES, max_size=4).map(tuple),
    start=st.just(0),
)


@settings(max_examples=50)
@given(st.lists(TOKENS, max_size=8), st.integers(0, 100))
def test_what_was_encoded_is_decoded(tokens: list[Token], start: int) -> None:
    expected, place = [], start
    for token in tokens:
        expected.append(msgspec.structs.replace(token, start=place))
        place += len(token.text)
    assert chunks.decode(chunks.encode(tokens), start) == tuple(expected)


def example() -> bytes:
    candidate = Candidate(1, "a", -1.0, 1, 0.5, "top_k")
    return chunks.encode(
        [Token(1, "a", 0, -1.0, 1, 0.5, 1.0, 0.8, 1, (Removal("top_k", 2, 0.5),), (candidate,))]
    )


@settings(max_examples=100)
@given(st.data())
def test_a_damaged_chunk_is_refused_or_read_but_never_breaks(data: st.DataObject) -> None:
    body = bytearray(zlib.decompress(example()[1:]))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(0, len(body)))] if data.draw(st.booleans()) else body
    try:
        chunks.decode(chunks.FORMAT + zlib.compress(bytes(body)), 0)
    except UserError as error:
        assert "cannot be read" in error.sentence


@pytest.mark.parametrize(
    "chunk",
    [
        b"",
        b"\x02" + example()[1:],
        example()[:-3],
        chunks.FORMAT + b"not zlib",
        chunks.FORMAT + zlib.compress(b"\xc1"),
        chunks.FORMAT + zlib.compress(msgspec.msgpack.encode({"ids": 1})),
        chunks.FORMAT + zlib.compress(b"\xdd" + struct.pack(">I", 2**32 - 1)),
        chunks.FORMAT + zlib.compress(bytes(chunks.MAX_BYTES + 1)),
    ],
    ids=["empty", "format", "cut", "no zlib", "no msgpack", "no array", "huge count", "bomb"],
)
def test_bad_chunks_are_refused_with_a_sentence(chunk: bytes) -> None:
    with pytest.raises(UserError, match="its text is not affected"):
        chunks.decode(chunk, 0)
