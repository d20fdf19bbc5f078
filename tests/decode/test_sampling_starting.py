"""A checkpoint's own sampling values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatterm.decode.sampling import starting_parameters, starting_values
from chatterm.sampling import SamplingParameters

DEFAULT = SamplingParameters()


def test_a_file_that_says_nothing_leaves_the_defaults() -> None:
    assert starting_parameters({}) == (DEFAULT, ())
    assert starting_parameters({"eos_token_id": 2, "transformers_version": "5.0"}) == (DEFAULT, ())
    assert starting_parameters({"temperature": None, "top_k": None}) == (DEFAULT, ())


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        (
            {"do_sample": True, "temperature": 0.6, "top_p": 0.9},
            {"temperature": 0.6, "top_p": 0.9},
        ),
        (
            {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.05},
            {  # transformers and vLLM look back on everything
                "temperature": 0.7,
                "top_k": 20,
                "top_p": 0.8,
                "repetition_penalty": 1.05,
                "penalty_last_n": -1,
            },
        ),
        ({"min_p": 0.1, "typical_p": 0.9}, {"min_p": 0.1, "typical_p": 0.9}),
        ({"top_k": 50.0, "temperature": 1}, {"top_k": 50, "temperature": 1.0}),
        ({"top_k": -1}, {"top_k": 0}),
        ({"do_sample": False}, {"temperature": 0.0}),
        (
            {"general.sampling.temp": 0.949999988079071, "general.sampling.top_k": 64},
            {"temperature": 0.95, "top_k": 64},
        ),
        (
            {
                "general.sampling.top_p": 0.5,
                "general.sampling.min_p": 0.25,
                "general.sampling.xtc_probability": 0.5,
                "general.sampling.xtc_threshold": 0.25,
                "general.sampling.penalty_last_n": 128,
                "general.sampling.penalty_repeat": 1.5,
                "general.sampling.mirostat": 2,
                "general.sampling.mirostat_tau": 4.0,
                "general.sampling.mirostat_eta": 0.25,
            },
            {
                "top_p": 0.5,
                "min_p": 0.25,
                "xtc_probability": 0.5,
                "xtc_threshold": 0.25,
                "penalty_last_n": 128,
                "repetition_penalty": 1.5,
                "mirostat": 2,
                "mirostat_tau": 4.0,
                "mirostat_eta": 0.25,
            },
        ),
        (
            {"general.sampling.sequence": "penalties;top_k;typ_p;temperature"},
            {"order": ("penalties", "top_k", "typical", "temperature")},
        ),
    ],
)
def test_values_are_taken_and_named(file: dict[str, object], fields: dict[str, object]) -> None:
    values = starting_values(file)
    assert values.parameters == DEFAULT.replace(**fields)
    assert set(values.taken) == set(fields)
    assert values.notices == ()
    assert starting_parameters(file) == (values.parameters, values.taken)


@pytest.mark.parametrize(
    "file",
    [
        {"temperature": -1.0},
        {"temperature": 1e9},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"temperature": "0.7"},
        {"temperature": True},
        {"temperature": 10**400},
        {"temperature": [0.7]},
        {"top_p": 1.5},
        {"top_k": 2.5},
        {"repetition_penalty": 0},
        {"general.sampling.mirostat": 1},
        {"general.sampling.sequence": "top_k;grammar"},
        {"general.sampling.sequence": 7},
        {"general.sampling.sequence": ""},
        {"encoder_no_repeat_ngram_size": 3},
        {"epsilon_cutoff": 0.01},
        {"guidance_scale": 1.5},
        {"num_beams": 4},
    ],
)
def test_a_value_that_cannot_be_used_is_left_out_and_said(file: dict[str, object]) -> None:
    values = starting_values(file)
    assert values.parameters == DEFAULT
    assert values.taken == ()
    assert len(values.notices) == 1
    assert next(iter(file)).removeprefix("general.sampling.").split("_")[0] in values.notices[0]
    assert len(values.notices[0]) < 200


def test_one_bad_value_does_not_spoil_the_others() -> None:
    values = starting_values({"temperature": 0.6, "top_p": 7})
    assert values.parameters == DEFAULT.replace(temperature=0.6)
    assert values.taken == ("temperature",)


def test_greedy_decoding_with_a_temperature_takes_the_temperature_and_says_so() -> None:
    values = starting_values({"do_sample": False, "temperature": 0.6})
    assert values.parameters.temperature == 0.6
    assert "greedy" in values.notices[0]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["temperature", "top_k", "top_p", "do_sample", "num_beams", "general.sampling.sequence"]
        ),
        json_values,
    )
)
def test_no_file_makes_it_fail(file: dict[str, object]) -> None:
    parameters, taken, notices = starting_values(file)
    assert math.isfinite(parameters.temperature)
    assert len(taken) + len(notices) <= len(file)
