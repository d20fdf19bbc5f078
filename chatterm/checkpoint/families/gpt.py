"""GPT-2, GPT-NeoX (Pythia) and Falcon: LayerNorm, fused queries-keys-values, ungated gelu."""

from __future__ import annotations

from dataclasses import replace

from chatterm.checkpoint.architecture import Architecture
from chatterm.checkpoint.config import Config
from chatterm.checkpoint.families.family import (
    ATTENTION,
    FEED_FORWARD,
    NORMS,
    Family,
    common,
    head_size_of,
    partial_rotary,
    read_ffn_width,
)
from chatterm.checkpoint.families.names import gguf_names, safetensors_names
from chatterm.checkpoint.rotary_config import read_rotary
from chatterm.errors import UserError


def _gpt2(config: Config) -> Architecture:
    if config.flag("add_cross_attention"):
        raise UserError(
            f"{config.where}: a GPT-2 with cross-attention (“add_cross_attention”) is half of an "
            "encoder-decoder; it cannot chat."
        )
    scale = head_size_of(config) ** -0.5 if config.flag("scale_attn_weights", True) else 1.0
    architecture = common(
        config,
        "gpt2",
        norm="layer",
        gated=False,
        rotary=None,
        learned_positions=True,
        attention_scale=scale,
        ffn_width=read_ffn_width(config, 4 * config.integer("hidden_size")),
    )
    if not config.flag("scale_attn_by_inverse_layer_idx"):
        return architecture
    layers = enumerate(architecture.layer_options, start=1)
    return replace(
        architecture,
        layer_options=tuple(replace(layer, attention_scale=scale / number) for number, layer in layers),
    )


def _gpt_neox(config: Config) -> Architecture:
    return common(
        config,
        "gpt_neox",
        norm="layer",
        gated=False,
        parallel=config.flag("use_parallel_residual", True),
        rotary=partial_rotary(config),
    )


def _falcon(config: Config) -> Architecture:
    if config.flag("alibi"):
        raise UserError(
            f"{config.where}: this Falcon has ALiBi positions (“alibi”), which are not supported; rotary "
            "ones are."
        )
    new = config.flag("new_decoder_architecture")
    one_key = config.flag("multi_query", True) and not new
    parallel = config.flag("parallel_attn", True)
    if new and not parallel:
        raise config.wrong("parallel_attn", False, "true in the newer Falcons")
    norms = config.integer("num_ln_in_parallel_attn", 2 if new else 1, most=2)
    if norms == 2 and not new:
        raise config.wrong("num_ln_in_parallel_attn", norms, "1 in the older Falcons")
    if one_key:
        config.pass_over("num_key_value_heads")
    return common(
        config,
        "falcon",
        norm="layer",
        gated=False,
        parallel=parallel,
        shared_norm=parallel and norms == 1,
        rotary=read_rotary(config, head_size_of(config)),
        ffn_width=read_ffn_width(config, 4 * config.integer("hidden_size")),
        kv_heads=1 if one_key else None,
    )


_GPT2 = safetensors_names(
    {
        "embedding": "transformer.wte",
        "positions": "transformer.wpe",
        "final_norm": "transformer.ln_f",
        "unembedding": "lm_head",
        "attention_norm": "transformer.h.{}.ln_1",
        "qkv": "transformer.h.{}.attn.c_attn",
        "attention_output": "transformer.h.{}.attn.c_proj",
        "ffn_norm": "transformer.h.{}.ln_2",
        "up": "transformer.h.{}.mlp.c_fc",
        "down": "transformer.h.{}.mlp.c_proj",
    },
    prefix="transformer.",
    transposed=frozenset({"qkv", "attention_output", "up", "down"}),
    ignored=(r"(transformer\.)?h\.\d+\.attn\.bias",),
)
_GPT_NEOX = safetensors_names(
    {
        "embedding": "gpt_neox.embed_in",
        "final_norm": "gpt_neox.final_layer_norm",
        "unembedding": "embed_out",
        "attention_norm": "gpt_neox.layers.{}.input_layernorm",
        "qkv": "gpt_neox.layers.{}.attention.query_key_value",
        "attention_output": "gpt_neox.layers.{}.attention.dense",
        "ffn_norm": "gpt_neox.layers.{}.post_attention_layernorm",
        "up": "gpt_neox.layers.{}.mlp.dense_h_to_4h",
        "down": "gpt_neox.layers.{}.mlp.dense_4h_to_h",
    },
    prefix="gpt_neox.",
    qkv_rows="grouped",
    ignored=(r"(gpt_neox\.)?layers\.\d+\.attention\.bias",),
)
_FALCON = safetensors_names(
    {
        "embedding": "transformer.word_embeddings",
        "final_norm": "transformer.ln_f",
        "unembedding": "lm_head",
        "attention_norm": "transformer.h.{}.input_layernorm|transformer.h.{}.ln_attn",
        "qkv": "transformer.h.{}.self_attention.query_key_value",
        "attention_output": "transformer.h.{}.self_attention.dense",
        "ffn_norm": "transformer.h.{}.post_attention_layernorm|transformer.h.{}.ln_mlp",
        "up": "transformer.h.{}.mlp.dense_h_to_4h",
        "down": "transformer.h.{}.mlp.dense_4h_to_h",
    },
    prefix="transformer.",
    qkv_rows="grouped",
)
# With two norms llama.cpp's attn_norm_2 is the one of attention and attn_norm the one of the feed-forward.
_FALCON_GGUF = gguf_names(
    attention_norm="blk.{}.attn_norm_2|blk.{}.attn_norm", ffn_norm="blk.{}.ffn_norm|blk.{}.attn_norm"
)

_ALL: dict[str, str | bool] = dict.fromkeys((*ATTENTION, *FEED_FORWARD, *NORMS), True)

FAMILIES = (
    Family(
        "gpt2",
        ("gpt2",),
        ("gpt2",),
        _gpt2,
        _GPT2,
        gguf_names(),
        {"norm_eps": 1e-5, "hidden_act": "gelu_new", "tie_word_embeddings": True},
        keys={
            "hidden_size": ("hidden_size", "n_embd"),
            "num_hidden_layers": ("num_hidden_layers", "n_layer"),
            "num_attention_heads": ("num_attention_heads", "n_head"),
            "max_position_embeddings": ("max_position_embeddings", "n_positions"),
            "intermediate_size": ("n_inner",),
            "hidden_act": ("activation_function",),
            "norm_eps": ("layer_norm_epsilon",),
            "num_key_value_heads": (),
            "head_dim": (),
        },
        biases=_ALL,
    ),
    Family(
        "gpt_neox",
        ("gpt_neox",),
        ("gptneox",),
        _gpt_neox,
        _GPT_NEOX,
        gguf_names(),
        {"norm_eps": 1e-5, "hidden_act": "gelu"},
        {"partial_rotary_factor": 0.25, "attention_bias": True},
        keys={
            "norm_eps": ("layer_norm_eps",),
            "rope_theta": ("rotary_emb_base",),
            "partial_rotary_factor": ("rotary_pct",),
            "num_key_value_heads": (),
            "head_dim": (),
        },
        biases=_ALL | dict.fromkeys(ATTENTION, "attention_bias"),
    ),
    Family(
        "falcon",
        ("falcon", "RefinedWeb", "RefinedWebModel"),
        ("falcon",),
        _falcon,
        _FALCON,
        _FALCON_GGUF,
        {"norm_eps": 1e-5, "hidden_act": "gelu", "tie_word_embeddings": True},
        {"max_position_embeddings": 2048},  # the first Falcons leave it out
        {"multi_query": False},
        keys={
            "hidden_size": ("n_embed", "hidden_size"),
            "num_hidden_layers": ("num_hidden_layers", "n_layer"),
            "num_attention_heads": ("num_attention_heads", "n_head"),
            "num_key_value_heads": ("num_kv_heads", "n_head_kv"),
            "intermediate_size": ("ffn_hidden_size",),
            "hidden_act": ("activation",),
            "norm_eps": ("layer_norm_epsilon",),
            "head_dim": (),
        },
        biases=dict.fromkeys((*ATTENTION, *FEED_FORWARD), "bias") | dict.fromkeys(NORMS, True),
    ),
)
