"""What a text costs to lay out grows with its length, whatever it says: work is counted, never timed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatterm.commonmark import MOST_FILLED_CELLS
from chatterm.tui.text.lines import Span
from chatterm.tui.text.markdown import Markdown, parse
from chatterm.tui.text.tables import NARROWEST, Cell, _widths
from tests.tui.text.counted import calls, grows_with_its_length


@pytest.fixture(autouse=True)
def _untimed(monkeypatch):
    """On a busy machine counting takes longer than a text is allowed; what is broken off is not counted."""
    monkeypatch.setattr("chatterm.allowance.timed", lambda: False)


def repeated(piece: str):
    return lambda size: (piece * (size // len(piece) + 1))[:size]


def lay_out(text: str) -> Markdown:
    return Markdown(text, 100)


def head(columns: int) -> str:
    return "|" + "a|" * columns + "\n|" + "-|" * columns + "\n"


@pytest.mark.parametrize(
    "piece",
    [
        *("\\[a\n", "- \\[a\n", "> \\[a\n", "$$a\n", "- $$a\n", "1. $$a\n", "\\(a ", "$a ", "[a](b) ", "[a]"),
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


def test_rows_of_one_letter_under_a_wide_head_are_filled_up_only_so_far():
    bomb = head(250) + "a\n" * 260
    cells = sum(token.type == "td_open" for token in parse(bomb))
    assert cells <= MOST_FILLED_CELLS + 250
    several = (head(50) + "a\n" * 50 + "\n") * 20
    assert sum(token.type == "td_open" for token in parse(several)) <= MOST_FILLED_CELLS + 1000
    assert calls(lambda: lay_out(bomb)) < 500_000
    assert "a\na" in "\n".join(line.text.strip() for line in lay_out(bomb).lines())  # none of it is lost


def test_tables_of_which_nothing_much_is_missing_stay_tables():
    source = head(3) + "|a|b|c|\n" * 400 + "|a|\n" * 20
    assert sum(token.type == "tr_open" for token in parse(source)) == 421


def test_a_high_cell_among_many_columns_is_shown_as_it_is_written():
    source = head(200) + f"|{'b' * 10_000}|\n"
    markdown = lay_out(source)
    assert len(markdown.lines()) < 200
    assert calls(lambda: lay_out(source)) < 500_000
    shown = [span for line in markdown.lines() for span in line.spans if span.offset >= 0]
    assert all(source[span.offset : span.end] == span.text for span in shown)


def test_a_long_cell_is_laid_out_where_there_are_few():
    source = head(3) + f"|{'word ' * 400}|b|c|\n"
    assert any("│" in line.text for line in lay_out(source).lines())


def test_wide_cells_give_way_at_once():
    rows = [[Cell([Span("b" * 1000)], "")] * 100]
    assert calls(lambda: _widths(rows, 400)) < 10_000


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(0, 200))
def test_the_widest_columns_give_way_first(wanted, room):
    widths = [max(NARROWEST, want) for want in wanted]
    while sum(widths) > room and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    assert _widths([[Cell([Span("x" * want)], "") for want in wanted]], room) == widths


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


def test_a_link_whose_words_are_an_address_says_where_it_leads_if_it_is_another():
    evil = "[http://evil.example/x](http://evil.example/x)"
    assert text(f"{evil} and [https://bank.example](http://evil.example/x)") == [
        "http://evil.example/x and https://bank.example (http://evil.example/x)"
    ]
    assert text("[not http://evil.example but https://bank.example](http://evil.example)") == [
        "not http://evil.example but https://bank.example (http://evil.example)"
    ]
    assert text("<http://u> [**http://u**](http://u)") == ["http://u http://u"]
