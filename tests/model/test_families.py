"""Families: their defaults are those of transformers, and every option of theirs matters to the numbers."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from benchmarks.parity.cases import CASES
from chatterm.checkpoint.families import FAMILIES
from chatterm.checkpoint.families.family import Family
from chatterm.checkpoint.json_config import read_json_config
from chatterm.checkpoint.open import Checkpoint
from chatterm.model.decoder import Decoder
from chatterm.model.load import load_decoder

SIZES = {
    *("hidden_size", "n_embd", "num_hidden_layers", "n_layer", "num_attention_heads", "n_head", "vocab_size"),
    *("intermediate_size", "num_kv_heads", "max_position_embeddings", "n_positions", "model_type"),
    *("num_local_experts", "layer_types", "shared_intermediate_size"),  # what makes a Granite 4 dense
}
DENSE = {"granite4": {"num_local_experts": 0, "layer_types": ["full_attention"] * 32}}
TOKENS = torch.randint(3, 128, (40,), generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_missing_keys_mean_what_they_mean_in_transformers(family: Family, quiet_transformers):
    from transformers import AutoConfig

    full = AutoConfig.for_model(family.model_types[0], **DENSE.get(family.name, {})).to_dict()
    stated = read_json_config(full, "everything stated")
    sizes = {key: value for key, value in full.items() if key in SIZES}
    assert read_json_config(sizes, "only sizes stated") == stated


CHANGES: dict[str, Any] = {
    "norm_eps": lambda a: a.norm_eps * 1.5,
    "norm_offset": lambda a: a.norm_offset + 0.1,
    "activation": lambda a: {"gelu": "gelu_tanh", "gelu_tanh": "gelu", "silu": "gelu_tanh"}[a.activation],
    "embedding_scale": lambda a: a.embedding_scale * 1.1,
    "residual_scale": lambda a: a.residual_scale * 1.1,
    "logit_scale": lambda a: a.logit_scale * 1.1,
    "attention_soft_cap": lambda a: 10.0 if a.attention_soft_cap is None else None,
    "logit_soft_cap": lambda a: 10.0 if a.logit_soft_cap is None else None,
    "window": lambda a: tuple(
        dataclasses.replace(layer, window=20 if layer.window is None else layer.window + 1)
        for layer in a.layer_options
    ),
    "attention_scale": lambda a: tuple(
        dataclasses.replace(layer, attention_scale=layer.attention_scale * 1.1) for layer in a.layer_options
    ),
    "rotary": lambda a: tuple(
        dataclasses.replace(layer, rotary=layer.rotary and dataclasses.replace(layer.rotary, base=9_000.0))
        for layer in a.layer_options
    ),
}
SAMPLE = [
    *("gpt2, tied", "gpt_neox, parallel", "llama, untied", "gemma2, tight soft-caps", "granite, multipliers"),
    *("gemma3_text, windows, two rotary bases", "falcon, one key"),
    "cohere2, windows, full layers without rotary",
]
WITHOUT = {("gpt2, tied", "rotary")}
WITH_LAYER_NORM = ("gpt2", "gpt_neox", "falcon", "cohere2")
PAIRS = [
    (name, change)
    for name in SAMPLE
    for change in CHANGES
    if (name, change) not in WITHOUT
    and not (change == "norm_offset" and name.split(",")[0] in WITH_LAYER_NORM)
]


@pytest.mark.parametrize(("name", "change"), PAIRS)
def test_a_wrong_option_would_be_seen_by_the_parity_test(name, change, tiny_checkpoint, tiny_decoder):
    """The random checkpoints must be such that every part of the decoder shows in the numbers."""
    assert name in {case.name for case in CASES}
    decoder: Decoder = tiny_decoder(name)
    altered = load_decoder(_changed(tiny_checkpoint(name), change))
    ours = altered(TOKENS, altered.new_cache(40), last_only=False).log_softmax(-1)
    right = decoder(TOKENS, decoder.new_cache(40), last_only=False).log_softmax(-1)
    assert (ours - right).abs().max() > 3e-4


def _changed(checkpoint: Checkpoint, change: str) -> Checkpoint:
    a = checkpoint.architecture
    field = "layer_options" if change in ("window", "attention_scale", "rotary") else change
    return dataclasses.replace(checkpoint, architecture=dataclasses.replace(a, **{field: CHANGES[change](a)}))


@pytest.mark.parametrize("name", SAMPLE)
def test_bfloat16_stays_near_float32(name, tiny_checkpoint):
    exact = load_decoder(tiny_checkpoint(name))
    rough = load_decoder(tiny_checkpoint(name), dtype=torch.bfloat16)
    with_float32 = exact(TOKENS, exact.new_cache(40), last_only=False).softmax(-1)
    with_bfloat16 = rough(TOKENS, rough.new_cache(40), last_only=False).softmax(-1)
    assert with_bfloat16.dtype == torch.float32
    assert 1e-6 < (with_float32 - with_bfloat16).abs().max() < 0.1
    cache = rough.new_cache(40)
    stepped = torch.stack([rough(token.view(1), cache) for token in TOKENS]).softmax(-1)
    assert (stepped - with_bfloat16).abs().max() < 0.1
