"""The terminal is resized, stopped, hung up, flooded; the program is told to leave in every way there is."""

from __future__ import annotations

import random
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.campaign import Campaign

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from abused import AbusedTerminal
from terminal import Terminal

BROKEN = str(Path(__file__).parents[1] / "e2e" / "broken.py")
MARK = "still here"
PASTE = 5_000_000
PLAIN_WORDS = re.compile(r"[A-Za-z][A-Za-z ,.'-]{24,}")
"""A line of the reply in which nothing can be markup."""

Abuse = Callable[[AbusedTerminal, random.Random], None]
"""Mistreats the terminal while a reply is being written; the screen may be any that keys lead to."""


def resized(terminal: AbusedTerminal, numbers: random.Random) -> None:
    for _ in range(numbers.randint(4, 25)):
        terminal.resize(*numbers.choice(((1, 1), (2, 40), (300, 80), (20, 5), (80, 24), (1, 200), (160, 2))))
        terminal.read(numbers.choice((0.0, 0.0, 0.01, 0.1, 0.4)))
    terminal.resize(1, 1)
    terminal.read(0.1)
    terminal.resize(90, 30)


def detached(terminal: AbusedTerminal, numbers: random.Random) -> None:
    """Nobody reads what the program writes, for some seconds; whole screens fill what lies between."""
    end = time.monotonic() + numbers.uniform(1, 5)
    while time.monotonic() < end:
        terminal.process.setwinsize(30, 91)
        time.sleep(0.05)
        terminal.process.setwinsize(30, 90)
        time.sleep(0.05)


def suspended(terminal: AbusedTerminal, numbers: random.Random) -> None:
    """Stopped as nobody can prepare for, and woken; and woken though it was not stopped."""
    terminal.signal(signal.SIGSTOP)
    time.sleep(numbers.uniform(0, 0.5))
    terminal.signal(signal.SIGCONT)
    terminal.read(0.2)
    for _ in range(numbers.randint(0, 3)):
        terminal.signal(signal.SIGCONT)
        terminal.read(numbers.uniform(0, 0.1))


def keys_at_random(terminal: AbusedTerminal, numbers: random.Random) -> None:
    leaves = b"\x11"
    keys = [bytes([code]) for code in range(1, 127) if bytes([code]) != leaves]
    keys += [value.encode() for value in Terminal.KEYS.values() if value.encode() != leaves]
    keys += [
        b"\x1b[200~a\x1b[201~",
        b"\t",
        b"\x1b[Z",
        b"\x1b[I",
        b"\x1b[O",
        "苹果".encode(),
        "👩‍👩‍👧".encode(),
    ]
    for _ in range(numbers.randint(20, 60)):
        terminal.send(b"".join(numbers.choices(keys, k=numbers.randint(1, 8))))
        terminal.read(numbers.choice((0.0, 0.0, 0.02)))


def half_sequences(terminal: AbusedTerminal, numbers: random.Random) -> None:
    whole = [
        b"\x1b[1;3A", b"\x1b[<35;10;10M", b"\x1b[48;24;80;480;800t", b"\x1b]11;rgb:0000/0000/0000\x1b\\",
        b"\x1b[?62;22c", b"\x1b[?2026;2$y", b"\x1b[97;5u", b"\x1b[1114112;1u", b"\x1b[97:65;2u",
        b"\x1b[1:2;3u", b"\x1b[48;0;0;0;0t", b"\x1b[48;99999;99999;1;1t", b"\x1bP1$r0m\x1b\\", b"\x1b[12;40R",
    ]  # fmt: skip
    for _ in range(numbers.randint(20, 100)):
        sequence = numbers.choice(whole)
        terminal.send(sequence[: numbers.randint(1, len(sequence))])
        terminal.read(numbers.choice((0.0, 0.0, 0.15)))


def bytes_that_are_no_text(terminal: AbusedTerminal, numbers: random.Random) -> None:
    for _ in range(numbers.randint(5, 50)):
        data = numbers.randbytes(numbers.randint(1, 200)).translate(None, b"\x11\x1b")
        terminal.send(data)
        terminal.read(0.0)
    terminal.send(b"\xe8\x8b")  # half a character


def mouse_flood(terminal: AbusedTerminal, numbers: random.Random) -> None:
    for _ in range(numbers.randint(5, 30)):
        events = []
        for _ in range(200):
            button = numbers.choice((35, 35, 35, 35, 64, 65, 32))
            events.append(b"\x1b[<%d;%d;%dM" % (button, numbers.randint(1, 90), numbers.randint(1, 30)))
        terminal.send(b"".join(events))


def paste_without_end(terminal: AbusedTerminal, numbers: random.Random) -> None:
    terminal.send(b"\x1b[200~" + b"a paste whose end " * numbers.randint(1, 400))
    terminal.read(3.0)


def large_paste(terminal: AbusedTerminal, numbers: random.Random) -> None:
    """Marked as a paste or not; either is folded into an attachment."""
    line = b"words that were pasted, 12345678901234567890\r"
    text = line * (PASTE // len(line))
    terminal.send(b"\x1b[200~" + text + b"\x1b[201~" if numbers.random() < 0.5 else text)
    terminal.wait(lambda screen: "Pasted text" in screen and "lines" in screen, 240)


ABUSES: dict[str, Abuse] = {
    "resized to 1×1 and back": resized,
    "not read for seconds": detached,
    "SIGSTOP and SIGCONT": suspended,
    "random keys": keys_at_random,
    "half escape sequences": half_sequences,
    "invalid UTF-8": bytes_that_are_no_text,
    "mouse flood": mouse_flood,
    "a paste without an end": paste_without_end,
    "5 MB pasted": large_paste,
}
KEEPS_THE_SCREEN = {"resized to 1×1 and back", "not read for seconds", "SIGSTOP and SIGCONT", "5 MB pasted"}
"""After these the chat is on the screen, and a word that is typed is to appear there."""

WAYS = ("ctrl+q", "SIGTERM", "SIGHUP", "SIGINT", "the terminal closed", "SIGTERM, nobody reading")
MISTAKES = ("handler", "drawing", "worker")


def _shown(terminal: AbusedTerminal) -> list[str]:
    """Lines of the reply that can be read on the screen."""
    lines = (line.strip(" │▌") for line in terminal.screen.display)
    return [line for line in lines if PLAIN_WORDS.fullmatch(line)]


def _leave(terminal: AbusedTerminal, way: str) -> int:
    """Make the program leave; the status that it is to leave with."""
    match way:
        case "ctrl+q":
            terminal.read(2.5)  # what was cut off is given up by then, and is not continued by this key
            terminal.send(b"\x11")
            return 0
        case "the terminal closed":
            terminal.hang_up()
            return 128 + signal.SIGHUP
        case "SIGTERM, nobody reading":
            detached(terminal, random.Random(0))
            terminal.signal(signal.SIGTERM)
            return 128 + signal.SIGTERM
        case "a mistake":
            terminal.signal(signal.SIGUSR1)
            return 1
        case _:
            number = signal.Signals[way]
            terminal.signal(number)
            return 128 + number


def _saved(folder: Path) -> list[tuple[str, str, str]]:
    (file,) = (folder / "data").glob("*.sqlite3")
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return connection.execute("SELECT role, status, content FROM message ORDER BY id").fetchall()


def case(numbers: random.Random, folder: Path) -> str:
    """Mistreat the terminal in one way, leave in another."""
    abuse = numbers.choice((*ABUSES, "a mistake in the program"))
    way = "a mistake" if abuse not in ABUSES else numbers.choice(WAYS)
    variables, program = {}, None
    if abuse not in ABUSES:
        variables["CHATTERM_TEST_MISTAKE"] = numbers.choice(MISTAKES)
        program = [sys.executable, BROKEN]
    terminal = AbusedTerminal(folder, modern=numbers.random() < 0.5, program=program, variables=variables)
    try:
        terminal.begin()
        terminal.read(numbers.uniform(0.2, 1.5))
        shown = _shown(terminal)
        if abuse in ABUSES:
            ABUSES[abuse](terminal, numbers)
            assert terminal.process.isalive(), f"it died of {abuse}:\n{terminal.text}"
        if abuse in KEEPS_THE_SCREEN:
            terminal.type(MARK)
            terminal.wait(MARK)
            shown = shown or _shown(terminal)
        expected = _leave(terminal, way)
        reads = way not in ("the terminal closed", "SIGTERM, nobody reading")
        status = terminal.leave(reading=reads)
        assert status == expected, f"left by {way} with status {status}:\n{terminal.text}"
        if way != "the terminal closed":
            terminal.read_the_rest()
            terminal.assert_as_it_was()
        terminal.assert_nobody_is_left()
    finally:
        terminal.close()
    _check_what_was_saved(folder, shown)
    return f"{abuse}; left by {way}" if abuse in ABUSES else abuse


def _check_what_was_saved(folder: Path, shown: list[str]) -> None:
    rows = _saved(folder)
    assert rows[0][:2] == ("user", "done"), rows
    reply = next((content for role, _status, content in rows if role == "assistant"), "")
    assert reply, "nothing was saved of the reply"
    assert not [status for _role, status, _content in rows if status == "writing"], "not finished"
    written = " ".join(content for _role, _status, content in rows)
    known = " ".join(written.split())
    lost = [line for line in shown if line not in known]
    assert not lost, f"shown, but not saved: {lost}"


CAMPAIGN = Campaign(
    "terminal_abuse",
    "Whatever happens to the terminal, and however the program is left, the terminal is then as it was, no "
    "process stays, and the reply that was being written is saved.",
    case,
    short=2,
    long=300,
)
