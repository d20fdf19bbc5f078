"""Titles, widths and the text that is searched."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatterm.library import title_of
from chatterm.library.text import cells, folded, one_line, shortened, storable

ANY_TEXT = st.text(alphabet=st.characters(), max_size=60)  # lone surrogates too


def width(text: str) -> int:
    return sum(cells(char) for char in text)


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("notes.txt:\n\n```txt\nthe sea\n```\n\nWhat is this about?", "What is this about?"),
        ("notes.txt:\n\n```txt\nthe sea\n```", "notes.txt:"),
        ("Write a haiku about the sea.", "Write a haiku about the sea."),
        ("  \n\n\t hello\nworld", "hello"),
        ("# A **bold** `plan`", "A bold plan"),
        ("> - quoted", "- quoted"),
        ("1. first", "first"),
        ("see [the page](https://example.org/x) now", "see the page now"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("---\nwhat is a rule?", "what is a rule?"),
        ("2 * 3 * 4 = ?", "2 * 3 * 4 = ?"),
        ("snake_case_name is __init__", "snake_case_name is init"),
        ("", ""),
        (" \n--- \n", ""),
        ("\x1b[31mred\x1b[0m\x07", "[31mred [0m"),
        ("a\u202eb\u200bc\u2066", "abc"),
        ("👩\u200d👧 family", "👩\u200d👧 family"),
        ("苹果是水果吗？", "苹果是水果吗？"),
        ("a\ud800b", "a\ufffdb"),
        ("one two three four five six seven eight nine ten", "one two three four five six seven eight…"),
        ("x" * 60, "x" * 39 + "…"),
        ("苹" * 30, "苹" * 19 + "…"),
        ("苹" * 20, "苹" * 20),
    ],
)
def test_titles(message: str, title: str) -> None:
    assert title_of(message) == title


@given(ANY_TEXT)
def test_a_title_fits_and_is_inert(message: str) -> None:
    title = title_of(message)
    assert width(title) <= 40
    title.encode()
    assert all(unicodedata.category(char) not in {"Cc", "Cs"} for char in title)
    assert all(char == "\u200d" or unicodedata.category(char) != "Cf" for char in title)


@given(ANY_TEXT, st.integers(1, 30))
def test_shortened_text_fits_and_is_a_beginning(text: str, columns: int) -> None:
    short = shortened(text, columns)
    assert width(short) <= columns
    if width(text) <= columns:
        assert short == text
    else:
        assert short.endswith("…") and text.startswith(short[:-1])


def test_a_combining_character_is_not_parted_from_its_letter() -> None:
    assert shortened("e\u0301" * 5, 3) == "e\u0301e\u0301…"


@given(ANY_TEXT)
def test_offsets_hold_across_every_change_of_text(text: str) -> None:
    assert len(storable(text)) == len(folded(text)) == len(one_line(text)) == len(text)
    storable(text).encode()
    assert "\0" not in folded(text)


def test_folding() -> None:
    assert folded("ÀÉ Straße İ ΑΩ 苹果") == "àé straße İ αω 苹果"
