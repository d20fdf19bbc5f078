"""Gemma, Gemma 2 and Gemma 3 (text): scaled embeddings, tanh-gelu gate, norm weights stored as w of 1 + w."""

from __future__ import annotations

from typing import Any

from chatterm.checkpoint.architecture import Architecture, LayerOptions
from chatterm.checkpoint.config import Config
from chatterm.checkpoint.context_length import MAX_CONTEXT
from chatterm.checkpoint.families.family import (
    ATTENTION_BIAS,
    RMS_NORM,
    Family,
    common,
    head_size_of,
    layer_kinds,
    windowed_layers,
)
from chatterm.checkpoint.families.names import GGUF, LLAMA, LLAMA_SLOTS, safetensors_names, with_slots
from chatterm.checkpoint.rotary_config import rotary_by_kind
from chatterm.errors import UserError

_BIG_MODELS = {"gemma2": 46, "gemma3": 62}
"""Layers of the 27B models, whose queries are scaled by width / heads; GGUF does not record the scale."""


def _common(config: Config, family: str, **changes: Any) -> Architecture:
    if config.flag("use_bidirectional_attention"):
        raise UserError(
            f"{config.where}: this Gemma attends in both directions (“use_bidirectional_attention”): it is "
            "an embedding model and cannot chat."
        )
    return common(
        config,
        family,
        # GGUF's converter adds the 1 to the stored weights
        norm_offset=config.number("norm_offset", 1.0),
        embedding_scale=config.integer("hidden_size") ** 0.5,
        **changes,
    )


def _gemma(config: Config) -> Architecture:
    # the first releases say “gelu” and were trained with its tanh form, which transformers therefore takes
    first = config.text("hidden_act", "gelu_pytorch_tanh") == "gelu"
    return _common(config, "gemma", **({"activation": "gelu_tanh"} if first else {}))


def _query_scale(config: Config, family: str) -> float:
    divisor = config.optional_number("query_pre_attn_scalar")
    if divisor is None:
        big = config.integer("num_hidden_layers") == _BIG_MODELS[family]
        width, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
        divisor = width / heads if big else head_size_of(config)
    return float(divisor**-0.5)


def _gemma2(config: Config) -> Architecture:
    architecture = _common(
        config,
        "gemma2",
        attention_scale=_query_scale(config, "gemma2"),
        norms_after=True,
        attention_soft_cap=config.optional_number("attn_logit_softcapping"),
        logit_soft_cap=config.optional_number("final_logit_softcapping"),
    )
    windowed = layer_kinds(config, architecture.layers, lambda layer: layer % 2 == 0)
    return windowed_layers(architecture, windowed, config.integer("sliding_window", 4096))


def _gemma3(config: Config) -> Architecture:
    size = head_size_of(config)
    scale = _query_scale(config, "gemma3")
    full_rotary, local_rotary = rotary_by_kind(
        config, size, base=1_000_000.0, local_base=10_000.0, local_key="rope_local_base_freq"
    )
    full = LayerOptions(full_rotary, None, scale)
    local_layer = LayerOptions(local_rotary, config.integer("sliding_window", 4096), scale)
    pattern = config.integer("sliding_window_pattern", 6)
    windowed = layer_kinds(
        config, config.integer("num_hidden_layers", most=1024), lambda layer: (layer + 1) % pattern != 0
    )
    return _common(
        config,
        "gemma3",
        rotary=full_rotary,
        context=config.integer("max_position_embeddings", most=MAX_CONTEXT),  # scaled already
        norms_after=True,
        query_key_norm="head",
        logit_soft_cap=config.optional_number("final_logit_softcapping"),
        layer_options=tuple(local_layer if short else full for short in windowed),
    )


_GEMMA2_SLOTS = with_slots(
    LLAMA_SLOTS,
    attention_output_norm="model.layers.{}.post_attention_layernorm",
    ffn_norm="model.layers.{}.pre_feedforward_layernorm",
    ffn_output_norm="model.layers.{}.post_feedforward_layernorm",
)
_DEFAULTS = {
    "head_dim": 256,
    "hidden_act": "gelu_pytorch_tanh",
    "sliding_window": 4096,
    "tie_word_embeddings": True,
}
_GEMMA2_DEFAULTS = _DEFAULTS | {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}
_JSON_DEFAULTS = {"query_pre_attn_scalar": 256, "num_key_value_heads": 4}
_GGUF_DEFAULTS = {"norm_offset": 0.0}
_GEMMA2 = safetensors_names(_GEMMA2_SLOTS)

_KEYS = RMS_NORM | {"hidden_act": ("hidden_activation",)}

FAMILIES = (
    Family(
        "gemma",
        ("gemma",),
        ("gemma",),
        _gemma,
        LLAMA,
        GGUF,
        _DEFAULTS,
        {"num_key_value_heads": 16},
        _GGUF_DEFAULTS,
        RMS_NORM,
        ATTENTION_BIAS,
    ),
    Family(
        "gemma2",
        ("gemma2",),
        ("gemma2",),
        _gemma2,
        _GEMMA2,
        GGUF,
        _GEMMA2_DEFAULTS,
        _JSON_DEFAULTS,
        _GGUF_DEFAULTS,
        _KEYS,
        ATTENTION_BIAS,
    ),
    Family(
        "gemma3",
        ("gemma3_text",),
        ("gemma3",),
        _gemma3,
        _GEMMA2,
        GGUF,
        _DEFAULTS,
        _JSON_DEFAULTS,
        _GGUF_DEFAULTS,
        _KEYS | {"original_max_position_embeddings": ()},
        ATTENTION_BIAS,
    ),
)
