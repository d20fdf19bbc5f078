"""`check` finds what is wrong inside the numbers, which opening does not look at."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.parity import reference
from benchmarks.parity.cases import CASES
from chatterm.checkpoint.open import open_checkpoint
from chatterm.model.check import check
from tests.checkpoint.written_gguf import write_gguf
from tests.faults import specimens


@pytest.fixture
def folder(tmp_path, quiet_transformers):
    case = CASES[0]
    reference.save(case, reference.make_model(case), tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps(specimens.tokenizer_json()))
    return tmp_path


def change(folder, name, function) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights[name] = function(weights[name].clone())
    save_file(weights, path)


def test_a_sound_checkpoint_is_described(folder):
    steps = []
    report = check(open_checkpoint(folder), lambda done, total: steps.append((done, total)))
    assert report.sound and report.problems == ()
    (notice,) = report.notices
    assert "no chat template" in notice
    assert (report.family, report.format, report.quantisation) == ("gpt2", "safetensors", "float32")
    assert report.parameters == 128 * 64 + 128 * 64 + 3 * 49_984 + 128
    assert 0 < report.entropy < np.log(128)
    assert report.cache_difference < 1e-4
    assert steps[-1] == (2 * report.tensors, 2 * report.tensors)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_numbers_that_are_none_are_found(folder):
    def spoil(weight: torch.Tensor) -> torch.Tensor:
        weight[3, :2] = float("nan")
        weight[4, 0] = float("inf")
        return weight

    change(folder, "transformer.h.1.mlp.c_fc.weight", spoil)
    report = check(open_checkpoint(folder))
    assert report.problems == (
        "the tensor “transformer.h.1.mlp.c_fc.weight” holds 3 numbers that are infinite or none at all; "
        "the file is "
        "damaged.",
    )
    assert report.entropy is None and not report.sound


def test_a_matrix_of_zeros_is_found(folder):
    change(folder, "transformer.h.2.attn.c_proj.weight", torch.zeros_like)
    (problem,) = check(open_checkpoint(folder)).problems
    assert "h.2.attn.c_proj" in problem and "nothing but zeros" in problem


def test_numbers_that_overflow_on_the_way_are_found(folder):
    change(folder, "transformer.h.2.mlp.c_proj.weight", lambda weight: weight * 1e38)
    (problem,) = check(open_checkpoint(folder)).problems
    assert "overflow" in problem


def test_a_checkpoint_without_a_tokenizer_is_not_whole(folder, tmp_path_factory):
    (folder / "tokenizer.json").unlink()
    report = check(open_checkpoint(folder))
    (problem,) = report.problems
    assert "has no tokenizer" in problem and not report.sound
    assert report.entropy is not None  # the numbers are sound all the same
    gguf_file = write_gguf(tmp_path_factory.mktemp("file") / "m.gguf")
    (problem,) = check(open_checkpoint(gguf_file)).problems
    assert "tokenizer" in problem


def test_a_damaged_tokenizer_or_template_is_a_problem(folder):
    (folder / "chat_template.jinja").write_text("{% if %}")
    (problem,) = check(open_checkpoint(folder)).problems
    assert "template" in problem
    (folder / "tokenizer.json").write_text("{")
    (problem,) = check(open_checkpoint(folder)).problems
    assert "tokenizer.json" in problem


def test_what_was_decided_while_opening_is_told(folder):
    weights = load_file(folder / "model.safetensors")
    save_file({name: weight + 1 for name, weight in weights.items()}, folder / "other.safetensors")
    report = check(open_checkpoint(folder))
    assert report.sound
    assert any(
        "model.safetensors was loaded and other.safetensors was not" in said for said in report.notices
    )
