"""An hour in one program: writing, forking, changing models, opening everything. Memory stays where it is.

A case is a round of some twenty seconds in the same program; what it holds is measured after every round, and
the last third of a run is compared with the first third behind the warm-up. In few rounds, as in the test
suite, only open files, threads and processes are.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.faults.campaign import Campaign

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from abused import AbusedTerminal

WARM_UP = 12
"""Rounds in which caches fill: every panel was opened, both models were loaded."""
SWITCH_EVERY = 3
"""Rounds between two changes of the model."""
FEWEST = 24
"""Rounds in a third from which memory is judged: four loads of each model, no two of which are alike."""
GROWTH_BYTES = 24 << 20
"""What the memory of the interface may be larger in the last third of a run than in the first."""
ENGINE_GROWTH_BYTES = 48 << 20
"""The same of an engine, with each model for itself."""
OTHER_FILES, OTHER_THREADS = 4, 4
"""Open files and threads may differ by so many from round to round: a pool starts its threads when needed."""

PANELS = [f"\x1b{digit}" for digit in "1234567"]
DIALOGS = {
    "help": "\x1bOP",
    "models": "\x1bOR",
    "values": "\x1bOS",
    "settings": "\x1bo",
    "tree": "\x1bt",
    "raw": "\x1br",
    "context": "\x1ba",
    "presets": "\x1bu",
    "palette": "\x10",
}
SAID = (
    "Tell me about the sea.",
    "What is a lighthouse?",
    "Count to twenty in words.",
    "苹果是水果吗？",
    "Say 👩‍👩‍👧.",
)
OTHER_MODELS = (Path.home() / ".cache/chatterm-tests/gemma-3-270m-q4_k_m.gguf",)


@dataclass(frozen=True)
class Held:
    """What the program holds after a round: bytes, open files, threads, processes."""

    interface: int
    engine: int
    files: int
    threads: int
    processes: int
    model: int = 0
    """Which of the two models the engine had loaded: each takes its own memory."""


def judge(held: list[Held]) -> None:
    """Nothing grew from round to round.

    Raises:
        AssertionError: something did.
    """
    first, last = held[min(1, len(held) - 1)], held[-1]
    assert last.processes <= first.processes + 1, f"processes: {first.processes}, then {last.processes}"
    assert last.files <= first.files + OTHER_FILES, f"open files: {first.files}, then {last.files}"
    assert last.threads <= first.threads + OTHER_THREADS, f"threads: {first.threads}, {last.threads}"
    steady = held[WARM_UP:]
    third = len(steady) // 3
    if third < FEWEST:
        return
    parts = steady[:third], steady[-third:]
    _compare("interface", [[one.interface for one in part] for part in parts], GROWTH_BYTES)
    for model in (0, 1):
        sizes = [[one.engine for one in part if one.model == model] for part in parts]
        _compare(f"engine with model {model}", sizes, ENGINE_GROWTH_BYTES)


def _compare(what: str, parts: list[list[int]], bound: int) -> None:
    before, after = (statistics.median(part) for part in parts)
    assert after - before < bound, f"{what}: {before / 1e6:.0f}, then {after / 1e6:.0f} MB"


class Soak:
    """The program that all rounds run in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models = _models(folder)
        self.terminal = AbusedTerminal(folder, 120, 40, variables={"MALLOC_ARENA_MAX": "2"})
        self.terminal.wait("is ready")
        self.process = psutil.Process(self.terminal.process.pid)
        self.held: list[Held] = []
        self.place = 0

    def press(self, keys: str, seconds: float = 0.3) -> None:
        """Type, and take in what comes of it."""
        self.terminal.send(keys.encode())
        self.terminal.read(seconds)

    def say(self, text: str) -> None:
        """Write a message or a command, and send it."""
        self.press(text, 0.4)
        self.press("\r", 0.2)

    def look_into(self, keys: str) -> None:
        """Open something, and wait until it is there, however busy the machine: keys would go astray."""
        before = self.terminal.text
        self.press(keys)
        with contextlib.suppress(AssertionError):  # a panel may have nothing to show
            self.terminal.wait(lambda screen: screen != before, 5)
        self.terminal.read(0.3)

    def is_home(self) -> bool:
        """Whether one can write: the line of keys begins with that for help, and nothing lies over it."""
        *rows, last = self.terminal.screen.display
        if any("─╯" in row or "▔▔▔" in row for row in rows[:-6]):  # a dialog, or the command palette
            return False
        return last.lstrip().startswith("F1 keys") and "Ask something" in self.terminal.text

    def home(self) -> None:
        """Back to writing, wherever the keys led."""
        for _ in range(60):
            if self.is_home():
                self.terminal.read(0.5)  # what is still on its way to the screen is there by then
                if self.is_home():
                    return
            self.press("\x1b", 0.5)
        raise AssertionError(f"it does not come back to writing:\n{self.terminal.text}")

    def round(self, numbers: random.Random) -> None:
        """Everything once."""
        number = len(self.held)
        self.home()
        if number and number % SWITCH_EVERY == 0:
            self.place = 1 - self.place
            self.say(f"/model {self.models[self.place]}")
            name = Path(self.models[self.place]).stem[:10].lower()
            self.terminal.wait(lambda screen: name in screen.splitlines()[-2].lower(), 240)
        self.press("\x0e")
        self.home()
        self._write(numbers.choice(SAID))
        self.press("\x12")  # another reply beside it
        self.terminal.wait("tok/s")
        self.press("\x1b", 1.0)
        self.press("\x1bOQ" + "\x1b[D" * 3, 0.5)  # fork at a token
        self.press("\r", 0.5)
        self.press("\x1b[B\r", 1.5)
        self.home()
        for view in PANELS:
            self.press(view, 0.5)
        self.press(PANELS[0])
        for keys in DIALOGS.values():
            self.look_into(keys)
            self.home()
        self._search(numbers)
        self.terminal.resize(*numbers.choice(((80, 24), (200, 50), (120, 40))))
        self.terminal.resize(120, 40)
        self.home()
        self.terminal.raw = b""  # what was written is not kept here, an hour of it
        assert self.terminal.process.isalive(), f"it died:\n{self.terminal.text}"
        self.held.append(self._look())

    def _write(self, text: str) -> None:
        self.say(text)
        self.terminal.wait("tok/s")
        self.terminal.read(3.0)
        self.press("\x1b", 1.0)

    def _search(self, numbers: random.Random) -> None:
        """Look for a word; delete a conversation and bring it back, delete another for good."""
        self.look_into("\x1bh")
        self.press("/" + numbers.choice(("sea", "light", "one", "果")), 1.0)
        self.home()
        self.look_into("\x1bh")
        self.press("\x1b[B", 0.3)
        self.press("d", 0.5)
        self.press("u", 0.5)
        self.home()

    def _look(self) -> Held:
        children = self.process.children(recursive=True)
        return Held(
            interface=self.process.memory_info().rss,
            engine=max((child.memory_info().rss for child in children), default=0),
            files=self.process.num_fds(),
            threads=self.process.num_threads(),
            processes=1 + len(children),
            model=self.place,
        )

    def check(self) -> None:
        """Nothing grew."""
        judge(self.held)

    def end(self) -> None:
        """Leave, and nobody is left."""
        self.terminal.family = [self.process, *self.process.children(recursive=True)]
        try:
            self.terminal.send(b"\x11")
            assert self.terminal.leave() == 0
            self.terminal.read_the_rest()
            self.terminal.assert_nobody_is_left()
            (file,) = (self.folder / "data").glob("*.sqlite3")
            with sqlite3.connect(file) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        finally:
            self.terminal.close()


def _models(folder: Path) -> tuple[str, str]:
    """Two checkpoints: the default model and another; where there is none, the same under another name."""
    from chatterm.checkpoint.locate import locate

    default = locate("default")
    for other in OTHER_MODELS:
        if other.is_file() and "CHATTERM_SOAK_ONE_MODEL" not in os.environ:
            return str(default), str(other)
    second = folder / "second.gguf"
    second.symlink_to(default)
    return str(default), str(second)


_running: list[Soak] = []


def case(numbers: random.Random, folder: Path) -> str:
    """One more round."""
    if not _running:
        _running.append(Soak(folder))
    soak = _running[0]
    soak.round(numbers)
    held = soak.held[-1]
    print(f"{len(soak.held)}: {held.interface / 1e6:.1f} {held.engine / 1e6:.1f} MB, {held}", file=sys.stderr)
    soak.check()
    return "rounds"


def end() -> None:
    """After the last round."""
    while _running:
        _running.pop().end()


CAMPAIGN = Campaign(
    "soak",
    "An hour of writing, forking, changing models, searching and opening everything leaves the memory of "
    "both processes where it was, and no open file, thread or process behind.",
    case,
    short=1,
    long=180,
    end=end,
)
