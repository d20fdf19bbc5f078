"""A terminal that stops reading stops nobody."""

from __future__ import annotations

import os
import select
import threading

from chatterm.tui.terminal.output import Output

FRAME = "\x1b[1;1H" + "x" * 900
LIMIT = 1 << 15


class Stuck:
    """A pipe that nobody reads, until it is asked to."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.writing, False)
        self.caught_up = threading.Event()
        self.output = Output(self.writing, "utf-8", lambda: LIMIT, self.caught_up.set)
        self.output.start()

    def fill(self, frames: int) -> None:
        for _ in range(frames):
            self.output.write(FRAME)

    def take(self) -> bytes:
        taken = b""
        while select.select([self.reading], [], [], 1.0)[0]:
            taken += os.read(self.reading, 1 << 16)
        return taken


def test_what_draws_is_thrown_away_and_what_sets_up_is_kept():
    stuck = Stuck()
    stuck.output.write("\x1b[?1049h")
    stuck.fill(2000)  # nearly two megabytes, and it returns
    stuck.output.write("\x1b]52;c;YWJj\x07")
    assert stuck.output._size < LIMIT + len(FRAME)
    taken = stuck.take()
    assert stuck.caught_up.wait(10)
    assert b"\x1b[?1049h" in taken and b"\x1b]52;c;YWJj\x07" in taken
    assert len(taken) < 1_000_000
    stuck.fill(1)
    assert stuck.take() == FRAME.encode()
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
