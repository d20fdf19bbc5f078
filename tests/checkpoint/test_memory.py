"""How much memory a checkpoint needs, and how much there is."""

from __future__ import annotations

from types import SimpleNamespace

import psutil

from chatterm.checkpoint.memory import RUNTIME_BYTES, available_memory, memory_needed
from chatterm.checkpoint.open import open_checkpoint


def test_memory_grows_with_the_weights(default_model_path):
    checkpoint = open_checkpoint(default_model_path)
    exact, packed = memory_needed(checkpoint), memory_needed(checkpoint, packed=True)
    assert exact - packed == 4 * 134_515_008 - 98_362_432
    cache = 2 * 30 * 3 * 64 * 4096 * 4
    scores = 9 * 512 * 4096 * 4
    assert packed > 98_362_432 + cache + scores + RUNTIME_BYTES


def test_available_memory_is_what_the_system_says(tmp_path, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8 << 30))
    assert available_memory(tmp_path) == 8 << 30
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert available_memory(tmp_path) == 8 << 30


def test_a_container_has_less(tmp_path, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8 << 30))
    (tmp_path / "memory.max").write_text(f"{4 << 30}\n")
    (tmp_path / "memory.current").write_text(f"{3 << 30}\n")
    assert available_memory(tmp_path) == 1 << 30
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {1 << 29}\nactive_file {1 << 28}\n")
    assert available_memory(tmp_path) == (1 << 30) + (1 << 29) + (1 << 28)
