"""Families with Llama's block: RMSNorm, rotary, gated SiLU feed-forward."""

from __future__ import annotations

from dataclasses import replace

from chatterm.checkpoint.architecture import Architecture, LayerOptions
from chatterm.checkpoint.config import Config
from chatterm.checkpoint.families.family import (
    ATTENTION,
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
from chatterm.errors import UserError


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


def _granite_hybrid(config: Config) -> Architecture:
    """Granite 4 without its experts and recurrent layers: then it is Granite 3 with other names.

    Raises:
        UserError: it has some of either.
    """
    if config.integer("num_local_experts", 8, least=0):
        raise UserError(
            f"{config.where}: this Granite 4 is a mixture of experts (“num_local_experts”); only the dense "
            "ones are run."
        )
    kinds = config.strings("layer_types")
    if kinds is None or not set(kinds) <= {"attention", "full_attention"}:
        raise UserError(
            f"{config.where}: this Granite 4 is a state-space or recurrent model in some of its layers "
            "(“layer_types”); only those with attention in all layers are run."
        )
    if len(kinds) != config.integer("num_hidden_layers"):
        raise config.wrong("layer_types", list(kinds), f"{config.get('num_hidden_layers')} entries")
    config.pass_over("layer_types", "layers_block_type", "num_experts_per_tok", *_MAMBA)
    position = config.text("position_embedding_type", "nope")
    architecture = _granite(config)
    if position == "rope":
        return architecture
    layers = tuple(replace(layer, rotary=None) for layer in architecture.layer_options)
    return replace(architecture, layer_options=layers)


_MAMBA = (
    *("mamba_n_heads", "mamba_n_groups", "mamba_d_state", "mamba_d_head", "mamba_d_conv", "mamba_expand"),
    *("mamba_chunk_size", "mamba_conv_bias", "mamba_proj_bias", "time_step_limit"),
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

_GRANITE_HYBRID_SLOTS = with_slots(
    LLAMA_SLOTS,
    gate="",
    up="",
    gate_up="model.layers.{}.shared_mlp.input_linear",
    down="model.layers.{}.shared_mlp.output_linear",
)
_ATTENTION_BIAS: dict[str, str | bool] = dict.fromkeys(ATTENTION, "attention_bias")
_BOTH_BIASES = _ATTENTION_BIAS | dict.fromkeys(FEED_FORWARD, "mlp_bias")

FAMILIES = (
    Family("llama", ("llama",), ("llama",), _llama, LLAMA, GGUF_ADJACENT, keys=RMS_NORM, biases=_BOTH_BIASES),
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
        biases=_ATTENTION_BIAS,
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
        biases=_ATTENTION_BIAS,
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
        biases=_ATTENTION_BIAS,
    ),
    Family(
        "granite",
        ("granite",),
        ("granite",),
        _granite,
        LLAMA,
        GGUF_ADJACENT,
        keys=RMS_NORM,
        biases=_BOTH_BIASES,
    ),
    Family(
        "granite4",
        ("granitemoehybrid",),
        (),
        _granite_hybrid,
        safetensors_names(_GRANITE_HYBRID_SLOTS),
        GGUF_ADJACENT,
        keys=RMS_NORM
        | {
            "intermediate_size": ("shared_intermediate_size",),
            "layer_types": ("layers_block_type", "layer_types"),
        },
        biases=_ATTENTION_BIAS,
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
        biases=_BOTH_BIASES,
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
