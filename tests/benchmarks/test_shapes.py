"""Files of random weights in the shapes of real models are files that load and compute."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from gguf import GGMLQuantizationType

from benchmarks import shapes
from benchmarks.operators import bytes_read, measure, report
from chatterm.checkpoint.open import open_checkpoint
from chatterm.model.load import load_decoder

TINY = {
    "llama": shapes.Shape("llama", 3, 256, 4, 2, 512, 320),
    "qwen2": shapes.Shape("qwen2", 2, 96, 2, 1, 256, 320, tied=True, biased=True),
}


@pytest.mark.parametrize("name", TINY)
def test_a_file_is_made_once_and_its_numbers_keep_their_size(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shapes, "SHAPES", TINY)
    path = shapes.make(name, tmp_path)
    made = path.stat().st_mtime_ns
    assert shapes.make(name, tmp_path).stat().st_mtime_ns == made
    decoder = load_decoder(open_checkpoint(path), exact=False)
    logits = decoder(torch.arange(40) * 7 % 320, decoder.new_cache(64), last_only=False)
    assert bool(logits.isfinite().all()) and 0.05 < float(logits.std()) < 20
    table = report(measure(decoder, 3, 4), bytes_read(decoder, 3))
    assert "unembedding" in table and "GB/s" in table


def test_block_types_are_those_of_the_mixture() -> None:
    kinds = {kind for *_, kind in shapes.matrices(shapes.SHAPES["7b-q4_k_m"])}
    assert kinds == {GGMLQuantizationType.Q4_K, GGMLQuantizationType.Q6_K}
    kinds = {kind for *_, kind in shapes.matrices(shapes.SHAPES["0.5b-q4_k_m"])}
    assert {kind.name for kind in kinds} == {"Q4_K", "Q6_K", "Q5_0", "Q8_0"}
