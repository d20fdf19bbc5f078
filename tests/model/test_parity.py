"""Our log-probabilities are those of Hugging Face transformers, for the whole table of cases."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.parity.cases import CASES, Case
from benchmarks.parity.measure import TOLERANCE, measure
from chatterm.checkpoint.families import FAMILIES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_log_probabilities_agree_with_transformers(case: Case, tmp_path: Path, quiet_transformers):
    differences = list(measure(case, tmp_path))
    assert {difference.format for difference in differences} >= {"safetensors"}
    assert (len(list((tmp_path / "checkpoint").glob("*.safetensors"))) > 1) == case.sharded
    assert all(difference.worst < TOLERANCE for difference in differences), differences


def test_the_table_covers_every_family_in_both_styles_and_formats():
    for family in FAMILIES:
        cases = [case for case in CASES if case.family in family.model_types]
        assert cases, family.name
        assert any(case.gguf for case in cases), family.name
        if family.name != "gpt2":  # has no rotary settings, so no second style
            assert {case.style for case in cases} == {"new", "old"}, family.name


def test_the_table_covers_what_a_checkpoint_may_vary_in():
    for family in FAMILIES:
        kinds = {(case.rope or {}).get("rope_type") for case in CASES if case.family in family.model_types}
        if family.name == "phi3":
            assert kinds >= {None, "longrope"}
        elif family.name == "granite4":
            assert kinds == {None}  # Granite 3 with other names
        elif family.name not in ("gpt2", "gemma3", "olmo3"):  # no rotary; one setting per layer type
            assert kinds >= {None, "linear", "dynamic", "llama3", "yarn"}, family.name
    assert {case.dtype for case in CASES} == {"float32", "float16", "bfloat16"}
    assert {case.sharded for case in CASES} == {True, False}
    assert {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"} <= {case.gguf_type for case in CASES}
    assert len({case.name for case in CASES}) == len(CASES)
