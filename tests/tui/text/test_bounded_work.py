"""What a text costs to lay out grows with its length, whatever it says: work is counted, never timed."""

from __future__ import annotations

import pytest

from chatterm.tui.text.markdown import Markdown
from tests.tui.text.counted import grows_with_its_length


def repeated(piece: str):
    return lambda size: (piece * (size // len(piece) + 1))[:size]


def lay_out(text: str) -> Markdown:
    return Markdown(text, 100)


@pytest.mark.parametrize(
    "piece",
    [
        *("\\[a\n", "- \\[a\n", "> \\[a\n", "$$a\n", "- $$a\n", "1. $$a\n", "\\(a ", "$a ", "[a]"),
        *(
            "![a](b) ",
            "[",
            "*a ",
            "_a*",
            "**",
            "`a``",
            "<a",
            "&a",
            "> a\n",
            "- a\n",
            "|a|\n|-|\n>\n",
            "a|b\n-|-\n",
        ),
        *(
            "#",
            "# a\n",
            "> ",
            "- ",
            "~~a ",
            "a\n=\n",
            "[a]: b\n",
            "```\n",
            "\\",
            "a   \n",
            "é\u0301",
            "\u200d",
        ),
    ],
)
def test_twice_the_text_is_twice_the_work(piece):
    assert grows_with_its_length(lay_out, repeated(piece), 6000)


def text(source: str) -> list[str]:
    return [line.text.rstrip() for line in lay_out(source).lines()]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("\\[a\n\\[b\n\\]", ["[a", "", "   b"]),
        ("\\[\na\n\\]", ["   a"]),
        ("$$a\n$$b\n$$", ["ab", "$$"]),
        ("$$\na\n$$", ["   a"]),
        ("- $$\n  a\n  $$\n- b", ["•    a", "• b"]),
        ("- \\[ a \\]\n- \\[\n  b\n  \\]", ["•    a", "", "•    b"]),
        ("\\( a \\( b", ["( a ( b"]),
        ("[x \\( y](u) \\(b", ["x ( y (u) (b"]),
        ("\\( *a \\( b* \\)", ["*a \\( b*"]),
    ],
)
def test_no_formula_begins_within_another(source, lines):
    assert text(source) == lines
