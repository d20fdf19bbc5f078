"""Small pure parts: bars, numbers, knobs, turns, keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment

from chatterm.chat.turns import Turn, chat_of
from chatterm.records.generation import Message
from chatterm.settings import Settings
from chatterm.tui import keys, themes
from chatterm.tui.app import ChattermApp
from chatterm.tui.text import bars
from chatterm.tui.widgets.knobs import KNOBS, TEMPERATURE


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0, "    "), (1, "████"), (0.5, "██  "), (0.001, "▏   "), (0.15625, "▋   "), (2, "████"), (-1, "    ")],
)
def test_bar(share, shown):
    assert bars.bar(share, 4) == shown


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("the 54.7% to 6.5%", 15, "the 54.7% to …"),
        ("share 0.17%", 10, "share …"),
        ("1 of 12 345", 9, "1 of …"),
        ("rank 12345", 8, "rank …"),
        ("Qwen3-30B-A3B", 8, "Qwen3-3…"),
        ("123456", 4, "123…"),
        ("up to 4.5 tok/s", 11, "up to 4.5 …"),
    ],
)
def test_a_number_that_is_cut_does_not_look_like_another(text, width, cut):
    assert bars.fit(text.replace("12 345", "12\N{NO-BREAK SPACE}345"), width).rstrip() == cut.strip()
    assert cell_len(bars.fit(text, width)) == width


@given(st.floats(0, 1), st.integers(1, 40))
def test_a_bar_has_its_width(share, width):
    assert cell_len(bars.bar(share, width)) == width


@given(st.floats(0, 1))
def test_a_percentage_has_six_cells(share):
    assert len(bars.percent(share)) == 6


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (1, "  100%"),
        (0.9996, "  100%"),
        (0.9994, " 99.9%"),
        (0.612, " 61.2%"),
        (0.0004, " 0.04%"),
        (1e-9, "<.001%"),
        (0, "    0%"),
        (0.00999, "  1.0%"),
    ],
)
def test_percent(share, shown):
    assert bars.percent(share) == shown


@given(st.text(max_size=30), st.integers(0, 20))
def test_fit_has_its_width(text, width):
    assert cell_len(bars.fit(text, width)) == width


@given(st.lists(st.text(max_size=12), max_size=5), st.integers(0, 20))
def test_a_row_is_cut_at_its_edge_only(texts, width):
    row = [Segment(text) for text in texts]
    fitted = bars.fit_row(row, width)
    assert sum(cell_len(segment.text) for segment in fitted) <= max(width, 0)
    if sum(map(cell_len, texts)) <= width:
        assert fitted == row


def test_a_number_at_the_edge_of_a_row_is_whole_or_not_there():
    row = [Segment("head 0.0"), Segment(" 2.97 nats → ·the 17.0%")]
    said = ["".join(segment.text for segment in bars.fit_row(row, width)).rstrip() for width in range(12, 40)]
    assert said[-1].endswith("17.0%") and all(line.endswith(("…", "17.0%")) for line in said)
    assert not any("17…" in line or "2…" in line for line in said)


def test_sizes_and_times():
    assert [bars.size(n) for n in (999, 5_200_000, 98_362_432, 2_400_000_000)] == [
        "999 B", "5.2 MB", "98 MB", "2.4 GB",
    ]  # fmt: skip
    assert [bars.parameters(n) for n in (134_515_008, 1_711_376_384)] == ["135M", "1.7B"]
    assert [bars.duration(s) for s in (8, 90, 4800)] == ["8 s", "2 min", "1 h 20 min"]
    assert bars.count(49152) == "49\u00a0152"


@given(st.sampled_from(KNOBS), st.floats(0, 2), st.integers(-3, 3))
def test_a_turned_knob_is_on_its_grid_and_within_bounds(knob, value, steps):
    turned = knob.turned(value, steps)
    assert knob.low <= turned <= knob.high
    assert abs(turned / knob.step - round(turned / knob.step)) < 1e-6


def test_turning_up_and_down_comes_back():
    value = 0.8
    for _ in range(20):
        value = TEMPERATURE.turned(value, 1)
    for _ in range(20):
        value = TEMPERATURE.turned(value, -1)
    assert value == 0.8


def test_surprise_steps():
    assert [themes.surprise_step(n) for n in (0, 0.5, 1.4, 1.5, 3, 5, 40)] == [0, 1, 1, 2, 3, 4, 4]


def test_auto_follows_the_terminal(monkeypatch):
    known = {"chatterm-dark", "chatterm-light"}
    monkeypatch.setenv("COLORFGBG", "0;15")
    assert themes.choose("auto", known) == "chatterm-light"
    monkeypatch.setenv("COLORFGBG", "15;0")
    assert themes.choose("auto", known) == "chatterm-dark"
    assert themes.choose("no such theme", known) == "chatterm-dark"


def test_what_the_model_is_asked():
    turns = [
        Turn("notice", "hello"),
        Turn("user", "a"),
        Turn("user", "b"),
        Turn("assistant", "c"),
        Turn("assistant", "  "),
        Turn("notice", "x"),
        Turn("user", "d"),
    ]
    assert chat_of(turns, "sys").messages == (
        Message("system", "sys"),
        Message("user", "a\n\nb"),
        Message("assistant", "c"),
        Message("user", "d"),
    )


def test_thinking_is_found():
    assert Turn("assistant", "<think>a</think>b").thought == (0, len("<think>a</think>"))
    assert Turn("assistant", "a</think>b", thinking=True).thought == (0, len("a</think>"))
    assert Turn("assistant", "<think>still").thought == (0, len("<think>still"))
    assert Turn("assistant", "no").thought is None
    assert Turn("user", "<think>a</think>").thought is None


def test_the_documented_keys_are_those_that_work():
    """`docs/keys.md` holds the table; `python -m chatterm.tui.keys` prints it."""
    document = Path(__file__).parents[2] / "docs" / "keys.md"
    assert keys.table() in document.read_text("utf-8")


def test_no_key_means_two_things_in_one_place():
    for scope in set(keys.SCOPES) - {"anywhere"}:
        names = [name for key in (*keys.of(scope), *keys.of("anywhere")) for name in key.keys]
        assert len(names) == len(set(names)), scope


def test_every_key_of_the_table_has_an_action():
    app = ChattermApp(Settings())
    for key in keys.of("chat"):
        assert callable(getattr(app.chat, f"action_{key.action.split('(')[0]}", None))
    for key in keys.of("anywhere"):
        assert hasattr(ChattermApp, f"action_{key.action.removeprefix('app.')}")
