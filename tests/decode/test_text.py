"""Stop strings and thinking blocks in streamed text, against the whole text."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatterm.checkpoint.gguf import read_gguf
from chatterm.checkpoint.thinking import ThinkingMarkers
from chatterm.checkpoint.tokenizer import Tokenizer, tokenizer_from_gguf
from chatterm.decode.text import Part, ReplyText, StopMatcher, ThinkingSplitter

THINK = ThinkingMarkers("<think>", "</think>")
chunks = st.lists(st.text("ab\n<", max_size=4), max_size=12)
stops = st.lists(st.text("ab\n<", min_size=1, max_size=4), max_size=3)


@given(chunks=chunks, stop=stops)
def test_text_ends_where_the_first_stop_string_begins(chunks: list[str], stop: list[str]) -> None:
    whole = "".join(chunks)
    matcher = StopMatcher(stop)
    out = ""
    for index, chunk in enumerate(chunks):
        out += matcher.push(chunk)
        seen = "".join(chunks[: index + 1])
        assert seen.startswith(out)
        assert (matcher.found is not None) == any(text in seen for text in stop)
    out += matcher.flush()
    if matcher.found is None:
        assert out == whole
    else:
        assert matcher.found in stop
        assert whole.startswith(out + matcher.found)


@given(text=st.text("ab\n<", max_size=20), stop=stops)
def test_of_stop_strings_that_came_at_once_the_first_counts(text: str, stop: list[str]) -> None:
    matcher = StopMatcher(stop)
    out = matcher.push(text) + matcher.flush()
    assert len(out) == min((text.find(word) for word in stop if word in text), default=len(text))


def test_only_what_could_become_a_stop_string_is_held_back() -> None:
    matcher = StopMatcher(["\nUser:"])
    assert matcher.push("Hello\nUs") == "Hello"
    assert matcher.push("ual") == "\nUsual"
    assert matcher.push("\nUser") == ""
    assert matcher.push(": hm") == ""
    assert matcher.found == "\nUser:"
    assert matcher.push("more") == ""
    assert matcher.flush() == ""


def test_without_stop_strings_nothing_is_held_back() -> None:
    matcher = StopMatcher(["", ""])
    assert matcher.push("any\n") == "any\n"
    assert matcher.flush() == ""


@pytest.fixture(scope="session")
def tokenizer(default_model_path: Path) -> Tokenizer:
    return tokenizer_from_gguf(read_gguf(default_model_path).metadata)


@settings(deadline=None)
@given(text=st.text("ab\n< é苹果🎉👨‍👩‍👧e\u0301مرحبا", max_size=40), stop=stops)
def test_increments_of_a_reply_are_the_reply(tokenizer: Tokenizer, text: str, stop: list[str]) -> None:
    reply = ReplyText(tokenizer, stop)
    out = ""
    for token in tokenizer.encode(text):
        out += reply.push(token)
        if reply.stopped:
            break
    out += reply.flush()
    assert text.startswith(out)
    assert reply.stopped or out == text
    assert not any(word in out for word in stop)


def test_a_stop_string_may_lie_across_tokens_and_in_the_tail(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("Sure.\nUser: what")
    reply = ReplyText(tokenizer, ["\nUser:"])
    assert "".join(map(reply.push, ids)) == "Sure."
    assert reply.stopped == "\nUser:"
    reply = ReplyText(tokenizer, ["\nUser:"])
    half = [*tokenizer.encode("é\nUser"), tokenizer.encode("🎉")[0]]
    assert "".join(map(reply.push, half)) + reply.flush() == "é\nUser\ufffd"


def test_control_tokens_are_no_part_of_a_reply_unless_kept(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("a<|im_start|>b", special=True)
    assert "".join(map(ReplyText(tokenizer).push, ids)) == "ab"
    assert "".join(map(ReplyText(tokenizer, keep={1}).push, ids)) == "a<|im_start|>b"


class TestThinking:
    """Telling thought from answer."""

    @given(cuts=st.lists(st.integers(0, 60), max_size=8))
    def test_however_the_text_is_cut(self, cuts: list[int]) -> None:
        text = "<think>\nhm,\n\n1 < 2\n</think>\n\nYes.\nSo <thin and </think> done"
        places = sorted({0, *(cut for cut in cuts if cut <= len(text)), len(text)})
        pieces = [text[a:b] for a, b in pairwise(places)]
        assert _split(pieces, thinking=False) == ("hm,\n\n1 < 2", "Yes.\nSo <thin and </think> done")

    def test_a_prompt_may_have_opened_the_block(self) -> None:
        assert _split(["hm", "</thi", "nk>ok"], thinking=True) == ("hm", "ok")

    def test_an_unfinished_thought_is_one(self) -> None:
        assert _split(["<think>", "hm </thi"], thinking=False) == ("hm </thi", "")

    def test_text_before_a_block_is_answer(self) -> None:
        assert _split(["Well, <think>hm</think>yes"], thinking=False) == ("hm", "Well, yes")

    def test_without_markers_all_is_answer(self) -> None:
        splitter = ThinkingSplitter(None)
        assert splitter.push("<think>x") == [Part("answer", "<think>x")]
        assert splitter.push("") == []
        assert splitter.flush() == []

    @given(chunks=chunks)
    def test_text_without_blocks_is_let_through(self, chunks: list[str]) -> None:
        assert _split(chunks, thinking=False) == ("", "".join(chunks).lstrip("\n"))


def _split(pieces: list[str], *, thinking: bool) -> tuple[str, str]:
    splitter = ThinkingSplitter(THINK, thinking=thinking)
    parts = [part for piece in pieces for part in splitter.push(piece)] + splitter.flush()
    assert all(part.text for part in parts)
    return (
        "".join(part.text for part in parts if part.kind == "thinking"),
        "".join(part.text for part in parts if part.kind == "answer"),
    )
