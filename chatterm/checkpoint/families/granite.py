"""Granite: Llama's block with multipliers; Granite 4 where it is dense."""

from __future__ import annotations

from dataclasses import replace

from chatterm.checkpoint.architecture import Architecture
from chatterm.checkpoint.config import Config
from chatterm.checkpoint.families.family import ATTENTION_BIAS, BOTH_BIASES, RMS_NORM, Family, common
from chatterm.checkpoint.families.names import (
    GGUF_ADJACENT,
    LLAMA,
    LLAMA_SLOTS,
    safetensors_names,
    with_slots,
)
from chatterm.errors import UserError


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


_GRANITE_HYBRID_SLOTS = with_slots(
    LLAMA_SLOTS,
    gate="",
    up="",
    gate_up="model.layers.{}.shared_mlp.input_linear",
    down="model.layers.{}.shared_mlp.output_linear",
)

FAMILIES = (
    Family(
        "granite",
        ("granite",),
        ("granite",),
        _granite,
        LLAMA,
        GGUF_ADJACENT,
        keys=RMS_NORM,
        biases=BOTH_BIASES,
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
        biases=ATTENTION_BIAS,
    ),
)
