"""`check` finds what is wrong inside the numbers, which opening does not look at."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.parity import reference
from benchmarks.parity.cases import CASES
from chatterm.checkpoint.open import open_checkpoint
from chatterm.model.check import check


@pytest.fixture
def folder(tmp_path, quiet_transformers):
    case = CASES[0]
    reference.save(case, reference.make_model(case), tmp_path)
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
