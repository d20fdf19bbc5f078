"""What the rival programs and chatterm's own engine are asked, one round at a time."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Self

from chatterm.engine.client import EngineProcess
from chatterm.engine.messages import Bench, LoadOptions
from chatterm.errors import UserError

PROMPT = 512
DECODED = 128
REPLY_PROMPT = "Once upon a time there was a lighthouse keeper who"


class Ours:
    """chatterm's engine, in its own process, with a model loaded; idle between rounds."""

    def __init__(self, model: Path, threads: int) -> None:
        """Start it and load `model`."""
        self._loop = asyncio.new_event_loop()
        self._engine = self._loop.run_until_complete(EngineProcess.start())
        options = LoadOptions(device="cpu", threads=threads)
        self.info = self._loop.run_until_complete(self._engine.load(str(model), options))

    def round(self) -> tuple[float, float, float]:
        """Tokens per second of reading `PROMPT` tokens, of decoding `DECODED`, and of a whole reply."""
        plan = Bench(
            request=0, prefill=(PROMPT,), contexts=(0,), decoded=DECODED, repeats=1, streamed_bytes=1 << 20
        )
        benched = self._loop.run_until_complete(self._engine.bench(plan))
        return benched.prefill[0].rates[0], benched.decode[0].rates[0], benched.reply[0]

    def close(self) -> None:
        """End it."""
        self._loop.run_until_complete(self._engine.close())
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def llama_bench(program: Path, model: Path, threads: int) -> tuple[float, float]:
    """One run of llama-bench: tokens per second of reading `PROMPT` tokens and of decoding `DECODED`.

    Raises:
        UserError: it failed.
    """
    command = [str(program), "-m", str(model), "-t", str(threads), "-p", str(PROMPT), "-n", str(DECODED)]
    result = subprocess.run([*command, "-r", "1", "-o", "json"], capture_output=True, text=True, check=False)
    if result.returncode:
        raise UserError(f"{program} failed: {result.stderr.strip()[-300:]}")
    return llama_rates(result.stdout)


def llama_rates(output: str) -> tuple[float, float]:
    """(prefill, decode) tokens per second in what `llama-bench -o json` prints."""
    tests = json.loads(output)
    prefill = next(test["avg_ts"] for test in tests if test["n_prompt"] and not test["n_gen"])
    decode = next(test["avg_ts"] for test in tests if test["n_gen"] and not test["n_prompt"])
    return float(prefill), float(decode)


class Transformers:
    """transformers' `generate` on the same weights, in a process of its own."""

    def __init__(self, model: Path, dtype: str, threads: int) -> None:
        """Start it and load `model`.

        Raises:
            UserError: it cannot load the file.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.generate", str(model), dtype, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if self._line() != "ready":
            _, errors = self._process.communicate()
            raise UserError(f"transformers cannot load {model.name}: {errors.strip().splitlines()[-1:]}")

    def round(self) -> float:
        """Tokens per second of generating `DECODED` tokens after a short prompt."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return float(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # the end of its input ends it
