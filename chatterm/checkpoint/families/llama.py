"""Families with Llama's block: RMSNorm, rotary, gated SiLU feed-forward."""

from __future__ import annotations

from dataclasses import replace

from chatterm.checkpoint.architecture import Architecture, LayerOptions
from chatterm.checkpoint.config import Config
from chatterm.checkpoint.families.family import (
    ATTENTION,
    ATTENTION_BIAS,
    BOTH_BIASES,
    FEED_FORWARD,
    NORMS,
    RMS_NORM,
    Family,
    common,
    head_size_of,
    layer_kinds,
    windowed_layers,
)
from chatterm.checkpoint.families.names import (
    GGUF,
    GGUF_ADJACENT,
    LLAMA,
    LLAMA_SLOTS,
    safetensors_names,
    with_slots,
)
from chatterm.checkpoint.rotary_config import rotary_by_kind


def _llama(config: Config) -> Architecture:
    return common(config, "llama")


def _mistral(config: Config) -> Architecture:
    """Windows in all layers, or in those that `layer_types` names (Ministral, under either name)."""
    architecture = common(config, "mistral")
    window = config.optional_integer("sliding_window")
    windowed = layer_kinds(config, architecture.layers, lambda _: window is not None)
    if window is None:
        return _without_windows(config, architecture, windowed)
    return windowed_layers(architecture, windowed, window)


def _without_windows(config: Config, architecture: Architecture, windowed: tuple[bool, ...]) -> Architecture:
    if any(windowed):
        raise config.wrong("sliding_window", None, "a number of positions: “layer_types” has windowed layers")
    return architecture


def _qwen(config: Config, family: str, **changes: object) -> Architecture:
    architecture = common(config, family, **changes)
    window = config.optional_integer("sliding_window") if config.flag("use_sliding_window") else None
    first = config.integer("max_window_layers", 28, least=0)
    windowed = layer_kinds(config, architecture.layers, lambda layer: window is not None and layer >= first)
    config.pass_over("sliding_window")
    if window is None:
        return _without_windows(config, architecture, windowed)
    return windowed_layers(architecture, windowed, window)


def _qwen2(config: Config) -> Architecture:
    return _qwen(config, "qwen2")


def _qwen3(config: Config) -> Architecture:
    return _qwen(config, "qwen3", query_key_norm="head")


def _olmo2(config: Config) -> Architecture:
    return common(config, "olmo2", norms_before=False, norms_after=True, query_key_norm="vector")


def _olmo3(config: Config) -> Architecture:
    """OLMo 2 with windows in three of four layers, whose rotation is not stretched."""
    size = head_size_of(config)
    full, short = rotary_by_kind(config, size, base=500_000.0)
    architecture = common(
        config, "olmo3", norms_before=False, norms_after=True, query_key_norm="vector", rotary=full
    )
    windowed = layer_kinds(config, architecture.layers, lambda layer: (layer + 1) % 4 != 0)
    window = config.integer("sliding_window", 4096)
    scale = size**-0.5
    options = (LayerOptions(short, window, scale), LayerOptions(full, None, scale))
    return replace(
        architecture, layer_options=tuple(options[0] if is_short else options[1] for is_short in windowed)
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
    used = config.flag("use_sliding_window") and window is not None
    windowed = layer_kinds(config, layers, lambda layer: used and not rotated[layer])
    config.pass_over("max_window_layers")
    if window is None:
        return _without_windows(config, architecture, windowed)
    return windowed_layers(architecture, windowed, window)


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
    Family("llama", ("llama",), ("llama",), _llama, LLAMA, GGUF_ADJACENT, keys=RMS_NORM, biases=BOTH_BIASES),
    Family(
        "mistral",
        ("mistral", "ministral"),
        (),
        _mistral,
        LLAMA,
        GGUF_ADJACENT,
        json_defaults={"sliding_window": 4096, "num_key_value_heads": 8},
        keys=RMS_NORM,
    ),
    Family(
        "qwen2",
        ("qwen2",),
        ("qwen2",),
        _qwen2,
        LLAMA,
        GGUF,
        {"sliding_window": 4096},
        {"num_key_value_heads": 32},
        keys=RMS_NORM,
        biases=dict.fromkeys(("queries", "keys", "values"), True),
    ),
    Family(
        "qwen3",
        ("qwen3",),
        ("qwen3",),
        _qwen3,
        LLAMA,
        GGUF,
        {"sliding_window": 4096, "head_dim": 128},
        {"num_key_value_heads": 32},
        keys=RMS_NORM,
        biases=ATTENTION_BIAS,
    ),
    Family(
        "olmo2",
        ("olmo2",),
        ("olmo2",),
        _olmo2,
        safetensors_names(_OLMO2_SLOTS),
        GGUF,
        {"norm_eps": 1e-5},
        keys=RMS_NORM,
        biases=ATTENTION_BIAS,
    ),
    Family(
        "olmo3",
        ("olmo3",),
        (),
        _olmo3,
        safetensors_names(_OLMO2_SLOTS),
        GGUF,
        {"norm_eps": 1e-5, "sliding_window": 4096},
        # transformers 5.23 gives “rope_theta” to the full layers alone, others to all: not read here, so that
        # one that differs is refused
        keys=RMS_NORM | {"original_max_position_embeddings": (), "rope_theta": ()},
        biases=ATTENTION_BIAS,
    ),
    Family(
        "smollm3",
        ("smollm3",),
        ("smollm3",),
        _smollm3,
        LLAMA,
        GGUF_ADJACENT,
        {"rope_theta": 2_000_000.0, "tie_word_embeddings": True},
        {"num_key_value_heads": 4},
        keys=RMS_NORM,
        biases=BOTH_BIASES,
    ),
    Family(
        "starcoder2",
        ("starcoder2",),
        ("starcoder2",),
        _starcoder2,
        safetensors_names(_STARCODER2_SLOTS),
        GGUF,
        {"norm_eps": 1e-5, "hidden_act": "gelu_pytorch_tanh", "tie_word_embeddings": True},
        {"num_key_value_heads": 2, "use_bias": True},
        keys={"norm_eps": ("norm_epsilon",)},
        biases=dict.fromkeys((*ATTENTION, *FEED_FORWARD), "use_bias") | dict.fromkeys(NORMS, True),
    ),
)
