"""config.json: each key that changes the numbers is read, known to change nothing, or refused by name."""

from __future__ import annotations

import functools
import json
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.parity.cases import TRAINED, WINDOW
from benchmarks.parity.key_rotary import DROPPED
from benchmarks.parity.keys import outcome
from chatterm.checkpoint.config import Config
from chatterm.checkpoint.families import BY_MODEL_TYPE
from chatterm.checkpoint.families.refused import refuse_config
from chatterm.checkpoint.json_config import read_json_config
from chatterm.checkpoint.open import open_checkpoint
from chatterm.checkpoint.unread import is_known
from chatterm.errors import UserError
from tests.checkpoint.written import CONFIG, weights, write

PUBLISHED: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "checkpoint" / "published_configs.json").read_text("utf-8")
)
"""Configurations of published checkpoints, with the keys that they really carry, useful or not."""
FULL, SHORT = "full_attention", "sliding_attention"
LINEAR = {"rope_type": "linear", "factor": 4.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": TRAINED}
NEWER = {"rope_type": "default", "rope_theta": 300.0}

AS_TRANSFORMERS: list[tuple[str, dict[str, Any]]] = [
    # rotary settings in both styles at once
    ("llama", {"rope_parameters": NEWER, "rope_scaling": LINEAR}),
    ("llama", {"rope_parameters": NEWER, "rope_scaling": LINEAR, "rope_theta": 777.0}),
    ("llama", {"rope_parameters": NEWER, "rope_scaling": YARN | {"rope_theta": 90.0}, "rope_theta": 777.0}),
    ("llama", {"rope_parameters": NEWER, "rope_scaling": {}, "rope_theta": 777.0}),
    ("qwen2", {"rope_parameters": YARN, "original_max_position_embeddings": 64}),
    ("phi", {"rope_parameters": {"rope_type": "default"}, "partial_rotary_factor": 0.25}),
    ("gpt_neox", {"rope_parameters": DROPPED, "rotary_pct": 0.5, "rotary_emb_base": 500, "rope_theta": 90}),
    ("gemma3_text", {"rope_scaling": LINEAR, "rope_theta": 500.0, "rope_local_base_freq": 90.0}),
    ("gemma3_text", {"rope_parameters": {SHORT: LINEAR | {"rope_theta": 90.0}}, "rope_theta": 500.0}),
    ("olmo3", {"rope_scaling": YARN | {"attention_factor": 1.3}}),
    # the activation, under the family's own name for it
    ("gemma", {"hidden_act": "silu", "hidden_activation": "relu"}),
    ("gemma", {"hidden_act": "gelu"}),
    ("gemma", {"hidden_act": "gelu_python"}),
    ("gemma2", {"hidden_activation": "relu", "hidden_act": "silu"}),
    ("gemma3_text", {"hidden_activation": "gelu"}),
    ("falcon", {"activation": "relu", "hidden_act": "silu"}),
    # another family's name beside the family's own
    ("llama", {"n_embd": 32, "n_head": 2, "n_layer": 1, "n_inner": 16, "layer_norm_eps": 0.05}),
    ("starcoder2", {"norm_epsilon": 0.05, "rms_norm_eps": 1e-6, "layer_norm_eps": 1e-6}),
    ("gpt2", {"n_inner": 80, "intermediate_size": 256}),
    # which layers have windows
    ("mistral", {"layer_types": [FULL, SHORT, FULL]}),
    ("smollm3", {"layer_types": [SHORT, FULL] * 2 + [SHORT], "sliding_window": 8}),
    ("qwen3", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 2}),
    ("olmo3", {"layer_types": [FULL, SHORT, FULL, SHORT, SHORT]}),
    # dense Granite 4
    ("granitemoehybrid", {"layer_types": ["attention"] * 3}),
    ("granitemoehybrid", {"position_embedding_type": "nope", "intermediate_size": 7, "mamba_d_state": 3}),
    ("falcon", {"num_kv_heads": 3}),
    # explicit nulls, and values that change nothing
    ("starcoder2", {"num_key_value_heads": 4, "clip_qkv": None, "is_causal": True, "per_layer_config": {}}),
    ("llama", {"attention_dropout": 0.5, "mlp_bias": False, "pretraining_tp": 2, "unsloth_fixed": True}),
    ("gpt2", {"reorder_and_upcast_attn": True, "summary_type": "last", "n_ctx": 7}),
]  # fmt: skip


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """One folder for each family: its checkpoint is made once."""
    return functools.cache(lambda family: tmp_path_factory.mktemp(family))


@pytest.mark.parametrize(("family", "change"), AS_TRANSFORMERS)
def test_what_the_configuration_says_is_what_transformers_makes_of_it(
    family, change, scratch, quiet_transformers
):
    found = outcome(family, "new", change, scratch(family))
    assert found.kind == "right", found.line()


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("llama", {"is_causal": False}, "is_causal"),
    ("gemma3_text", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
    ("llama", {"sliding_window": WINDOW}, "sliding_window"),
    ("llama", {"clip_qkv": 8.0}, "clip_qkv"),
    ("qwen2", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
    ("mistral", {"residual_multiplier": 0.4}, "residual_multiplier"),
    ("llama", {"per_layer_config": {"0": {"intermediate_size": 80}}}, "per_layer_config"),
    ("cohere2", {"use_qk_norm": True}, "use_qk_norm"),
    ("llama", {"rope_scaling": {"type": "dynamic", "factor": 2.0, "alpha": 1000.0}}, "rope_scaling.alpha"),
    ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
    ("llama", {"rope_parameters": {FULL: LINEAR, SHORT: LINEAR}}, FULL),
    ("olmo3", {"rope_parameters": {FULL: YARN | {"truncate": False}}}, "truncate"),
    ("olmo3", {"rope_parameters": None, "rope_theta": 10_000.0}, "rope_theta"),
    ("gemma3_text", {"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 8}}, "rope_type"),
    ("gemma3_text", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
    ("qwen3", {"layer_types": [FULL, SHORT, FULL]}, "sliding_window"),
    ("llama", {"layer_types": [FULL, FULL, "linear_attention"]}, "layer_types"),
    ("gpt2", {"activation_function": "mish"}, "activation_function"),
    ("llama", {"attention_bias": True, "num_experts_per_tok": 2}, "num_experts_per_tok"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "change", "named"), REFUSED)
def test_what_nobody_reads_is_refused_by_its_name(family, change, named, quiet_transformers):
    from transformers import AutoConfig

    from benchmarks.parity.key_values import BASES
    from benchmarks.parity.reference import options_of

    before = AutoConfig.for_model(family, **options_of(family, BASES[family])).to_dict()
    read_json_config(before, "config.json")
    with pytest.raises(UserError) as raised:
        read_json_config(before | change, "config.json")
    assert f"“{named}”" in raised.value.sentence and "\n" not in raised.value.sentence


@pytest.mark.parametrize("name", PUBLISHED)
def test_keys_of_published_checkpoints_stand_in_nobodys_way(name):
    refuse_config(PUBLISHED[name], "it")
    architecture = read_json_config(PUBLISHED[name], "config.json")
    assert architecture.layers >= 6 and architecture.context >= 1024


def test_what_the_published_ones_say_is_read():
    phi4, olmo3 = (read_json_config(PUBLISHED[name], "it") for name in ("Phi-4 mini", "OLMo 3 7B"))
    assert phi4.layer_options[0].rotary.dimensions == 96  # three quarters of 128
    assert [layer.window for layer in olmo3.layer_options[:5]] == [4096, 4096, 4096, None, 4096]
    assert [bool(layer.rotary.scaling) for layer in olmo3.layer_options[:4]] == [False, False, False, True]
    falcon = read_json_config(PUBLISHED["Falcon 7B, first release"], "it")
    assert (falcon.layers, falcon.heads, falcon.kv_heads, falcon.ffn_width) == (32, 71, 1, 4 * 4544)


@pytest.mark.parametrize(
    "kind", [kind for kind in BY_MODEL_TYPE if kind.islower() and kind != "stablelm_epoch"]
)
def test_no_key_of_transformers_own_classes_is_unknown(kind, quiet_transformers):
    """Another version of transformers may add one: then it has to be read, or said to be harmless."""
    from transformers import AutoConfig

    dense = {"num_local_experts": 0, "layer_types": [FULL] * 32} if kind == "granitemoehybrid" else {}
    made = AutoConfig.for_model(kind, **dense)
    family = BY_MODEL_TYPE[kind]
    values = dict.fromkeys(field.name for field in fields(made)) | made.to_dict()
    config = Config(values, "it", {**family.defaults, **family.json_defaults}, family.keys)
    family.options(config)
    assert [key for key, _ in config.unread() if not is_known(key)] == []


@pytest.mark.parametrize(
    ("classes", "refused"),
    [
        (["LlamaForCausalLM"], False),
        (["LlamaModel"], False),  # the same decoder under its bare name
        (["Qwen3Model", "Qwen3ForCausalLM"], False),
        (None, False),
        ([], False),
        (["LlamaForSequenceClassification"], True),
        (["Qwen3ForTokenClassification"], True),
        (["MistralForQuestionAnswering"], True),
        (["LlamaBidirectionalForSequenceClassification"], True),
        (["LlamaBidirectionalModel"], True),
        (["GPT2DoubleHeadsModel"], True),
    ],
)
def test_a_class_that_does_something_else_than_write_is_refused(classes, refused):
    config = {"model_type": "llama", "architectures": classes}
    if not refused:
        return refuse_config(config, "it")
    with pytest.raises(UserError, match=f"“{classes[0]}”, which judges or embeds"):
        refuse_config(config, "it")


@pytest.mark.parametrize(
    ("said", "bias", "sentence"),
    [
        ({"attention_bias": True}, "self_attn.q_proj", None),
        ({"attention_bias": False}, "self_attn.q_proj", "“attention_bias” is not true"),
        ({}, "self_attn.o_proj", "“attention_bias” is not true"),
        ({"attention_bias": True}, "mlp.down_proj", "“mlp_bias” is not true"),
        ({"mlp_bias": True}, "mlp.down_proj", None),
        ({"attention_bias": True, "mlp_bias": True}, "input_layernorm", "a llama decoder has none"),
        ({"model_type": "mistral", "attention_bias": True}, "self_attn.q_proj", "a mistral decoder has none"),
    ],
)
def test_a_bias_that_the_configuration_denies_is_refused(said, bias, sentence, tmp_path):
    """transformers would leave it aside with a warning; whoever wrote it meant it."""
    arrays = weights()
    for layer in range(2):
        size = arrays[f"model.layers.{layer}.{bias}.weight"].shape[0]
        arrays[f"model.layers.{layer}.{bias}.bias"] = np.ones(size, np.float32)
    folder = write(tmp_path / "model", CONFIG | said, arrays)
    if sentence is None:
        assert f"0.{SLOTS[bias]}.bias" in open_checkpoint(folder).layout
        return
    with pytest.raises(UserError, match=re.escape(sentence)):
        open_checkpoint(folder)


SLOTS = {"self_attn.q_proj": "queries", "mlp.down_proj": "down"}
