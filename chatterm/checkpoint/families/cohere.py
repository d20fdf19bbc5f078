"""Command R (cohere, cohere2) and StableLM: LayerNorm, gated SiLU, often in parallel."""

from __future__ import annotations

from dataclasses import replace

from chatterm.checkpoint.architecture import Architecture
from chatterm.checkpoint.config import Config
from chatterm.checkpoint.families.family import Family, common, layer_kinds, partial_rotary
from chatterm.checkpoint.families.names import GGUF, GGUF_ADJACENT, LLAMA_SLOTS, safetensors_names, with_slots


def _cohere(config: Config) -> Architecture:
    return common(
        config,
        "cohere",
        norm="layer",
        parallel=True,
        shared_norm=True,
        query_key_norm="each_head" if config.flag("use_qk_norm") else None,
        logit_scale=config.number("logit_scale", 0.0625),
    )


def _cohere2(config: Config) -> Architecture:
    architecture = replace(_cohere(config), family="cohere2", query_key_norm=None)
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

FAMILIES = (
    Family(
        "cohere",
        ("cohere",),
        ("command-r",),
        _cohere,
        _COHERE,
        GGUF_ADJACENT,
        {"norm_eps": 1e-5, "rope_theta": 500_000.0, "tie_word_embeddings": True},
    ),
    Family(
        "cohere2",
        ("cohere2",),
        ("cohere2",),
        _cohere2,
        _COHERE,
        GGUF_ADJACENT,
        {"norm_eps": 1e-5, "sliding_window": 4096, "tie_word_embeddings": True},
    ),
    Family(
        "stablelm",
        ("stablelm", "stablelm_epoch"),
        ("stablelm",),
        _stablelm,
        _STABLELM,
        GGUF,
        {"norm_eps": 1e-5},
        {"partial_rotary_factor": 0.25},
    ),
)
