"""Families with Llama's block: RMSNorm, rotary, gated SiLU feed-forward."""

from __future__ import annotations

from dataclasses import replace

from chatterm.checkpoint.architecture import Architecture
from chatterm.checkpoint.config import Config
from chatterm.checkpoint.families.family import Family, common, layer_kinds
from chatterm.checkpoint.families.names import (
    GGUF,
    GGUF_ADJACENT,
    LLAMA,
    LLAMA_SLOTS,
    safetensors_names,
    with_slots,
)


def _llama(config: Config) -> Architecture:
    return common(config, "llama")


def _mistral(config: Config) -> Architecture:
    return common(config, "mistral", window=config.optional_integer("sliding_window"))


def _some_windowed(architecture: Architecture, windowed: tuple[bool, ...], window: int) -> Architecture:
    layers = zip(architecture.layer_options, windowed, strict=True)
    return replace(
        architecture,
        layer_options=tuple(replace(layer, window=window) if short else layer for layer, short in layers),
    )


def _qwen(config: Config, family: str, **changes: object) -> Architecture:
    architecture = common(config, family, **changes)
    window = config.optional_integer("sliding_window")
    if window is None or not config.flag("use_sliding_window"):
        return architecture
    first = config.integer("max_window_layers", 28, least=0)
    windowed = layer_kinds(config, architecture.layers, lambda layer: layer >= first)
    return _some_windowed(architecture, windowed, window)


def _qwen2(config: Config) -> Architecture:
    return _qwen(config, "qwen2")


def _qwen3(config: Config) -> Architecture:
    return _qwen(config, "qwen3", query_key_norm="head")


def _olmo2(config: Config) -> Architecture:
    return common(config, "olmo2", norms_before=False, norms_after=True, query_key_norm="vector")


def _granite(config: Config) -> Architecture:
    gguf_scale = config.get("logit_scale")  # GGUF's name for the same divisor
    divisor = config.number(
        "logits_scaling", 1.0 if gguf_scale is None else config.number("logit_scale", least=1e-9), least=1e-9
    )
    return common(
        config,
        "granite",
        embedding_scale=config.number("embedding_multiplier", 1.0),
        residual_scale=config.number("residual_multiplier", 1.0),
        attention_scale=config.number("attention_multiplier", 1.0),
        logit_scale=1.0 / divisor,
    )


def _smollm3(config: Config) -> Architecture:
    architecture = common(config, "smollm3")
    layers = architecture.layers
    stated = config.numbers("no_rope_layers")  # 1 = with rotary, 0 = without
    interval = config.integer("no_rope_layer_interval", 4)
    rotated = (
        [(layer + 1) % interval != 0 for layer in range(layers)]
        if stated is None
        else list(map(bool, stated))
    )
    if len(rotated) < layers:
        raise config.wrong("no_rope_layers", config.get("no_rope_layers"), f"a list of {layers} numbers")
    options = zip(architecture.layer_options, rotated[:layers], strict=True)
    architecture = replace(
        architecture,
        layer_options=tuple(layer if turns else replace(layer, rotary=None) for layer, turns in options),
    )
    window = config.optional_integer("sliding_window")
    if window is None or not config.flag("use_sliding_window"):
        return architecture
    return _some_windowed(architecture, layer_kinds(config, layers, lambda layer: not rotated[layer]), window)


def _starcoder2(config: Config) -> Architecture:
    return common(
        config, "starcoder2", norm="layer", gated=False, window=config.optional_integer("sliding_window")
    )


_OLMO2_SLOTS = with_slots(
    LLAMA_SLOTS,
    attention_norm="",
    ffn_norm="",
    attention_output_norm="model.layers.{}.post_attention_layernorm",
    ffn_output_norm="model.layers.{}.post_feedforward_layernorm",
)
_STARCODER2_SLOTS = with_slots(
    LLAMA_SLOTS, gate="", up="model.layers.{}.mlp.c_fc", down="model.layers.{}.mlp.c_proj"
)

FAMILIES = (
    Family("llama", ("llama",), ("llama",), _llama, LLAMA, GGUF_ADJACENT),
    Family(
        "mistral", ("mistral",), (), _mistral, LLAMA, GGUF_ADJACENT, json_defaults={"sliding_window": 4096}
    ),
    Family("qwen2", ("qwen2",), ("qwen2",), _qwen2, LLAMA, GGUF, {"sliding_window": 4096}),
    Family("qwen3", ("qwen3",), ("qwen3",), _qwen3, LLAMA, GGUF, {"sliding_window": 4096, "head_dim": 128}),
    Family(
        "olmo2", ("olmo2",), ("olmo2",), _olmo2, safetensors_names(_OLMO2_SLOTS), GGUF, {"rms_norm_eps": 1e-5}
    ),
    Family("granite", ("granite",), ("granite",), _granite, LLAMA, GGUF_ADJACENT),
    Family(
        "smollm3",
        ("smollm3",),
        ("smollm3",),
        _smollm3,
        LLAMA,
        GGUF_ADJACENT,
        {"rope_theta": 2_000_000.0, "tie_word_embeddings": True},
    ),
    Family(
        "starcoder2",
        ("starcoder2",),
        ("starcoder2",),
        _starcoder2,
        safetensors_names(_STARCODER2_SLOTS),
        GGUF,
        {"norm_epsilon": 1e-5, "hidden_act": "gelu_pytorch_tanh", "tie_word_embeddings": True},
    ),
)
