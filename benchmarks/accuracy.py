"""How far the probabilities are from exact ones: chatterm's fast ways and llama.cpp, over one text."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.figures import table
from chatterm.checkpoint.open import open_checkpoint
from chatterm.engine.messages import LoadOptions
from chatterm.engine.session import Session
from chatterm.errors import UserError
from chatterm.model.decoder import Decoder
from chatterm.model.load import load_decoder

TEXT = Path(__file__).with_name("text.txt")
ROWS = 64
"""Positions compared at a time, so that large vocabularies fit."""
TOP = 10

Rows = Iterator[Tensor]
"""Logits of the text's positions, `(ROWS, vocabulary)` float32 at a time."""


@dataclass(frozen=True)
class Deviation:
    """Over all positions of a text, against exact float32."""

    name: str
    divergence: float  # mean Kullback-Leibler divergence from the exact distribution, nats
    agreement: float  # share of the positions with the same most probable token
    largest: float  # largest difference of log-probability among the exact ten most probable, nats


def deviation(name: str, exact: Rows, other: Rows) -> Deviation:
    """Compare two computations of the same positions.

    Raises:
        ValueError: one has more positions than the other.
    """
    positions, divergence, agreeing, largest = 0, 0.0, 0, 0.0
    for ours, theirs in zip(exact, other, strict=True):
        expected, found = ours.double().log_softmax(-1), theirs.double().log_softmax(-1)
        divergence += float((expected.exp() * (expected - found)).sum())
        agreeing += int((expected.argmax(-1) == found.argmax(-1)).sum())
        top = expected.topk(TOP, dim=-1)
        largest = max(largest, float((top.values - found.gather(-1, top.indices)).abs().max()))
        positions += len(ours)
    return Deviation(name, divergence / positions, agreeing / positions, largest)


def measure(model: Path, llama: Callable[[Path, list[int], int], Rows] | None) -> tuple[str, list[Deviation]]:
    """All computations of one checkpoint; `llama(model, tokens, batch)` gives llama.cpp's logits."""
    session = Session(model, LoadOptions(device="cpu"), lambda done, total: None)
    decoder, info = session.context.decoder, session.info
    tokens = session.tokenizer.encode(TEXT.read_text("utf-8"), add_bos=True)
    exact = load_decoder(open_checkpoint(model), threads=0)
    ways: list[tuple[str, Callable[[], Rows]]] = [
        (f"chatterm, token by token ({info.computation})", lambda: _rows(decoder, tokens, 1)),
        (f"chatterm, reading ({info.computation})", lambda: _rows(decoder, tokens, 256)),
    ]
    if llama is not None:
        ways += [
            ("llama.cpp, token by token", lambda: llama(model, tokens, 1)),
            ("llama.cpp, reading", lambda: llama(model, tokens, 512)),
        ]
    found = []
    for name, way in ways:
        found.append(deviation(name, _rows(exact, tokens, 256), way()))
        print(found[-1], flush=True)
    return f"{info.name}, {len(tokens)} tokens", found


def _rows(decoder: Decoder, tokens: list[int], piece: int) -> Rows:
    """The logits of a decoder that reads `piece` tokens at a time."""
    cache = decoder.new_cache(len(tokens))
    ids = torch.tensor(tokens)
    waiting: list[Tensor] = []
    with torch.inference_mode():
        for part in ids.split(piece):
            waiting.append(decoder(part, cache, last_only=False))
            if sum(map(len, waiting)) >= ROWS:
                yield from torch.cat(waiting).split(ROWS)
                waiting = []
    if waiting:
        yield from torch.cat(waiting).split(ROWS)


def llama_rows(program: Path, model: Path, tokens: list[int], batch: int, threads: int) -> Rows:
    """The logits of `llama_logits.cpp`, as its output comes.

    Raises:
        UserError: it failed.
    """
    # the positions must come in the same groups as ours: 256 is a multiple of ROWS
    process = subprocess.Popen(
        [str(program), str(model), str(threads), str(batch)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(np.array(tokens, np.int32).tobytes())
    process.stdin.close()
    vocabulary = open_checkpoint(model).architecture.vocabulary
    for start in range(0, len(tokens), ROWS):
        count = min(ROWS, len(tokens) - start)
        data = process.stdout.read(count * vocabulary * 4)
        if len(data) != count * vocabulary * 4:
            raise UserError(f"{program} ended too early with status {process.wait()}.")
        yield torch.frombuffer(bytearray(data), dtype=torch.float32).view(count, vocabulary)
    process.wait()


def report(measured: list[tuple[str, list[Deviation]]]) -> str:
    """The section of the document."""
    rows = [
        (
            name,
            found.name,
            f"{found.divergence:.1e}",
            f"{found.agreement:.1%}",
            f"{found.largest:.1e}" if found.largest < 0.01 else f"{found.largest:.2f}",
        )
        for name, all_found in measured
        for found in all_found
    ]
    headings = (
        "text",
        "computation",
        "mean KL (nats)",
        "same top token",
        f"largest Δ log p in the top {TOP}",
    )
    return f"""Log-probabilities after every token of one text (`benchmarks/text.txt`) against the same
weights in plain float32 torch.

{table(headings, rows)}"""
