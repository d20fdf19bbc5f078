"""What is left out of a drawing is what the terminal shows already."""

from __future__ import annotations

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from chatterm.tui.terminal.frames import Frames

RED, PLAIN = "\x1b[31;40m", "\x1b[0m"
ROW = f"\x1b[2;1H{RED}one{PLAIN}{RED} two{PLAIN}{PLAIN}\n"


def test_a_style_is_set_once():
    assert Frames().changed(ROW) == "\x1b[2;1H\x1b[31;40mone two\x1b[0m"


def test_a_row_that_is_shown_is_left_out_and_the_cursor_still_placed():
    frames = Frames()
    frames.changed(ROW)
    assert frames.changed(ROW + "\x1b[3;1Hmore\x1b[7;4H") == "\x1b[3;1Hmore\x1b[7;4H"
    assert frames.changed(ROW + "\x1b[7;4H") == "\x1b[7;4H"


def test_what_was_written_over_is_written_again():
    frames = Frames()
    frames.changed("\x1b[2;1H苹果苹果")
    frames.changed("\x1b[2;4Hx")  # on the second half of a sign
    assert "苹果" in frames.changed("\x1b[2;1H苹果苹果")


def test_what_stands_to_the_right_of_a_change_is_not_relied_on():
    frames = Frames()
    frames.changed("\x1b[2;1Hleft\x1b[2;9Hright")
    frames.changed("\x1b[2;1H\U0001f468\u200d\U0001f469")  # one sign here, two in many terminals
    assert "right" in frames.changed("\x1b[2;9Hright")


def test_what_stands_to_the_left_of_a_change_is():
    frames = Frames()
    frames.changed("\x1b[2;1Hleft\x1b[2;9Hright")
    frames.changed("\x1b[2;9Hother")
    assert frames.changed("\x1b[2;1Hleft") == ""


def test_an_emptied_screen_shows_nothing():
    frames = Frames()
    for empties in ("\x1b[2J", "\x1b[?1049h", "\x1b[?25l\x1b[?1047h"):
        frames.changed(ROW)
        assert frames.passes(empties) == empties
        assert "one" in frames.changed(ROW)


def test_what_is_more_than_text_and_styles_passes():
    drawing = "\x1b[2;1H\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\"
    frames = Frames()
    frames.changed(ROW)
    assert frames.changed(drawing) == drawing
    assert frames.changed(drawing) == drawing
    assert "one" in frames.changed(ROW)


styles = st.sampled_from(["", "\x1b[1;31m", "\x1b[0m", "\x1b[38;2;1;2;3;48;2;7;7;7m", "\x1b[7m"])
words = st.sampled_from(["a", "bb", "苹", "果 ", "    ", "·", ""])
runs = st.lists(st.builds("{}{}\x1b[0m".format, styles, words), max_size=3).map("".join)
pieces = st.builds("\x1b[{};{}H{}\n".format, st.integers(1, 3), st.integers(1, 9), runs)
drawings = st.lists(pieces, min_size=1, max_size=4).map("".join)


@given(st.lists(st.tuples(drawings, st.integers(1, 3), st.integers(1, 20)), max_size=12))
def test_the_screen_is_the_same_as_if_everything_had_been_written(frames):
    whole, changed = pyte.Screen(20, 4), pyte.Screen(20, 4)
    streams = pyte.Stream(whole), pyte.Stream(changed)
    known = Frames()
    for drawing, row, column in frames:
        text = f"{drawing}\x1b[{row};{column}H"
        needed = known.changed(text)
        assert len(needed) <= len(text)
        streams[0].feed(text)
        streams[1].feed(needed)
        for y in range(4):
            for x in range(20):
                assert whole.buffer[y][x] == changed.buffer[y][x], (y, x)
        assert (whole.cursor.x, whole.cursor.y) == (changed.cursor.x, changed.cursor.y)


@pytest.mark.parametrize("token", ["◌\u093f", "👩\u200d👧", "☁\ufe0f", "\U0001f9cc", "한", "क्षि", "a\u0301"])
def test_what_stands_behind_a_sign_that_terminals_draw_differently_stands_where_it_should(token):
    screen = pyte.Screen(20, 2)
    terminal = pyte.Stream(screen)
    end = 1 + cell_len(token)
    terminal.feed("\x1b[1;1H" + "#" * 20)
    terminal.feed(Frames().changed(f"\x1b[1;1H|{token}|"))
    row = "".join(screen.buffer[0][x].data for x in range(20))
    assert screen.buffer[0][0].data == "|" and screen.buffer[0][end].data == "|"
    assert "#" not in "".join(screen.buffer[0][x].data for x in range(1, end)), row


def test_what_every_terminal_draws_alike_is_written_as_it_is():
    words = "plain, ä, Я, 苹果，한국 ⏎·▶█▏ …"
    assert Frames().changed(f"\x1b[1;1H{words}") == f"\x1b[1;1H{words}"
