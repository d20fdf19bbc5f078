"""The figures of the interface, each taken from what arrives at the terminal."""

from __future__ import annotations

import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.figures import Spread, percentile, ratio, table
from benchmarks.interface import long_chat
from benchmarks.interface.fast_engine import LAST_WORD
from benchmarks.interface.keys import (
    AGAIN,
    ENTER,
    ESCAPE,
    HISTORY,
    NEVER_ENDING,
    PAGE_UP,
    PANEL,
    QUESTION,
    READY,
    configure,
    echoes,
)
from benchmarks.interface.terminal import Terminal

CHATTERM = [str(Path(sys.executable).with_name("chatterm"))]
VIEWS = (b"\x1b2", b"\x1b3", b"\x1b4", b"\x1b5")
"""alt+2 … alt+5: the views that ask most of the engine, each in its turn."""
FAST_RATE, FAST_TOKENS = 1000, 6000
MESSAGES = 2000


@dataclass
class Figures:
    """Times in seconds, memory in bytes, rates in tokens per second."""

    streaming_rss: int = 0
    fast_echo: list[float] = field(default_factory=list)  # at 1 000 tokens/s
    fast_rate: float = 0.0  # reached by the fast engine
    fast_kept: int = 0  # tokens that are saved in the end
    fast_delay: float = 0.0  # from the time at which the last token is due until it is on the screen
    opening: list[float] = field(default_factory=list)
    opened_rss: int = 0
    scrolling: list[float] = field(default_factory=list)
    open_panels: list[float] = field(default_factory=list)
    closed_panels: list[float] = field(default_factory=list)


def measure(repeats: int) -> Figures:
    """All of them."""
    found = Figures()
    for what in (_stream, _fast, _long, _panels):
        with tempfile.TemporaryDirectory() as folder:
            what(found, Path(folder), repeats)
        print(found, flush=True)
    return found


def _stream(found: Figures, folder: Path, repeats: int) -> None:
    configure(folder, NEVER_ENDING)
    with Terminal(CHATTERM, folder) as terminal:
        terminal.wait(READY)
        _ask(terminal)
        terminal.wait(rb"tok/s")
        terminal.drain(5.0)
        found.streaming_rss = psutil.Process(terminal.pid).memory_info().rss
        terminal.write(ESCAPE)
        terminal.drain(1.0)


def _fast(found: Figures, folder: Path, repeats: int) -> None:
    command = [sys.executable, "-m", "benchmarks.interface.fast_chat", str(FAST_RATE), str(FAST_TOKENS)]
    with Terminal(command, folder) as terminal:
        terminal.wait(READY)
        last = LAST_WORD.strip().encode()
        terminal.watch(last)
        began = _ask(terminal)
        terminal.wait(rb"tok/s")
        found.fast_echo = echoes(terminal, 40)
        shown = terminal.watched(last)
        found.fast_delay = max(0.0, shown - began - FAST_TOKENS / FAST_RATE)
        message, timing = _until(lambda: _last_timing(folder, 1))
        found.fast_rate = _rate(timing)
        found.fast_kept = _query(folder, f"SELECT sum(count) FROM chunk WHERE message = {message}")[0][0]


def _long(found: Figures, folder: Path, repeats: int) -> None:
    long_chat.write(folder / "data" / "library.sqlite3", MESSAGES)
    for _ in range(repeats):
        with Terminal(CHATTERM, folder) as terminal:
            terminal.wait(READY)
            terminal.write(HISTORY)
            terminal.drain(1.0)  # the list stands beside the chat and has the keys now
            began = terminal.write(ENTER)
            found.opening.append(terminal.wait(long_chat.LAST_WORDS.encode()) - began)
            terminal.drain(1.0)
            for _ in range(30):
                began = terminal.write(PAGE_UP)
                found.scrolling.append(terminal.wait(rb"uestion \d+|answer \d+") - began)
                terminal.drain(0.05)
            found.opened_rss = max(found.opened_rss, psutil.Process(terminal.pid).memory_info().rss)


def _panels(found: Figures, folder: Path, repeats: int) -> None:
    configure(folder, NEVER_ENDING)
    with Terminal(CHATTERM, folder) as terminal:
        terminal.wait(READY)
        _ask(terminal)
        _write_for_a_while(terminal, folder, 1)
        for number in range(2 * repeats):  # the panel is open at first; the first round is not counted
            terminal.write(PANEL)
            terminal.drain(0.5)
            if number % 2:
                terminal.write(VIEWS[number // 2 % len(VIEWS)])
                terminal.drain(0.5)
            terminal.write(AGAIN)
            rate = _write_for_a_while(terminal, folder, number + 2)
            (found.open_panels if number % 2 else found.closed_panels).append(rate)


def _ask(terminal: Terminal) -> float:
    terminal.write(QUESTION)
    terminal.wait(b"keeper")
    return terminal.write(ENTER)


def _write_for_a_while(terminal: Terminal, folder: Path, replies: int) -> float:
    """Let a reply be written for some seconds; tokens per second as the engine timed them."""
    terminal.wait(rb"tok/s")
    terminal.drain(5.0)
    terminal.write(ESCAPE)

    def ended() -> tuple[int, str] | None:
        terminal.drain(0.1)
        return _last_timing(folder, replies)

    return _rate(_until(ended)[1])


def _query(folder: Path, query: str) -> list[tuple[int, str]]:
    connection = sqlite3.connect(f"file:{folder / 'data' / 'library.sqlite3'}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def _last_timing(folder: Path, replies: int) -> tuple[int, str] | None:
    """The message and timing of the newest reply, once that many have ended."""
    rows = _query(folder, "SELECT id, timing FROM message WHERE timing IS NOT NULL ORDER BY id")
    return rows[-1] if len(rows) >= replies else None


def _rate(timing: str) -> float:
    values = json.loads(timing)
    return float((values["generated_tokens"] - 1) / values["decode"])


def _until(ask: Callable[[], tuple[int, str] | None], seconds: float = 60.0) -> tuple[int, str]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = ask()
        if answer is not None:
            return answer
        time.sleep(0.05)
    raise TimeoutError("the reply was not saved in time")


def report(found: Figures) -> str:
    """The section of the document."""
    mib, milliseconds = 1 << 20, 1000.0

    def latency(times: list[float]) -> str:
        middle, high = percentile(times, 0.5), percentile(times, 0.99)
        return (
            f"{middle * milliseconds:.0f} ms at the median, {high * milliseconds:.0f} ms at the 99th of 100"
        )

    share = ratio(found.open_panels, found.closed_panels)
    rows = [
        (
            f"{FAST_TOKENS} tokens at {FAST_RATE} tokens/s",
            "none lost",
            f"{found.fast_kept} saved; the engine reached {found.fast_rate:.0f} tokens/s; "
            f"the last one on the screen {found.fast_delay:.2f} s after it was due",
        ),
        ("key to echo meanwhile", "p99 30 ms", latency(found.fast_echo)),
        (
            f"opening {MESSAGES} messages, {long_chat.TOKENS_PER_REPLY} recorded tokens a reply",
            "0.5 s",
            f"{Spread(tuple(found.opening)).text(2)} s",
        ),
        ("scrolling in it by a page", "", latency(found.scrolling)),
        (
            "tokens/s with lens, attention, contributions or neurons open ÷ panel closed",
            "0.95",
            f"{share.text(2)} ({statistics.median(found.open_panels):.1f} and "
            f"{statistics.median(found.closed_panels):.1f} tokens/s)",
        ),
        (
            "resident memory of the interface",
            "100 MB",
            f"{found.streaming_rss / mib:.0f} MiB while a reply streams, "
            f"{found.opened_rss / mib:.0f} MiB with the {MESSAGES} messages",
        ),
    ]
    return table(("what", "goal", "measured"), rows)
