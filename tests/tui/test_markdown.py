"""Markdown in cells: what it reads, where it came from, and that growing changes nothing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from chatterm.tui.text.lines import CODE, EMPHASIS, KEYWORD, LINK, STRONG, TITLE, Span
from chatterm.tui.text.markdown import Markdown
from chatterm.tui.text.wrap import wrap

SAMPLE = """# Title here

Some **bold words** and *em* with `code` and a [link](http://x.y/z) then.
这是一个很长的中文句子，好吗？
Second line \\* esc &amp; ok.

- one
- two **b**
  - nested item that is long enough to wrap around
3. three

```python
def f(x):
	return "a" + x  # hi
```

> quote is this
> more

| a | b |
|---|--:|
| 1 | `2` and **more** |
"""


def text(source: str, width: int = 40) -> list[str]:
    return [line.text.rstrip() for line in Markdown(source, width).lines()]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("one\ntwo", ["one", "two"]),
        ("one\n\ntwo", ["one", "", "two"]),
        ("# H\ntext", ["H", "", "text"]),
        ("- a\n- b", ["• a", "• b"]),
        ("- a\n  - b", ["• a", "  ◦ b"]),
        ("- a\n\n- b", ["• a", "", "• b"]),
        ("2. a\n3. b", ["2. a", "3. b"]),
        ("> q\n> r", ["▎ q", "▎ r"]),
        ("```\nx  y\n\nz\n```", [" code  ⧉", " x  y", "", " z"]),
        ("```py\nx\n```", [" py  ⧉", " x"]),
        ("a `b` **c** *d* ~~e~~", ["a b c d e"]),
        ("[w](http://u)", ["w (http://u)"]),
        ("<http://u>", ["http://u"]),
        ("![alt](u)", ["[alt] u"]),
        ("<b>no html</b>", ["<b>no html</b>"]),
        ("a\\*b &lt; c", ["a*b < c"]),
        ("|a|b|\n|-|-|\n|1|2|", ["a    │ b", "─────┼─────", "1    │ 2"]),
        ("***", ["─" * 40]),
        ("", []),
        ("   ", []),
    ],
)
def test_what_it_reads(source, lines):
    assert text(source) == lines


@pytest.mark.parametrize(
    ("source", "words", "style"),
    [
        ("**x**", "x", STRONG),
        ("*x*", "x", EMPHASIS),
        ("`x`", "x", CODE),
        ("[x](y)", "x", LINK),
        ("# x", "x", TITLE),
        ("```python\nreturn\n```", "return", KEYWORD),
    ],
)
def test_styles(source, words, style):
    spans = [span for line in Markdown(source, 40).lines() for span in line.spans]
    assert any(span.text == words and span.style & style for span in spans)


def test_every_character_knows_where_it_came_from():
    for line in Markdown(SAMPLE, 50).lines():
        for span in line.spans:
            if span.offset >= 0:
                assert SAMPLE[span.offset : span.end] == span.text


def test_what_has_no_place_on_the_screen_is_markup():
    spans = [span for line in Markdown(SAMPLE, 50).lines() for span in line.spans if span.offset >= 0]
    shown = {offset for span in spans for offset in range(span.offset, span.end)}
    hidden = "".join(character for place, character in enumerate(SAMPLE) if place not in shown)
    # the link's address and the language are said without offsets, and so are numbers of items and entities;
    # in a code line with a tab the cells are not the characters
    assert set(hidden) <= set("# *`[](http://x.y/z)\\amp;-123.python\n\treturn>|:ax" + '"+# hi')


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_growing_is_the_same_as_laying_out_the_whole(size):
    grown = Markdown("", 50)
    for start in range(0, len(SAMPLE), size):
        grown.append(SAMPLE[start : start + size])
    assert [line.text for line in grown.lines()] == text_of(Markdown(SAMPLE, 50))


def text_of(markdown: Markdown) -> list[str]:
    return [line.text for line in markdown.lines()]


def test_growing_keeps_the_blocks_before():
    grown = Markdown("one\n\ntwo\n\nthr", 50)
    assert grown.append("ee") == 2


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=120), st.integers(8, 60))
def test_no_line_is_wider_than_it_may_be_and_offsets_are_true(source, width):
    markdown = Markdown(source, width)
    for line in markdown.lines():
        assert line.width <= width or len(line.spans) > 3
        for span in line.spans:
            if span.offset >= 0:
                assert markdown.source[span.offset : span.end] == span.text


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab 苹果，。*#`->|\n[]()", max_size=80), st.lists(st.integers(0, 80), max_size=6))
def test_growing_in_any_pieces_never_fails_and_ends_with_the_whole_text(source, cuts):
    grown = Markdown("", 20)
    bounds = [0, *sorted(min(cut, len(source)) for cut in cuts), len(source)]
    for start, end in itertools.pairwise(bounds):
        grown.append(source[start:end])
    assert grown.source == source
    # reference links aside, a block never depends on those before it
    assert "".join(text_of(grown)).replace(" ", "") == "".join(text_of(Markdown(source, 20))).replace(" ", "")


@given(st.text(alphabet="ab 苹果，。é\u0301", max_size=60), st.integers(4, 30))
def test_wrapping_keeps_all_words_in_cells(source, width):
    lines = wrap([Span(source, 0)], width)
    assert all(cell_len(line.text) <= width for line in lines)
    assert "".join(line.text for line in lines).replace(" ", "") == source.replace(" ", "")


def test_a_pathological_reply_is_laid_out_all_the_same():
    for source in (
        ">" * 2000,
        "- " * 500 + "x",
        "*" * 3000,
        "[" * 2000,
        "`" * 999,
        "|" * 500 + "\n" + "|-" * 250,
    ):
        assert Markdown(source, 40).lines() is not None
