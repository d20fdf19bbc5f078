"""Keys of a GGUF file: each is read, known to change nothing, or refused by name; and what no "
"file can say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chatterm.checkpoint.architecture import Architecture, LinearScaling
from chatterm.checkpoint.describe import describe
from chatterm.checkpoint.families import BY_GGUF_ARCHITECTURE
from chatterm.checkpoint.gguf import GGUFFile
from chatterm.checkpoint.gguf_architecture import gguf_architecture
from chatterm.checkpoint.open import open_checkpoint
from chatterm.errors import UserError
from tests.checkpoint.test_open_gguf import write_gguf


def described(kind: str, **metadata: Any) -> Architecture:
    """The decoder of a file of which only the head is there."""
    keys = {key if key.startswith("general.") else f"{kind}.{key}": value for key, value in metadata.items()}
    file = GGUFFile(Path("x.gguf"), (), 3, {"general.architecture": kind, **keys}, {})
    return gguf_architecture(file, kind, BY_GGUF_ARCHITECTURE[kind])


@pytest.mark.parametrize(
    "key",
    [
        {"attention.brand_new": 1},
        {"attention.clamp_kqv": 8.0},
        {"attention.max_alibi_bias": 8.0},
        {"attention.scale": 0.1},
        {"attention.value_length": 8},
        {"attention.key_length_swa": 8},
        {"attention.shared_kv_layers": 2},
        {"attention.temperature_scale": 0.1},
        {"attention.rope_pattern": [True, False]},
        {"attention.sliding_window_pattern": [True, False]},
        {"attention.sliding_window_pattern": [True, False, True], "attention.sliding_window": 8},
        {"attn_logit_softcapping": 50.0},
        {"final_logit_softcapping": 30.0},
        {"embedding_length_per_layer_input": 8},
        {"embedding_scale": 12.0},
        {"logit_scale": 0.5},
        {"nextn_predict_layers": 1},
        {"residual_scale": 0.5},
        {"rope.dimension_count": 2},
        {"rope.scaling.alpha": 1000.0},
        {"rope.scaling.attn_factor": 1.3},
        {"rope.scaling.factor": 4.0, "rope.scaling.type": "none"},
        {"rope.scaling.yarn_ext_factor": 0.5},
        {"classifier.output_labels": ["yes", "no"]},
        {"general.quantization_version": 3},
        {"attention.causal": False},
        {"pooling_type": 3},
    ],
    ids=lambda key: ", ".join(key),
)
def test_a_key_that_would_change_the_numbers_is_refused_by_name(tmp_path, key):
    path = tmp_path / "x.gguf"
    with pytest.raises(UserError) as refusal:
        open_checkpoint(write_gguf(path, **key))
    name = next(iter(key))
    assert (name if name.startswith("general.") else f"llama.{name}") in refusal.value.sentence


def test_keys_that_change_nothing_change_nothing(tmp_path):
    plain = open_checkpoint(write_gguf(tmp_path / "plain.gguf")).architecture
    harmless: dict[str, Any] = {
        "attention.causal": True,
        "attention.clamp_kqv": 0.0,
        "attention.scale": 0.5,  # 1/√4
        "attention.sliding_window": 0,
        "attention.sliding_window_pattern": [False, False],
        "attention.value_length": 4,
        "expert_count": 0,
        "expert_used_count": 0,
        "final_logit_softcapping": 0.0,
        "logit_scale": 1.0,
        "pooling_type": 0,
        "rope.dimension_count": 4,
        "rope.dimension_sections": [1, 1, 0, 0],
        "rope.freq_base_swa": 500.0,
        "rope.scaling.attn_factor": 1.0,
        "rope.scaling.finetuned": 1,
        "rope.scaling.type": "none",
        "tensor_data_layout": "Meta AI original pth",
        "vision.block_count": 27,
        "vocab_size": 32,
    }
    assert open_checkpoint(write_gguf(tmp_path / "x.gguf", **harmless)).architecture == plain


def test_an_embedding_model_that_pools_but_has_an_output_matrix_can_write(tmp_path):
    output = {"output.weight": np.ones((32, 16), np.float32)}
    opened = open_checkpoint(write_gguf(tmp_path / "x.gguf", extra=output, pooling_type=3))
    assert not opened.architecture.tied


def test_a_factor_without_a_type_scales_linearly(tmp_path):
    opened = open_checkpoint(write_gguf(tmp_path / "x.gguf", **{"rope.scaling.factor": 4.0}))
    assert {layer.rotary.scaling for layer in opened.architecture.layer_options} == {LinearScaling(4.0)}


def test_longrope_without_its_factors_is_refused_with_the_reason(tmp_path):
    with pytest.raises(UserError, match=r"rope_factors_long.*leaves them out"):
        open_checkpoint(write_gguf(tmp_path / "x.gguf", **{"rope.scaling.type": "longrope"}))


SIZES: dict[str, Any] = {
    "context_length": 32_768,
    "embedding_length": 4096,
    "block_count": 32,
    "feed_forward_length": 14_336,
    "attention.head_count": 32,
    "attention.head_count_kv": 8,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "rope.freq_base": 10_000.0,
}


@pytest.mark.parametrize(
    ("changes", "window"),
    [
        ({"general.name": "mistralai_mistral-7b-instruct-v0.1"}, 4096),
        ({"general.name": "Mistral 7B v0.1"}, 4096),
        ({"general.name": "Mistral 7B v0.2"}, None),
        ({"general.name": "Mistral 7B v0.1", "rope.freq_base": 1e6}, None),
        ({"general.name": "Mistral 7B v0.1", "block_count": 24}, None),
        ({}, None),
    ],
    ids=str,
)
def test_a_published_mistral_has_its_window_though_no_file_says_so(changes, window):
    layers = described("llama", **(SIZES | changes)).layer_options
    assert {layer.window for layer in layers} == {window}


def test_a_published_star_coder_and_neox_have_what_no_file_says():
    sizes = SIZES | {
        "block_count": 30,
        "embedding_length": 3072,
        "context_length": 16_384,
        "attention.head_count": 24,
        "attention.head_count_kv": 2,
        "general.name": "Starcoder2 3b",
    }
    assert {layer.window for layer in described("starcoder2", **sizes).layer_options} == {4096}
    neox = SIZES | {"block_count": 44, "embedding_length": 6144, "attention.head_count": 64}
    neox |= {"attention.head_count_kv": 64, "general.basename": "gpt-neox-20b"}
    assert described("gptneox", **neox).activation == "gelu_tanh"
    assert described("gptneox", **neox | {"general.basename": "pythia"}).activation == "gelu"


def test_a_dense_granite_without_positions_has_none():
    layers = described("granite", **SIZES, **{"rope.scaling.finetuned": False}).layer_options
    assert {layer.rotary for layer in layers} == {None}


def test_what_a_file_leaves_open_is_said_with_what_was_taken(tmp_path):
    _, facts = describe(write_gguf(tmp_path / "x.gguf"))
    assert facts["not_in_the_file"] == "window (none); activation (silu)"
    _, facts = describe(write_gguf(tmp_path / "y.gguf", **{"attention.sliding_window": 8}))
    assert facts["not_in_the_file"] == "activation (silu)"
