"""What a terminal sends on a bad day."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.message import Message

from chatterm.tui.terminal import alt_keys
from chatterm.tui.terminal.input import FLOOD, FLOOD_PATIENCE, LARGEST_PASTE, PATIENCE, InputReader


def read(*parts: bytes) -> list[Message]:
    reader = InputReader()
    return [message for part in parts for message in reader.feed(part, 0.0)]


def keys(*parts: bytes) -> list[str]:
    return [message.key for message in read(*parts) if isinstance(message, events.Key)]


def pastes(messages: list[Message]) -> list[str]:
    return [message.text for message in messages if isinstance(message, events.Paste)]


def test_keys_are_keys():
    assert keys(b"a\x1b[A\x1b[1;3B\r") == ["a", "up", "alt+down", "enter"]


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        (b"\x1b\r", "alt+enter"),
        (b"\x1b\n", "alt+enter"),
        (b"\x1b[27;2;13~", "shift+enter"),
        (b"\x1b[27;3;13~", "alt+enter"),
        (b"\x1b[27;5;13~", "ctrl+enter"),
        (b"\x1b[27;5;9~", "ctrl+tab"),
        (b"\x1b[27;3;49~", "alt+1"),
        (b"\x1b[27;5;99~", "ctrl+c"),
        (b"\x1b[27;2;65~", "A"),
        (b"\x1b[27;2;33~", "exclamation_mark"),
        (b"\x1b[27;1;13~", "enter"),
    ],
)
def test_a_key_with_modifiers_is_read_in_the_forms_of_terminals_without_the_kitty_protocol(sent, key):
    alt_keys.read_as_keys()
    for cut in range(1, len(sent) + 1):
        assert keys(b"a", sent[:cut], sent[cut:], b"b") == ["a", key, "b"], cut


def test_a_modified_key_that_does_not_exist_is_left_out():
    assert keys(b"a\x1b[27;2;1114112~b\x1b[27;999;13~")[:2] == ["a", "b"]


def test_a_sign_may_come_in_pieces():
    assert keys("苹果".encode()[:4], "苹果".encode()[4:]) == ["苹", "果"]


def test_a_burst_of_an_input_method_is_typed_sign_by_sign():
    typed = [m.character for m in read("今天天气很好".encode()) if isinstance(m, events.Key)]
    assert typed == list("今天天气很好")


def test_bytes_that_are_no_text_hurt_nobody():
    assert keys(b"a\xff\xfe\xc0b")[::4] == ["a", "b"]


def test_numbers_that_no_key_has_are_left_out():
    assert keys(b"a\x1b[1114112;1ub\x1b[97:65;2uc\x1b[1:2;3ud") == ["a", "b", "c", "d"]


def test_a_marked_paste_is_one_however_it_comes():
    text = "one\rtwo 苹果 \x1b[A"
    whole = b"\x1b[200~" + text.encode() + b"\x1b[201~x"
    for cut in range(2, len(whole)):
        found = read(whole[:cut], whole[cut:])
        assert pastes(found) == [text], cut
        assert isinstance(found[-1], events.Key) and found[-1].key == "x"


def test_a_paste_whose_end_does_not_come_is_taken_after_a_while():
    reader = InputReader()
    assert not [*reader.feed(b"\x1b[200~some text", 10.0)]
    assert not [*reader.tick(10.0 + PATIENCE / 2)]
    assert pastes([*reader.tick(10.0 + PATIENCE)]) == ["some text"]
    assert [m.key for m in reader.feed(b"\x11", 13.0) if isinstance(m, events.Key)] == ["ctrl+q"]


def test_a_long_text_that_is_not_marked_is_a_paste_and_its_line_ends_send_nothing():
    reader = InputReader()
    text = "a line\r" * FLOOD
    assert not [*reader.feed(text.encode(), 0.0)] and not [*reader.feed(b"more", 0.01)]
    assert pastes([*reader.tick(0.01 + FLOOD_PATIENCE)]) == [text + "more"]


def test_a_key_ends_a_long_text():
    found = read(b"x" * FLOOD + b"\x1b[A" + b"y")
    assert pastes(found) == ["x" * FLOOD]
    assert [m.key for m in found if isinstance(m, events.Key)] == ["up", "y"]


def test_late_answers_are_not_typed():
    late = b"\x1b]11;rgb:1111/2222/3333\x1b\\\x1b[?62;22c"
    for cut in range(2, len(late)):
        if late[cut - 1 : cut] != b"\x1b":
            assert keys(late[:cut], late[cut:], b"a") == ["a"], cut


def test_of_mouse_movements_the_last_counts_with_the_way_of_all():
    moves = [m for m in read(b"".join(b"\x1b[<35;%d;3M" % x for x in range(1, 50))) if m]
    assert len(moves) == 1
    assert isinstance(moves[0], events.MouseMove) and (moves[0].x, moves[0].delta_x) == (48, 48)


def test_a_paste_has_a_largest_size():
    reader = InputReader()
    list(reader.feed(b"\x1b[200~", 0.0))
    for _ in range(65):
        list(reader.feed(b"x" * (1 << 20), 0.0))
    (paste,) = pastes([*reader.feed(b"\x1b[201~", 0.0)])
    assert len(paste) == LARGEST_PASTE


@given(st.lists(st.binary(max_size=60), max_size=12))
def test_whatever_comes_the_next_key_is_read(parts):
    reader = InputReader()
    now = 0.0
    for part in parts:
        list(reader.feed(part, now))
        now += 0.01
    list(reader.tick(now + PATIENCE))
    reader._parser._timeout_time = 0.0  # the parser has a clock of its own
    list(reader.tick(now + 2 * PATIENCE))
    found = [m.key for m in reader.feed(b"\x1b[A", now + 3 * PATIENCE) if isinstance(m, events.Key)]
    found += [m.key for m in reader.feed(b"\x11", now + 3 * PATIENCE) if isinstance(m, events.Key)]
    assert found[-1] == "ctrl+q"
