"""Simple text is broken into lines as any other is, only faster."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import split_graphemes

from chatterm.tui.text import wrap as wrapping
from chatterm.tui.text.lines import DECORATION, STRONG, Span
from chatterm.tui.text.wrap import wrap

SPANS = st.lists(
    st.tuples(st.text(st.sampled_from(" \n\tab.,)(“—é"), max_size=60), st.booleans(), st.booleans()),
    max_size=4,
)


@given(SPANS, st.integers(0, 24), st.integers(0, 3), st.integers(0, 9))
@example([("a word " * 9, False, False)], 10, 0, 0)
@example([("aaaaaaaaaaaa    ", False, False), ("b", True, False)], 8, 0, 5)
@example([("a\n\n", False, False)], 8, 0, 0)
@example([], 8, 1, 1)
def test_simple_text_is_broken_as_any_other_is(pieces, width, first, rest):
    spans, offset = [], 0
    for text, strong, foreign in pieces:
        spans.append(Span(text, DECORATION if foreign else offset, STRONG if strong else 0))
        offset += len(text)
    arguments = (width, [Span("1" * first)], [Span("2" * rest)])
    found = wrap(spans, *arguments)
    with (
        patch.object(wrapping, "_simple", side_effect=AssertionError),
        patch.object(wrapping, "all", lambda _: False, create=True),
    ):
        assert found == wrap(spans, *arguments)


def test_each_simple_character_has_a_cell_of_its_own():
    simple = [chr(code) for code in range(0x3000) if wrapping._SIMPLE.fullmatch(chr(code)) and code != 10]
    assert len(simple) > 500
    for character in simple:
        text = f"e{character}{character}—"
        assert split_graphemes(text) == ([(place, place + 1, 1) for place in range(4)], 4), ascii(character)


def test_a_newline_behind_any_character_ends_the_line():
    for text in ("a\nb", "é\nb", "果\nb", "🙂\n\nb", "”\nb"):
        lines = wrap([Span(text, 0)], 20)
        assert [line.text for line in lines] == text.split("\n")
        assert lines[-1].bounds() == (len(text) - 1, len(text) - 1)
