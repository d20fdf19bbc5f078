"""One variant, measured: right, refused, not told apart by the file, or wrong."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from benchmarks.parity import reference
from benchmarks.parity.converter import folders
from benchmarks.parity.converter.variant import Variant
from benchmarks.parity.measure import TOLERANCE
from chatterm.checkpoint.gguf import read_gguf
from chatterm.checkpoint.open import open_checkpoint
from chatterm.errors import UserError
from chatterm.model.load import load_decoder

Outcome = Literal["right", "refused", "not in the file", "not converted", "WRONG"]
ROUNDED = {"f16": 0.2, "q8_0": 0.5}
"""Nats that rounding the weights may make; asked for only to see that such files are read."""


@dataclass(frozen=True)
class Measured:
    """What became of one variant."""

    variant: Variant
    outcome: Outcome
    difference: float | None  # largest absolute difference of log-probabilities from transformers, in nats
    why: str = ""


class Converter:
    """llama.cpp's converter, in a process of its own that serves all variants."""

    def __init__(self, source: Path) -> None:
        worker = Path(__file__).with_name("worker.py")
        command = [sys.executable, str(worker), str(source)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def convert(self, folder: Path, out: Path, options: tuple[str, ...], raw: bool) -> str | None:
        """Make `out` of `folder`; the reason if the converter refuses. `raw`: see the worker."""
        assert self._process.stdin is not None and self._process.stdout is not None
        kind = () if "--outtype" in options else ("--outtype", "f32")
        arguments = [*kind, *options, "--model-name", "tiny", "--outfile", str(out), str(folder)]
        self._process.stdin.write(json.dumps({"arguments": arguments, "raw": raw}) + "\n")
        self._process.stdin.flush()
        answer: str | None = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def measure(variant: Variant, converter: Converter, folder: Path) -> Measured:
    """Make the variant under `folder`, convert it, and compare chatterm on the file with transformers."""
    gguf = folder / "tiny.gguf"
    problem = _make(variant, converter, folder / "tiny", gguf)
    if problem is not None:
        return Measured(variant, "not converted", None, problem)
    tokens = reference.text()
    try:
        ours = _ours(gguf, tokens)
    except UserError as error:
        return Measured(variant, "refused", None, error.sentence.replace(str(gguf), "the file"))
    expected = _expected(folder / "tiny", tokens)
    difference = float((ours - expected).abs().max())
    if difference < _tolerance(variant):
        return Measured(variant, "right", difference)
    if variant.twin is not None and _is_twin(variant, converter, folder, ours, expected):
        return Measured(variant, "not in the file", difference)
    return Measured(variant, "WRONG", difference)


def _make(variant: Variant, converter: Converter, folder: Path, gguf: Path) -> str | None:
    folder.mkdir(parents=True)
    folders.make(variant, folder)
    options = (*variant.options, *(("--mistral-format",) if variant.mistral_format else ()))
    return converter.convert(folder, gguf, options, variant.raw)


def _is_twin(variant: Variant, converter: Converter, folder: Path, ours: Tensor, expected: Tensor) -> bool:
    """Whether another checkpoint, which means something else, gives the same file, and is what ours is."""
    other, gguf = variant.twin_variant(), folder / "other" / "tiny.gguf"
    problem = _make(other, converter, gguf.with_suffix(""), gguf)
    if problem is not None or digest(gguf) != digest(folder / "tiny.gguf"):
        return False
    meant = _expected(gguf.with_suffix(""), reference.text())
    differs = float((meant - expected).abs().max()) >= TOLERANCE
    return differs and float((meant - ours).abs().max()) < TOLERANCE


def digest(path: Path) -> str:
    """Of everything that a GGUF file says, whatever the order."""
    file = read_gguf(path)
    content = hashlib.sha256(json.dumps(file.metadata, sort_keys=True, default=str).encode())
    for name, tensor in sorted(file.tensors.items()):
        content.update(f"{name} {tensor.type} {tensor.shape}".encode() + tensor.data.tobytes())
    return content.hexdigest()


def _tolerance(variant: Variant) -> float:
    return next((rounded for kind, rounded in ROUNDED.items() if kind in variant.options), TOLERANCE)


@torch.no_grad()
def _ours(path: Path, tokens: Tensor) -> Tensor:
    decoder: Any = load_decoder(open_checkpoint(path), threads=0)
    logprobs: Tensor = decoder(tokens, decoder.new_cache(len(tokens)), last_only=False).log_softmax(-1)
    return logprobs


def _expected(folder: Path, tokens: Tensor) -> Tensor:
    return reference.logprobs(reference.load(folder), tokens)
