"""How soon the chat is there, how soon it answers a key, and what it costs while nothing happens.

Each figure is taken of one or two checkouts, one right after the other in every round.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Spread, percentile, ratio, table
from benchmarks.interface import processes
from benchmarks.interface.checkout import Checkout
from benchmarks.interface.keys import ENTER, NEVER_ENDING, PAINTED, QUESTION, READY, configure, echoes
from benchmarks.interface.terminal import Terminal

EARLY = "\u3400"
"""A sign that is typed as soon as there is something to type it into."""
KEYS = 60
IDLE_SECONDS = 20.0
CALM = 4.0
"""Seconds after which a start is over, with all that is done once after it."""


@dataclass
class Pace:
    """What one checkout did, a value for each round but for `echo`."""

    first_start: list[float] = field(default_factory=list)  # seconds to the first frame, nothing remembered
    paint: list[float] = field(default_factory=list)  # seconds to the first frame
    early_key: list[float] = field(
        default_factory=list
    )  # seconds from the start to the echo of a key typed at the first frame
    echo: list[list[float]] = field(default_factory=list)  # seconds from a key to its echo
    busy: list[float] = field(default_factory=list)  # share of one processor, while nothing happens
    woken: list[float] = field(default_factory=list)  # times a second that any of its threads is woken


def measure(checkouts: list[Checkout], rounds: int) -> list[Pace]:
    """The figures of each checkout. A round before the first one compiles what is not compiled yet."""
    paces = [Pace() for _ in checkouts]
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / str(number) for number, _ in enumerate(checkouts)]
        for checkout, folder in zip(checkouts, folders, strict=True):
            configure(folder, NEVER_ENDING)
            _paint(checkout, folder, Pace())
        for what, times in ((_first_start, rounds), (_paint, 2 * rounds), (_echo, rounds), (_idle, rounds)):
            for number in range(times):
                turns = list(zip(checkouts, folders, paces, strict=True))
                for checkout, folder, pace in turns if number % 2 else reversed(turns):
                    what(checkout, folder, pace)
            print(what.__name__, paces, flush=True)
    return paces


def _first_start(checkout: Checkout, folder: Path, pace: Pace) -> None:
    """As on a machine on which chatterm has never run: nothing is remembered, no model is found."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**checkout.environment, "CHATTERM_CACHE": cache}
        with Terminal(checkout.command("-m", "/none.gguf"), folder, environment=environment) as terminal:
            pace.first_start.append(terminal.wait(PAINTED) - terminal.started)
            terminal.drain(1.0)


def _paint(checkout: Checkout, folder: Path, pace: Pace) -> None:
    with Terminal(checkout.command(), folder, environment=checkout.environment) as terminal:
        pace.paint.append(terminal.wait(PAINTED) - terminal.started)
        terminal.write(EARLY)
        pace.early_key.append(terminal.wait(EARLY.encode()) - terminal.started)
        terminal.wait(READY)


def _echo(checkout: Checkout, folder: Path, pace: Pace) -> None:
    with Terminal(checkout.command(), folder, environment=checkout.environment) as terminal:
        terminal.wait(READY)
        terminal.drain(CALM)
        terminal.write(QUESTION)
        terminal.wait(QUESTION.encode()[-6:])
        terminal.write(ENTER)
        terminal.wait(rb"tok/s")
        pace.echo.append(echoes(terminal, KEYS))


def _idle(checkout: Checkout, folder: Path, pace: Pace) -> None:
    with Terminal(checkout.command(), folder, environment=checkout.environment) as terminal:
        terminal.wait(READY)
        terminal.drain(CALM)
        before, began = processes.used(terminal.pid), time.perf_counter()
        terminal.drain(IDLE_SECONDS)
        after, took = processes.used(terminal.pid), time.perf_counter() - began
        pace.busy.append((after.seconds - before.seconds) / took)
        pace.woken.append((after.woken - before.woken) / took)


def report(paces: list[Pace]) -> str:
    """A table; the ratios are those of pairs measured one after the other."""
    this, *others = paces

    def row(
        what: str, goal: str, of: Callable[[Pace], list[float]], unit: str, digits: int
    ) -> tuple[str, ...]:
        cells = [f"{Spread(tuple(of(pace))).text(digits)}{unit}" for pace in paces]
        ratios = [f"**{ratio(of(this), of(other)).text(2)}**" for other in others]
        return (what, goal, *cells, *ratios)

    def high(pace: Pace) -> list[float]:
        return [1000 * percentile(times, 0.99) for times in pace.echo]

    def middle(pace: Pace) -> list[float]:
        return [1000 * statistics.median(times) for times in pace.echo]

    rows = [
        row("process start to first painted frame", "≤ 0.6 ×", lambda pace: pace.paint, " s", 2),
        row("the same, nothing remembered of a start before", "", lambda pace: pace.first_start, " s", 2),
        row(
            "process start to the echo of a key typed at the first frame",
            "",
            lambda pace: pace.early_key,
            " s",
            2,
        ),
        row("key to echo while the default model writes, median", "", middle, " ms", 0),
        row(f"key to echo, 99th of 100 ({KEYS} keys a round)", "≤ 30 ms", high, " ms", 0),
        row(
            f"processor used by an idle chat and its engine, {IDLE_SECONDS:.0f} s",
            "≤ 0.3 %",
            lambda pace: [100 * share for share in pace.busy],
            " %",
            2,
        ),
        row("times that an idle chat wakes up, each second", "", lambda pace: pace.woken, "", 0),
    ]
    headings = ("what", "goal", "this", *("the other", "this ÷ the other")[: 2 * len(others)])
    all_keys = [[time for times in pace.echo for time in times] for pace in paces]
    keys = " and ".join(f"{1000 * percentile(times, 0.99):.0f} ms" for times in all_keys)
    return f"""In a pseudo-terminal of 160 × 48, timed where the bytes arrive: medians (lowest … highest)
of the rounds.

{table(headings, rows)}

The 99th of 100 of all keys of all rounds together: {keys}."""
