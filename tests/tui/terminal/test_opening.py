"""The terminal before there is an application: held, asked, shown a frame, and given back."""

from __future__ import annotations

import os
import select
import termios
from collections.abc import Iterator

import pytest

from chatterm.tui.terminal import opening
from chatterm.tui.terminal.opening import ENTER, LEAVE, Opening

WHITE = b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\"
ATTRIBUTES = b"\x1b[?62;22c"


class Ends:
    """Both ends of a pseudo-terminal."""

    def __init__(self) -> None:
        self.user, self.program = os.openpty()

    def type(self, data: bytes) -> None:
        os.write(self.user, data)

    def shown(self) -> bytes:
        data = b""
        while select.select([self.user], [], [], 0.05)[0]:
            data += os.read(self.user, 1 << 16)
        return data

    @property
    def settings(self) -> list:
        return termios.tcgetattr(self.program)


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    os.close(ends.user)
    os.close(ends.program)


def test_the_background_is_asked_and_nothing_that_was_typed_is_lost(ends):
    with Opening(ends.program, ends.program) as terminal:
        ends.type(b"be")
        terminal.ask_background()
        ends.type(b"fore\r" + WHITE + "苹果".encode() + ATTRIBUTES + b"\x1b[A")
        assert terminal.is_light(20.0) is True
        assert ends.shown().endswith(b"\x1b]11;?\x1b\\\x1b[c")
        terminal.hand_over()
    assert terminal.typed == b"before\r" + "苹果".encode() + b"\x1b[A"


def test_what_was_typed_before_there_was_anybody_is_kept_and_its_enter_is_one(ends):
    ends.type(b"before\r")
    with Opening(ends.program, ends.program) as terminal:
        terminal.ask_background()
        ends.type(b"and after\n" + ATTRIBUTES)
        terminal.is_light(20.0)
        terminal.hand_over()
    assert terminal.typed == b"before\rand after\n"


def test_an_answer_may_come_in_two_looks(ends):
    with Opening(ends.program, ends.program) as terminal:
        terminal.ask_background()
        ends.type(WHITE[:9])
        assert terminal.is_light(0.0) is None
        ends.type(WHITE[9:] + ATTRIBUTES)
        assert terminal.is_light(20.0) is True
        terminal.hand_over()
    assert terminal.typed == b""


def test_a_terminal_that_says_nothing_is_not_waited_for(ends):
    with Opening(ends.program, ends.program) as terminal:
        assert terminal.is_light(1000.0) is None  # it was not asked
        terminal.ask_background()
        ends.type(b"typed" + WHITE[:5])
        assert terminal.is_light(0.01) is None
        terminal.hand_over()
    assert terminal.typed == b"typed" + WHITE[:5]  # for who reads its rest


def test_what_is_typed_is_neither_echoed_nor_translated(ends):
    with Opening(ends.program, ends.program):
        ends.type(b"a\r\x13\x11\x1a\n")
        assert ends.shown() == b""
        assert os.read(ends.program, 100) == b"a\r\x13\x11\x1a\n"


def test_the_terminal_is_given_back_as_it_was(ends):
    before = ends.settings
    with pytest.raises(SystemExit), Opening(ends.program, ends.program) as terminal:
        assert ends.settings != before
        terminal.show("\x1b[1;1Hframe")
        raise SystemExit
    assert ends.settings == before
    assert ends.shown() == f"{ENTER}\x1b[1;1Hframe{LEAVE}".encode()


def test_a_terminal_that_shows_nothing_new_is_left_alone(ends):
    before = ends.settings
    with Opening(ends.program, ends.program):
        pass
    assert ends.settings == before
    assert ends.shown() == b""


def test_who_takes_it_over_gives_it_back(ends):
    before = ends.settings
    with Opening(ends.program, ends.program) as terminal:
        terminal.show("frame")
        terminal.hand_over()
    assert terminal.has_entered
    assert terminal.before == before
    assert ends.settings != before
    assert ends.shown() == f"{ENTER}frame".encode()


def test_a_terminal_that_takes_nothing_holds_nobody_up(ends, monkeypatch):
    monkeypatch.setattr(opening, "SLOW", 0.01)
    with Opening(ends.program, ends.program) as terminal:
        terminal.show("x" * (1 << 20))
    assert 0 < len(ends.shown()) < 1 << 20


def test_without_a_terminal_nothing_happens():
    reading, writing = os.pipe()
    try:
        with Opening(reading, writing) as terminal:
            terminal.ask_background()
            os.write(writing, b"typed")
            assert terminal.is_light(0.01) is None
            terminal.show("frame")
        assert terminal.before is None
    finally:
        os.close(reading)
        os.close(writing)
