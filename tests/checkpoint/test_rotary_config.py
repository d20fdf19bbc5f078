"""Rotary settings with numbers that no real model has: one sentence, or finite angles."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatterm.checkpoint.config import Config
from chatterm.checkpoint.families.gemma import FAMILIES as GEMMA
from chatterm.checkpoint.rotary_config import read_rotary
from chatterm.errors import UserError

YARN = {"rope_type": "yarn", "factor": math.e, "original_max_position_embeddings": 64}
LONGROPE = {"rope_type": "longrope", "factor": 4.0, "short_factor": [1.0] * 4, "long_factor": [2.0] * 4}


def read(scaling: dict[str, Any]) -> Any:
    config = {"max_position_embeddings": 256, "rope_scaling": scaling}
    return read_rotary(Config(config, "config.json"), 8)


@pytest.mark.parametrize(
    ("scaling", "named"),
    [
        (YARN | {"mscale": 1.0, "mscale_all_dim": -10.0}, "mscale_all_dim"),  # 0.1 · -10 · ln e + 1 = 0
        (YARN | {"mscale": 1e30}, "mscale"),
        (YARN | {"mscale": -1.0, "mscale_all_dim": 1.0}, "mscale"),
        (YARN | {"attention_factor": 1e30}, "attention_factor"),
        (YARN | {"attention_factor": 1e-30}, "attention_factor"),
        (YARN | {"beta_fast": 1e-30}, "beta_fast"),
        (YARN | {"beta_slow": 1e30}, "beta_slow"),
        (LONGROPE | {"attention_factor": 1e30}, "attention_factor"),
        (LONGROPE | {"short_factor": [5e-324] * 4}, "short_factor"),
        (LONGROPE | {"long_factor": [1.0, 1.0, 1.0, 1e-300]}, "long_factor"),
        ({"rope_type": "factors", "factors": [1e-300] * 4}, "factors"),
    ],
)
def test_numbers_that_no_model_has_are_a_sentence(scaling: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=f"“{named}” is .* but must be"):
        read(scaling)


def test_real_ones_are_read() -> None:
    assert read(YARN | {"mscale": 0.707, "mscale_all_dim": 0.707}).scaling.attention_factor == 1.0
    assert read(YARN | {"mscale": 0, "mscale_all_dim": 0}).scaling.attention_factor == pytest.approx(1.1)
    assert read({"rope_type": "factors", "factors": [1.0, 8.0, 32.0, 1e30]}).scaling.factors[-1] == 1e30


def test_a_base_of_windowed_layers_has_the_bounds_of_all_others() -> None:
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "vocab_size": 9}
    (gemma3,) = (family for family in GEMMA if family.name == "gemma3")
    config = sizes | {"max_position_embeddings": 256, "head_dim": 8, "rope_local_base_freq": 0.001}
    with pytest.raises(UserError, match="“rope_local_base_freq” is 0"):
        gemma3.options(Config(config, "config.json"))


ODD = st.sampled_from(
    [0, -0.0, 1, -1, 0.5, 1e-30, 1e-3, 1e6, 1e30, -1e30, 5e-324, math.e, -10.0, True, 10**29]
)
KEYS = (
    *("factor", "attention_factor", "mscale", "mscale_all_dim", "beta_fast", "beta_slow", "low_freq_factor"),
    *("high_freq_factor", "original_max_position_embeddings", "rope_theta"),
)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(["linear", "dynamic", "llama3", "yarn", "longrope", "factors"]),
    odd=st.dictionaries(st.sampled_from(KEYS), ODD | st.floats(), max_size=3),
    divisor=ODD | st.floats(),
)
def test_whatever_is_read_gives_finite_angles(kind: str, odd: dict[str, Any], divisor: float) -> None:
    import torch

    from chatterm.model.rotary import frequencies

    lists = {key: [1.0, 2.0, 4.0, divisor] for key in ("short_factor", "long_factor", "factors")}
    sound = {"factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    try:
        rotary = read({"rope_type": kind, **lists, **sound, **odd})
    except UserError as error:
        assert "\n" not in error.sentence
        return
    for length in (1, 300):
        angles, factor = frequencies(rotary, length)
        assert bool(torch.isfinite(angles).all()) and math.isfinite(factor)
