"""However the program is left, the terminal is as it was, nobody stays, and what was written is saved."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from abused import AbusedTerminal, modes

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.usefixtures("default_model_path")]

BROKEN = str(Path(__file__).with_name("broken.py"))


def saved(folder: Path) -> list[tuple[str, str]]:
    (file,) = (folder / "data").glob("*.sqlite3")
    with sqlite3.connect(file) as connection:
        return connection.execute("SELECT role, status FROM message ORDER BY id").fetchall()


@pytest.fixture
def begun(tmp_path):
    terminal = AbusedTerminal(tmp_path, modern=True)
    try:
        terminal.begin()
        yield terminal
    finally:
        terminal.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal(begun, tmp_path, number):
    begun.signal(number)
    assert begun.leave() == 128 + number
    begun.read_the_rest()
    begun.assert_as_it_was()
    begun.assert_nobody_is_left()
    assert saved(tmp_path) == [("user", "done"), ("assistant", "stopped")]


def test_the_terminal_is_closed(begun, tmp_path):
    begun.hang_up()
    assert begun.leave(reading=False) == 128 + signal.SIGHUP
    begun.assert_nobody_is_left()
    assert saved(tmp_path) == [("user", "done"), ("assistant", "stopped")]


def test_nobody_reads_what_it_writes(begun, tmp_path):
    import time

    end = time.monotonic() + 1.5
    while time.monotonic() < end:  # whole screens, until the terminal holds no more
        begun.process.setwinsize(30, 91)
        time.sleep(0.05)
        begun.process.setwinsize(30, 90)
        time.sleep(0.05)
    begun.signal(signal.SIGTERM)
    assert begun.leave(reading=False) == 128 + signal.SIGTERM
    begun.read_the_rest()
    begun.assert_as_it_was()
    begun.assert_nobody_is_left()
    assert saved(tmp_path) == [("user", "done"), ("assistant", "stopped")]


def test_a_mistake_in_the_program(tmp_path):
    variables = {"CHATTERM_TEST_MISTAKE": "drawing"}
    terminal = AbusedTerminal(tmp_path, program=[sys.executable, BROKEN], variables=variables)
    try:
        terminal.begin()
        terminal.signal(signal.SIGUSR1)
        assert terminal.leave() == 1
        terminal.read_the_rest()
        terminal.assert_as_it_was()
        terminal.assert_nobody_is_left()
    finally:
        terminal.close()
    last_words = terminal.raw[terminal.raw.rindex(b"\x1b[?1049l") :].decode()
    assert "had to stop" in last_words and "crash.log" in last_words
    assert "what was said is saved" in " ".join(last_words.split())
    assert "Traceback" not in last_words and "\x1b[2J" not in last_words
    assert "Traceback" in (tmp_path / "log" / "crash.log").read_text("utf-8")
    assert saved(tmp_path) == [("user", "done"), ("assistant", "stopped")]


def test_a_shell_puts_it_to_sleep_and_wakes_it(tmp_path):
    chatterm = Path(sys.executable).with_name("chatterm")
    script = f"{chatterm}; stty -a >asleep; echo 'fast asleep'; read go; fg; echo 'left it'"
    terminal = AbusedTerminal(tmp_path, program=["/bin/bash", "--norc", "-mc", f"cd {tmp_path}; {script}"])
    try:
        terminal.wait("is ready")
        (program,) = terminal.children("chatterm")
        os.kill(program.pid, signal.SIGTSTP)
        terminal.wait("fast asleep")
        on, pushed, _pointer = modes(terminal.raw)
        assert on == {7, 25} and pushed == 0
        asleep = (tmp_path / "asleep").read_text()
        assert re.search(r"(?<!-)icanon", asleep) and re.search(r"(?<!-)echo\b", asleep)
        begins = len(terminal.raw)
        terminal.send(b"go\r")
        terminal.wait(lambda _screen: b"\x1b[?1049h" in terminal.raw[begins:])
        terminal.type("awake again")
        terminal.wait("awake again")
        terminal.press("ctrl+q")
        terminal.wait(lambda _screen: b"left it" in terminal.raw[begins:])
        assert terminal.leave() == 0
        terminal.assert_as_it_was()
    finally:
        terminal.close()


def test_no_colour_means_none(tmp_path):
    variables = {"NO_COLOR": "1"}
    terminal = AbusedTerminal(tmp_path, 140, 40, variables=variables)
    try:
        terminal.begin()
        terminal.send(b"\x1bh")  # the list of conversations, with a chosen row
        terminal.wait("search all")
        terminal.send(b"\x1b")
        terminal.wait("F1 keys")  # back in the chat; two keys in one read would be another key
        terminal.send(b"\x1bOS")
        terminal.wait("temperature")
        terminal.send(b"\x11")
        terminal.leave()
        terminal.read_the_rest()
    finally:
        terminal.close()
    colours = [sgr for sgr in re.findall(rb"\x1b\[([\d;]*)m", terminal.raw) if has_colour(sgr)]
    assert not colours
    assert b"\x1b[7m" in terminal.raw or b";7m" in terminal.raw, "what is chosen is reversed"


def has_colour(sgr: bytes) -> bool:
    numbers = {int(number) for number in sgr.split(b";") if number}
    return bool(numbers & {*range(30, 50), *range(90, 108)})


@pytest.mark.parametrize("name", ["dumb", ""])
def test_a_terminal_without_a_cursor_is_refused(tmp_path, name):
    terminal = AbusedTerminal(tmp_path, variables={"TERM": name})
    try:
        assert terminal.leave() == 2
        terminal.read_the_rest()
    finally:
        terminal.close()
    assert b"chatterm ask" in terminal.raw and b"\x1b" not in terminal.raw
