"""One engine for many cases, kept warm: what it says of each checkpoint, and what that took.

Time is the engine's own, not the clock's; memory is the most that it held while it looked at one checkpoint.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import re
import resource
import unicodedata
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from chatterm.checkpoint import alarm
from chatterm.engine.client import EngineProcess
from chatterm.engine.messages import LoadOptions
from chatterm.engine.protocol import EngineDiedError, EngineError
from chatterm.records.generation import Chat, Message, Text
from chatterm.sampling import SamplingParameters

SECONDS = 5.0
BYTES = 1 << 30
PATIENCE = 180.0
"""Seconds of the clock after which an engine is said to hang; a loaded machine takes its time."""

ROOM = 4 << 30
"""Of address space beyond the warm engine's: a bomb must not take the machine with it."""

PROMPT = "Hello there, who are you? " * 3
CHAT = Chat((Message("system", "Be brief."), Message("user", "Hello <|im_end|> world")))


@dataclass
class Verdict:
    """What an engine did with a checkpoint: the sentence of its refusal, or None if it loaded and ran."""

    refusal: str | None
    prompt: str  # what the template made of a conversation, as far as it came
    seconds: float
    peak: int  # bytes beyond what it held before
    ended: bool = False  # by its own alarm


class WarmEngine:
    """An engine that is started when it is first needed, and again when it has died."""

    def __init__(self, warm_up: Callable[[], Path]) -> None:
        """`warm_up` makes a sound checkpoint, so that everything is imported before anything is counted."""
        self._warm_up = warm_up
        self._runner: asyncio.Runner | None = None
        self._engine: EngineProcess | None = None
        self.restarts = 0
        atexit.register(self.close)

    def look_at(self, path: Path, *, alarmed: bool = False) -> Verdict:
        """Describe, load and run the checkpoint at `path`. If `alarmed`, its alarm may end the engine.

        Raises:
            AssertionError: it died or hangs, took too long or too much, or its refusal is no sentence.
        """
        engine = self._ready()
        process = psutil.Process(engine.pid)
        before, held = _spent(process), process.memory_info().rss
        _forget_peak(engine.pid)
        try:
            refusal, prompt = self._run(asyncio.wait_for(_look(engine, path), PATIENCE))
        except TimeoutError:
            self._give_up()
            raise AssertionError(f"the engine hangs: no answer in {PATIENCE:.0f} s") from None
        except EngineDiedError as error:
            self._give_up()
            if alarmed and "tokenizer takes far too long" in error.sentence:
                check_sentence(error.sentence)
                return Verdict(error.sentence, "", alarm.SECONDS, 0, ended=True)
            raise AssertionError(f"the engine died: {error}") from None
        verdict = Verdict(refusal, prompt, _spent(process) - before, max(0, _peak(engine.pid) - held))
        assert verdict.seconds < SECONDS, f"it took {verdict.seconds:.1f} s: {refusal}"
        assert verdict.peak < BYTES, f"it took {verdict.peak >> 20} MiB: {refusal}"
        if refusal is not None:
            check_sentence(refusal)
        return verdict

    def close(self) -> None:
        """End it."""
        self._give_up()
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def _ready(self) -> EngineProcess:
        if self._engine is None or not self._engine.alive:
            self.restarts += 1
            self._engine = self._run(EngineProcess.start())
            refusal, _ = self._run(_look(self._engine, self._warm_up()))
            if refusal is not None:
                raise RuntimeError(f"the sound checkpoint does not load: {refusal}")
            size = psutil.Process(self._engine.pid).memory_info().vms + ROOM
            resource.prlimit(self._engine.pid, resource.RLIMIT_AS, (size, size))
        return self._engine

    def _give_up(self) -> None:
        if self._engine is not None:
            self._run(self._engine.close())
            self._engine = None

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        self._runner = self._runner or asyncio.Runner()
        return self._runner.run(coroutine)


async def _look(engine: EngineProcess, path: Path) -> tuple[str | None, str]:
    """What a person could ask of a checkpoint first; a refusal, or None, and a rendered conversation."""
    refusal, prompt = None, ""
    with contextlib.suppress(EngineError):
        await engine.describe(str(path))
    try:
        await engine.load(str(path), LoadOptions(threads=1))
        await _reply(engine, Text(PROMPT))
        prompt = (await engine.render(CHAT)).text
        await _reply(engine, CHAT)
    except EngineError as error:
        refusal = error.sentence
    return refusal, prompt


async def _reply(engine: EngineProcess, prompt: Chat | Text) -> None:
    async for _ in engine.generate(prompt, SamplingParameters(seed=1), max_tokens=4, candidates=3):
        pass


def check_sentence(sentence: str) -> None:
    """One sentence for a person: short, on one line, nothing unforeseen, nothing that acts on a terminal."""
    assert sentence.endswith((".", "…")), f"no sentence: {sentence}"
    assert len(sentence) <= 2000, f"too long: {sentence}"
    assert "\n" not in sentence, f"several lines: {sentence}"
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Cf") for character in sentence), sentence
    assert not re.match(r"Unexpected \w+ in the engine", sentence), f"unforeseen: {sentence}"
    assert "not enough memory" not in sentence, f"memory: {sentence}"


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _forget_peak(pid: int) -> None:
    """From now on the peak is counted anew (`proc(5)`, clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no peak of memory is known")
