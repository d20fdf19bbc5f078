"""Measuring the machine once."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from chatterm import paths
from chatterm.model import tuning as module
from chatterm.model.native.build import NotBuiltError, library
from chatterm.model.prefill.operator import prefill_library
from chatterm.model.tuning import best_threads, tuning


@pytest.fixture(autouse=True)
def _small(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "ROWS", 1024)
    monkeypatch.setattr(module, "COLUMNS", 1024)
    monkeypatch.setattr(module, "_busy", lambda: False)
    with contextlib.suppress(NotBuiltError):  # compiled before the cache folder is another one
        library()
        prefill_library()
    monkeypatch.setattr(paths, "cache_folder", lambda: tmp_path / "cache")


@pytest.mark.parametrize(
    ("rates", "cores", "threads"),
    [
        ({1: 10.0, 2: 19.0}, 2, 2),
        ({1: 10.0, 2: 10.5}, 2, 1),
        ({1: 6.0, 2: 12.0, 3: 17.0, 4: 18.0}, 4, 3),
        ({1: 6.0, 2: 12.0, 3: 18.0, 4: 24.0}, 4, 4),
        ({}, 8, 7),
        ({}, 1, 1),
    ],
)
def test_the_fewest_threads_near_the_best(rates: dict[int, float], cores: int, threads: int) -> None:
    assert best_threads(rates, cores) == threads


def test_it_is_measured_once(monkeypatch) -> None:
    first = tuning()
    assert first.stream > 0 and first.float32 > 0 and first.threads in (first.multiply or {first.threads: 0})
    monkeypatch.setattr(module, "_measure", lambda machine: pytest.fail("measured again"))
    assert tuning() == first


@pytest.mark.parametrize("content", [b"", b"{", b'{"machine": 3}', b"\xff" * 100])
def test_a_damaged_memory_is_measured_anew(content: bytes) -> None:
    file = paths.cache_folder() / "tuning.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert tuning().threads >= 1
    assert tuning() == tuning()


def test_another_machine_is_measured_anew(monkeypatch) -> None:
    first = tuning()
    monkeypatch.setattr(module, "_machine", lambda: "another")
    assert tuning().machine == "another" != first.machine


def test_an_unwritable_folder_does_no_harm(monkeypatch, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setattr(paths, "cache_folder", lambda: blocked / "cache")
    monkeypatch.setattr(module, "_machine", lambda: "here")
    assert tuning().machine == "here"


def test_a_busy_machine_is_not_remembered(monkeypatch) -> None:
    monkeypatch.setattr(module, "_busy", lambda: True)
    assert tuning().threads == best_threads({}, module.cores())
    assert not (paths.cache_folder() / "tuning.json").exists()
