"""Texts that are longer than any reply, or take longer than any should, are shown as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from chatterm import allowance, inert
from chatterm.allowance import Allowance
from chatterm.chat.turns import Turn
from chatterm.records.inspection.scores import ScoredToken
from chatterm.tui.screens.chat import reply_clock
from chatterm.tui.screens.chat.reply_clock import LONGEST_REST, SHARE, DrawingShare
from chatterm.tui.text import markdown as module
from chatterm.tui.text.code import code_blocks
from chatterm.tui.text.markdown import LONGEST, Markdown, plain
from chatterm.tui.text.plain_text import MOST, PIECE
from chatterm.tui.widgets import turn_view
from chatterm.tui.widgets.turn_view import TurnView
from tests.tui.text.counted import calls

PARAGRAPH = "Some **bold** words.\n\n"


def texts(markdown: Markdown) -> list[str]:
    return [line.text.rstrip() for line in markdown.lines()]


def assert_true_offsets(markdown: Markdown) -> None:
    for line in markdown.lines():
        assert line.width <= markdown.width
        for span in line.spans:
            if span.offset >= 0:
                assert markdown.source[span.offset : span.end] == span.text


def test_what_is_behind_the_longest_message_is_shown_as_it_is_written():
    source = PARAGRAPH * (LONGEST // len(PARAGRAPH) + 3)
    lines = texts(Markdown(source, 80))
    assert lines[:2] == ["Some bold words.", ""]
    assert lines[-2:] == ["Some **bold** words.", ""]
    assert_true_offsets(Markdown(source, 80))


@pytest.mark.parametrize("letter", ["x", "漢", "e\u0301", "a\n", "x y ", "\U0001f469\u200d"])
def test_a_text_of_one_long_line_is_cut_into_lines(letter):
    markdown = Markdown(letter * (LONGEST + 9), 40)
    assert_true_offsets(markdown)
    shown = "".join(span.text for line in markdown.lines() for span in line.spans)
    assert shown == markdown.source[:MOST].replace("\n", "")


@pytest.mark.parametrize("line", ["word " * 30 + "\n", "漢字" * 50 + "\n", "x" * 977])
def test_a_long_text_grows_as_it_is_laid_out_whole(line):
    source = line * ((LONGEST + 3 * PIECE) // len(line))
    grown = Markdown(source[: LONGEST - 500], 60)
    for start in range(LONGEST - 500, len(source), 501):
        grown.append(source[start : start + 501])
    assert texts(grown) == texts(Markdown(source, 60))
    assert_true_offsets(grown)


def test_a_long_text_grows_at_the_price_of_its_last_piece():
    grown = Markdown("x" * (3 * LONGEST - 9), 60)
    blocks = len(grown.blocks)
    assert calls(lambda: grown.append("y")) < 2000
    assert len(grown.blocks) == blocks and grown.lines()[-1].text.endswith("xy")


def test_a_token_of_megabytes_is_cut_where_tokens_are_listed():
    assert inert.token("x" * 10**6) == "x" * inert.LONGEST_TOKEN + "…"
    assert inert.token("x y") == "x·y"


def test_a_token_of_megabytes_is_cut_into_lines_among_all_tokens(monkeypatch):
    measured: list[int] = []
    monkeypatch.setattr(turn_view, "cell_len", lambda text: measured.append(len(text)) or cell_len(text))
    token = ScoredToken(7, "x" * 200_000, None, None, None)
    view = TurnView(Turn("context", token.text, given=[token], starts=[0], ends=[200_000]), 42)
    assert [len(line.text) for line in view.body] == [40] * 5000
    assert sum(measured) < 4 * len(token.text)


def test_more_than_anybody_reads_is_counted_and_not_shown():
    grown = Markdown("x" * (MOST + 1), 60)
    assert texts(grown)[-1] == "… 1 more character"
    grown.append("y" * 1233)
    assert texts(grown)[-1] == "… 1,234 more characters"
    assert calls(lambda: Markdown("x" * 3 * MOST, 60)) < 400_000
    assert plain("x" * (MOST + 2), 60)[-1].text == "… 2 more characters"


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(allowance, "IDLE_SHARE", 0.0)
    monkeypatch.setattr(module, "ALLOWANCE", Allowance(0.0, 0.0))
    monkeypatch.setattr("chatterm.tui.text.code.ALLOWANCE", Allowance(0.0, 0.0))


def test_what_takes_too_long_is_shown_as_it_is_written(impatient):
    source = f"*a*\n\n{PARAGRAPH}```\nx\n```\n"
    markdown = Markdown(source, 80)
    assert texts(markdown) == source.removesuffix("\n").split("\n")
    assert_true_offsets(markdown)
    assert code_blocks(source) == []
    markdown.append("*b*")
    assert texts(markdown) == [*source.removesuffix("\n").split("\n"), "*b*"]


def test_what_was_laid_out_before_stays_as_it_is(monkeypatch):
    markdown = Markdown("*a*\n\n*b*", 80)
    monkeypatch.setattr(allowance, "IDLE_SHARE", 0.0)
    monkeypatch.setattr(module, "ALLOWANCE", Allowance(0.0, 0.0))
    assert markdown.append(" *c*") == 1
    assert texts(markdown) == ["a", "", "*b* *c*"]


def test_an_endless_rule_is_broken_off(monkeypatch):
    def endless(*_: object) -> None:
        while True:
            pass

    monkeypatch.setattr(module, "ALLOWANCE", Allowance(0.1, 0.0))
    monkeypatch.setattr(module, "inline_spans", endless)
    assert texts(Markdown("*a*", 80)) == ["*a*"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 80), max_size=6))
def test_an_answer_that_follows_thinking_grows_as_it_is_laid_out_whole(cuts):
    text = "<think>so *much*\nto think</think> \n\n# An *answer*\n\n- of\n- two parts\n\nand an end"
    turn = Turn("assistant", "", live=True)
    view = TurnView(turn, 40, unfolded=True)
    for cut in [*sorted(cuts), len(text)]:
        turn.text = text[:cut]
        view.update()
    whole = TurnView(Turn("assistant", text, live=True), 40, unfolded=True)
    assert [line.text for line in view.body] == [line.text for line in whole.body]


def test_a_long_answer_that_follows_thinking_grows_at_the_price_of_its_last_block():
    turn = Turn("assistant", "<think>a</think>" + PARAGRAPH * 400, live=True)
    view = TurnView(turn, 80)
    turn.text += "and"
    assert calls(view.update) < 20_000


def test_a_drawing_is_paid_for_by_rest_however_long_it_took(monkeypatch):
    now, worked = 0.0, 0.0
    monkeypatch.setattr(reply_clock, "monotonic", lambda: now)
    monkeypatch.setattr(reply_clock, "process_time", lambda: worked)
    share = DrawingShare()
    with share.drawing():
        worked = 3.0
    for now, worked, may in (  # noqa: B007
        (3.0, 3.0, False),
        (3.0 + LONGEST_REST, 3.0, False),
        (3.0 / SHARE + 0.01, 3.0, True),
        (3.0 / SHARE + 0.01, 9.0, True),  # somebody types
    ):
        assert share.is_paid is may
    now, worked = 0.0, 0.0
    with share.drawing():
        worked = 0.01
    now, worked = LONGEST_REST, 9.0
    assert share.is_paid
