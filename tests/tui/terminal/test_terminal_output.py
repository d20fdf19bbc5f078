"""A terminal that stops reading stops nobody."""

from __future__ import annotations

import os
import select
import threading
import time

from chatterm.tui.terminal import output
from chatterm.tui.terminal.output import Output

LIMIT = 1 << 15


def frame(number: int) -> str:
    """A drawing, other than the one before."""
    return "\x1b[1;1H" + f"{number:900}"


class Stuck:
    """A pipe that nobody reads, until it is asked to."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.writing, False)
        self.caught_up = threading.Event()
        self.output = Output(self.writing, "utf-8", lambda: LIMIT, self.caught_up.set)
        self.output.start()

    def fill(self, frames: int) -> None:
        for number in range(frames):
            self.output.write(frame(number))

    def take_all(self, data: bytes) -> bool:
        """Whether these bytes come, and before any others."""
        taken = b""
        while len(taken) < len(data) and select.select([self.reading], [], [], 30)[0]:
            taken += os.read(self.reading, len(data) - len(taken))
        return taken == data

    def take(self) -> bytes:
        taken = b""
        while select.select([self.reading], [], [], 0.5)[0]:
            taken += os.read(self.reading, 1 << 16)
        return taken


def test_what_draws_is_thrown_away_and_what_sets_up_is_kept():
    stuck = Stuck()
    stuck.output.write("\x1b[?1049h")
    stuck.fill(2000)  # nearly two megabytes, and it returns
    stuck.output.write("\x1b]52;c;YWJj\x07")
    assert stuck.output._size < LIMIT + len(frame(0))
    taken = stuck.take()
    assert stuck.caught_up.wait(10)
    assert b"\x1b[?1049h" in taken and b"\x1b]52;c;YWJj\x07" in taken
    assert len(taken) < 1_000_000
    stuck.output.write(frame(-1))
    assert stuck.take() == frame(-1).encode()
    assert stuck.output.stop(10)


def test_a_frame_is_written_when_it_is_whole():
    stuck = Stuck()
    begin, end = output.SYNC
    stuck.output.write(begin)
    stuck.output.write(frame(1))
    assert stuck.take() == b""
    stuck.output.write(end)
    assert stuck.take_all(f"{begin}{frame(1)}{end}".encode())
    assert stuck.output.stop(10)


def test_a_frame_of_any_size_is_written():
    stuck = Stuck()
    begin, end = output.SYNC
    large = "\x1b[1;1H" + "x" * (LIMIT + 100)
    for text in (begin, large, end):
        stuck.output.write(text)
    assert stuck.take_all(f"{begin}{large}{end}".encode())
    assert not stuck.caught_up.is_set()
    assert stuck.output.stop(10)


def test_a_frame_that_is_too_much_is_drawn_anew_later():
    stuck = Stuck()
    begin, end = output.SYNC
    stuck.output.write(begin)
    stuck.output.write(frame(1) + "x" * LIMIT)
    stuck.output.write(frame(2))
    assert stuck.caught_up.wait(10)  # before the frame has ended
    stuck.output.write(end)
    stuck.output.write("\x1b]0;title\x07")
    assert stuck.take_all(f"{end}\x1b]0;title\x07".encode())
    assert stuck.output.stop(10)


def test_nothing_waits_behind_a_slow_terminal(monkeypatch):
    monkeypatch.setattr(output, "PATIENCE", -1.0)  # whoever has to be waited for is slow
    stuck = Stuck()
    stuck.output.write("\x1b[1;1H" + "x" * 200_000)  # more than a pipe holds
    while stuck.output._stuck_since is None:
        time.sleep(0.001)
    for number in range(20):
        stuck.output.write(frame(number))
        assert stuck.output._size == 0
    assert len(stuck.take()) == len("\x1b[1;1H") + 200_000
    assert stuck.caught_up.wait(10)
    assert stuck.output.stop(10)


def test_what_is_shown_is_written_again_once_others_changed_it():
    stuck = Stuck()
    for number in (1, 1, 1):
        stuck.output.write(frame(number))
        taken = stuck.take()
    assert taken == b""
    stuck.output.redraw()
    stuck.output.write(frame(1))
    assert stuck.take() == frame(1).encode()
    assert stuck.output.stop(10)


def test_a_stuck_terminal_is_given_up():
    stuck = Stuck()
    stuck.output.write("\x1b]52;c;" + "x" * 1_000_000)  # more than a pipe holds
    assert not stuck.output.stop(0.1)
    stuck.output.give_up()
    stuck.output.join(10)
    assert not stuck.output.is_alive()


def test_a_terminal_that_has_gone_takes_nothing_more():
    stuck = Stuck()
    os.close(stuck.reading)
    stuck.fill(3)
    stuck.output.join(10)
    assert not stuck.output.is_alive()
    stuck.fill(2000)
    assert not stuck.output.stop(0.1)


def test_everything_is_written_in_order():
    stuck = Stuck()
    stuck.output.write("\x1b[?1049h")
    stuck.output.write("\x1b[1;1H苹果")
    stuck.output.write("\x1b[?1049l")
    assert stuck.output.stop(10)
    assert stuck.take().decode() == "\x1b[?1049h\x1b[1;1H苹果\x1b[?1049l"
