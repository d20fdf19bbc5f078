"""The GPU's script, on a processor: it measures something, and says when there is nothing to measure."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from chatterm.checkpoint.open import open_checkpoint

TINY = gpu.Shape("tiny", 32, 2, 4, 2, 48, 64)
CPU = torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_nothing_is_measured_and_it_is_said() -> None:
    assert gpu.report() == gpu.NO_GPU


def test_the_random_checkpoint_is_one_that_both_programs_measure(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(gpu, "PROMPTS", (4, 8))
    monkeypatch.setattr(gpu, "DECODED", 4)
    gpu.write_random(TINY, tmp_path, CPU)
    assert open_checkpoint(tmp_path).parameters == gpu.parameters(TINY)
    ours = gpu.measure_ours(tmp_path, CPU, rounds=1)
    theirs = gpu.measure_transformers(tmp_path, CPU, rounds=1)
    assert min(*ours.decode, *theirs.decode, *ours.prompts[8], *theirs.prompts[8]) > 0
    assert gpu.compared(ours, theirs).count("\n") == 4
    assert gpu.copy_bandwidth(CPU, 1 << 20) > 0
