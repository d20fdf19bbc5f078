"""Phi (1, 1.5, 2) and Phi-3."""

from __future__ import annotations

from chatterm.checkpoint.architecture import Architecture
from chatterm.checkpoint.config import Config
from chatterm.checkpoint.families.family import (
    ATTENTION,
    FEED_FORWARD,
    LAYER_NORM,
    NORMS,
    RMS_NORM,
    Family,
    common,
    partial_rotary,
)
from chatterm.checkpoint.families.names import GGUF, LLAMA_SLOTS, gguf_names, safetensors_names, with_slots


def _phi(config: Config) -> Architecture:
    return common(
        config,
        "phi",
        norm="layer",
        gated=False,
        parallel=True,
        shared_norm=True,
        query_key_norm="head" if config.flag("qk_layernorm") else None,
        rotary=partial_rotary(config),
    )


def _phi3(config: Config) -> Architecture:
    return common(
        config,
        "phi3",
        window=config.optional_integer("sliding_window"),
        # the first releases called LongRoPE "su", a later one "yarn"
        rotary=partial_rotary(config, longrope_names=("longrope", "su", "yarn")),
    )


_PHI_SLOTS = with_slots(
    LLAMA_SLOTS,
    final_norm="model.final_layernorm",
    attention_output="model.layers.{}.self_attn.dense",
    query_norm="model.layers.{}.self_attn.q_layernorm",
    key_norm="model.layers.{}.self_attn.k_layernorm",
    ffn_norm="",
    gate="",
    up="model.layers.{}.mlp.fc1",
    down="model.layers.{}.mlp.fc2",
)
_PHI3_SLOTS = with_slots(
    LLAMA_SLOTS,
    queries="",
    keys="",
    values="",
    qkv="model.layers.{}.self_attn.qkv_proj",
    gate="",
    up="",
    gate_up="model.layers.{}.mlp.gate_up_proj",
)

FAMILIES = (
    Family(
        "phi",
        ("phi",),
        ("phi2",),
        _phi,
        safetensors_names(_PHI_SLOTS),
        GGUF,
        {"norm_eps": 1e-5, "hidden_act": "gelu_new"},
        {"partial_rotary_factor": 0.5},
        keys=LAYER_NORM,
        biases=dict.fromkeys(
            (*ATTENTION, *FEED_FORWARD, *NORMS, "query_norm", "key_norm", "unembedding"), True
        ),
    ),
    Family(
        "phi3",
        ("phi3",),
        ("phi3",),
        _phi3,
        safetensors_names(_PHI3_SLOTS),
        gguf_names(gate="", up="", gate_up="blk.{}.ffn_up"),
        {"norm_eps": 1e-5},
        {"original_max_position_embeddings": 4096},
        keys=RMS_NORM,
    ),
)
