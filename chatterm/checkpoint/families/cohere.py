"""Command R (cohere, cohere2) and StableLM: LayerNorm, gated SiLU, often in parallel."""

from __future__ import annotations

from dataclasses import replace

from chatterm.checkpoint.architecture import Architecture
from chatterm.checkpoint.config import Config
from chatterm.checkpoint.families.family import (
    ATTENTION_BIAS,
    LAYER_NORM,
    NORMS,
    Family,
    common,
    layer_kinds,
    partial_rotary,
)
from chatterm.checkpoint.families.names import GGUF, GGUF_ADJACENT, LLAMA_SLOTS, safetensors_names, with_slots


def _command(config: Config, family: str, **changes: object) -> Architecture:
    return common(
        config,
        family,
        norm="layer",
        parallel=True,
        shared_norm=True,
        logit_scale=config.number("logit_scale", 0.0625),
        **changes,
    )


def _cohere(config: Config) -> Architecture:
    return _command(config, "cohere", query_key_norm="each_head" if config.flag("use_qk_norm") else None)


def _cohere2(config: Config) -> Architecture:
    architecture = _command(config, "cohere2")
    window = config.integer("sliding_window", 4096)
    pattern = config.integer("sliding_window_pattern", 4)
    windowed = layer_kinds(config, architecture.layers, lambda layer: (layer + 1) % pattern != 0)
    layers = zip(architecture.layer_options, windowed, strict=True)
    return replace(
        architecture,
        layer_options=tuple(
            replace(layer, window=window) if short else replace(layer, rotary=None) for layer, short in layers
        ),
    )


def _stablelm(config: Config) -> Architecture:
    parallel = config.flag("use_parallel_residual")
    return common(
        config,
        "stablelm",
        norm="layer",
        parallel=parallel,
        shared_norm=parallel,
        query_key_norm="each_head" if config.flag("qk_layernorm") else None,
        rotary=partial_rotary(config),
    )


_COHERE = safetensors_names(with_slots(LLAMA_SLOTS, ffn_norm=""), adjacent_pairs=True)
_STABLELM = safetensors_names(
    with_slots(
        LLAMA_SLOTS,
        query_norm="model.layers.{}.self_attn.q_layernorm.norms.{head}",
        key_norm="model.layers.{}.self_attn.k_layernorm.norms.{head}",
    )
)

_STABLELM_BIASES: dict[str, str | bool] = dict.fromkeys(("queries", "keys", "values"), "use_qkv_bias")

FAMILIES = (
    Family(
        "cohere",
        ("cohere",),
        ("command-r",),
        _cohere,
        _COHERE,
        GGUF_ADJACENT,
        {"norm_eps": 1e-5, "rope_theta": 500_000.0, "tie_word_embeddings": True},
        keys=LAYER_NORM,
        biases=ATTENTION_BIAS,
    ),
    Family(
        "cohere2",
        ("cohere2",),
        ("cohere2",),
        _cohere2,
        _COHERE,
        GGUF_ADJACENT,
        {"norm_eps": 1e-5, "sliding_window": 4096, "tie_word_embeddings": True},
        keys=LAYER_NORM,
        biases=ATTENTION_BIAS,
    ),
    Family(
        "stablelm",
        ("stablelm", "stablelm_epoch"),
        ("stablelm",),
        _stablelm,
        _STABLELM,
        GGUF,
        {"norm_eps": 1e-5},
        {"partial_rotary_factor": 0.25, "num_key_value_heads": 32},
        keys={
            "norm_eps": ("layer_norm_eps", "norm_eps"),  # the older ones' name
            "partial_rotary_factor": ("partial_rotary_factor", "rope_pct"),
            "head_dim": (),
        },
        biases=_STABLELM_BIASES | dict.fromkeys(NORMS, True),
    ),
)
