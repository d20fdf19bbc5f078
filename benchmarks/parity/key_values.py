"""What `benchmarks.parity.keys` changes: values for every key of every family's configuration class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from benchmarks.parity.cases import TRAINED, WINDOW
from benchmarks.parity.key_rotary import DROPPED, rotary_changes

BASES: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "gpt_neox": {},
    "llama": {},
    "mistral": {"sliding_window": WINDOW},
    "ministral": {"sliding_window": WINDOW, "head_dim": 16},
    "qwen2": {},
    "qwen3": {"head_dim": 16},
    "gemma": {"head_dim": 16},
    "gemma2": {"head_dim": 16, "sliding_window": WINDOW, "query_pre_attn_scalar": 24},
    "gemma3_text": {
        "head_dim": 16,
        "sliding_window": WINDOW,
        "query_pre_attn_scalar": 24,
        "num_hidden_layers": 7,
    },
    "phi": {"num_key_value_heads": 4},
    "phi3": {},
    "olmo2": {},
    "olmo3": {"sliding_window": WINDOW, "num_hidden_layers": 5},
    "granite": {"embedding_multiplier": 3.0, "attention_multiplier": 0.2, "residual_multiplier": 0.4},
    "granitemoehybrid": {
        "shared_intermediate_size": 96,
        "num_local_experts": 0,
        "layer_types": ["full_attention"] * 3,
        "position_embedding_type": "rope",
        "mamba_n_heads": 4,
        "attention_multiplier": 0.2,
    },
    "smollm3": {"num_hidden_layers": 5},
    "starcoder2": {},
    "stablelm": {"partial_rotary_factor": 0.5},
    "cohere": {"logit_scale": 0.8},
    "cohere2": {"sliding_window": WINDOW, "logit_scale": 0.8, "num_hidden_layers": 5},
    "falcon": {},
}

_ACTIVATIONS = (
    *("silu", "swish", "gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python", "gelu_accurate"),
    *(
        "gelu_10",
        "quick_gelu",
        "relu",
        "relu2",
        "relu6",
        "mish",
        "tanh",
        "sigmoid",
        "leaky_relu",
        "linear",
        None,
    ),
)
_VALUES: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("hidden_act", "hidden_activation", "activation_function", "activation"), _ACTIVATIONS),
    **dict.fromkeys(("hidden_size", "n_embd", "n_embed", "d_model"), (32, 128)),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads"), (2, 8)),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers"), (1, 4)),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "n_head_kv"), (1, 2, 4, None)),
    **dict.fromkeys(("intermediate_size", "n_inner", "ffn_hidden_size"), (80, 256, None)),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx"), (96, 4096)),
    **dict.fromkeys(
        ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"),
        (0.05, 1e-5, 1e-6),
    ),
    **dict.fromkeys(("rope_theta", "rotary_emb_base", "rope_local_base_freq"), (500.0, 10_000.0, 1e6, None)),
    **dict.fromkeys(("partial_rotary_factor", "rotary_pct", "rope_pct"), (0.25, 0.5, 1.0, None)),
    "rotary_dim": (4,),
    "head_dim": (8, 16, 24, 32, None),
    "vocab_size": (96, 200),
    "sliding_window": (8, 40, 512, None),
    "use_sliding_window": (True, False),
    "max_window_layers": (0, 1, 2, 100),
    "sliding_window_pattern": (1, 2, 3),
    "no_rope_layers": ([1, 0, 1, 0, 1, 0, 1], [0] * 7, [1] * 5, None),
    "no_rope_layer_interval": (1, 2, 3),
    "query_pre_attn_scalar": (3, 50, 16),
    "attn_logit_softcapping": (1.5, 20.0, None),
    "final_logit_softcapping": (1.5, 20.0, None),
    "logit_scale": (0.3, 1.0, None),
    **dict.fromkeys(
        ("embedding_multiplier", "attention_multiplier", "residual_multiplier", "logits_scaling"),
        (0.7, 1.0, 2),
    ),
    "attention_scale": (0.5,),
    "clip_qkv": (0.05, None),
    "num_ln_in_parallel_attn": (1, 2, None),
    "tie_word_embeddings": (True, False),
    "is_causal": (True, False),
    "is_decoder": (True, False),
    "use_bidirectional_attention": (True, False, None),
    "add_cross_attention": (True, False),
    "attention_chunk_size": (8, None),
    "per_layer_config": ({}, {"0": {"intermediate_size": 80}}, {"1": {"sliding_window": 8}}, None),
    "original_max_position_embeddings": (TRAINED, 64, 4096),
    "position_embedding_type": ("rope", "nope", None),
    "num_local_experts": (0, 4),
    "num_experts_per_tok": (0, 2),
    "shared_intermediate_size": (80, 256),
    "mamba_n_heads": (2, 8),
    "mamba_d_state": (16,),
    "mamba_d_head": ("auto", 32),
    "mamba_chunk_size": (64,),
    "mamba_d_conv": (2,),
    "mamba_expand": (4,),
    "mamba_n_groups": (2,),
    "time_step_limit": ([0.1, 1.0],),
    "chunk_size_feed_forward": (0, 8),
    "pretraining_tp": (1, 2),
    "dtype": ("float32", "bfloat16"),
    "torch_dtype": ("float16",),
    "initializer_range": (0.5,),
    "architectures": (["LlamaForCausalLM"], ["LlamaModel"], None),
    "problem_type": ("regression",),
    "id2label": ({"0": "a", "1": "b", "2": "c"},),
    "label2id": ({"a": 0},),
    "summary_type": ("last",),
    "summary_activation": ("tanh",),
    "transformers_version": ("4.30.0", None),
    "output_hidden_states": (True,),
    "return_dict": (True,),
    "router_aux_loss_coef": (0.5,),
    "bos_token_id": (0, 5, None),
    "eos_token_id": (5, [5, 6], None),
    "pad_token_id": (0, 7, -1, None),
}
_EVERYWHERE = (
    *(
        "n_embd",
        "n_head",
        "n_layer",
        "n_inner",
        "n_positions",
        "n_ctx",
        "n_head_kv",
        "num_kv_heads",
        "d_model",
    ),
    *("ffn_hidden_size", "hidden_act", "hidden_activation", "activation_function", "activation", "head_dim"),
    *("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps", "rope_theta"),
    *("rotary_emb_base", "rotary_pct", "partial_rotary_factor", "rotary_dim", "rope_local_base_freq"),
    *(
        "sliding_window",
        "use_sliding_window",
        "max_window_layers",
        "sliding_window_pattern",
        "no_rope_layers",
    ),
    *("attn_logit_softcapping", "final_logit_softcapping", "logit_scale", "logits_scaling", "clip_qkv"),
    *("embedding_multiplier", "residual_multiplier", "attention_multiplier", "attention_scale"),
    *("query_pre_attn_scalar", "is_causal", "is_decoder", "use_bidirectional_attention", "per_layer_config"),
    *("original_max_position_embeddings", "attention_chunk_size", "num_key_value_heads", "intermediate_size"),
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings", "dtype"),
    *("torch_dtype", "pad_token_id", "tie_word_embeddings", "architectures", "position_embedding_type"),
)
"""Keys tried in every family, also where the class has none of that name."""
_OF_STYLE = (
    *(
        "rope_theta",
        "rotary_emb_base",
        "rope_local_base_freq",
        "partial_rotary_factor",
        "rotary_pct",
        "rotary_dim",
    ),
    *("rope_scaling", "rope_parameters", "original_max_position_embeddings", "max_position_embeddings"),
    *("layer_types", "layers_block_type", "sliding_window", "sliding_window_pattern", "head_dim"),
)
_FLAGS = (
    *(
        "attention_bias",
        "mlp_bias",
        "qkv_bias",
        "use_bias",
        "use_qkv_bias",
        "bias",
        "qk_layernorm",
        "use_qk_norm",
    ),
    *(
        "use_parallel_residual",
        "parallel_attn",
        "multi_query",
        "alibi",
        "new_decoder_architecture",
        "use_cache",
    ),
    *("scale_attn_weights", "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn", "use_mrope"),
)


def changes(
    family: str, before: dict[str, Any], *, rotary_only: bool, quick: bool = False
) -> Iterator[dict[str, Any]]:
    """Every change of one family: one key, or the rotary ones together.

    Args:
        family: `model_type`.
        before: the configuration that is changed.
        rotary_only: leave out what has nothing to do with the keys in which the two styles differ.
        quick: leave out most of the rotary changes.
    """
    yield {}
    for change in _single_changes(family, before):
        if not rotary_only or set(change) & set(_OF_STYLE):
            yield change
    if family != "gpt2":
        yield from rotary_changes(by_kind=family in ("gemma3_text", "olmo3"), quick=quick)


def _single_changes(family: str, before: dict[str, Any]) -> Iterator[dict[str, Any]]:
    names = dict.fromkeys((*_class_fields(family), *before, *_EVERYWHERE, *_FLAGS))
    for name in names:
        for value in _values(name, before):
            if name not in before or before[name] != value:
                yield {name: value}
    for name in before:
        if name != "model_type":
            yield {name: DROPPED}


def _class_fields(family: str) -> list[str]:
    from transformers import AutoConfig

    return [field.name for field in fields(type(AutoConfig.for_model(family)))]


def _values(name: str, before: dict[str, Any]) -> tuple[Any, ...]:
    layers = before.get("num_hidden_layers", before.get("n_layer"))
    if name in ("layer_types", "layers_block_type"):
        return _layer_types(layers)
    if name in _VALUES:
        return _VALUES[name]
    if name in _FLAGS or isinstance(before.get(name), bool):
        return (True, False)
    if name.endswith(("dropout", "pdrop")):
        return (0.5,)
    return ()


def _layer_types(layers: int) -> tuple[Any, ...]:
    full, short = "full_attention", "sliding_attention"
    return (
        [full] * layers,
        [short] * layers,
        [(full, short)[layer % 2] for layer in range(layers)],
        ["attention"] * layers,
        ["mamba"] * layers,
        [full] * (layers - 1),
        [full] * (layers - 1) + ["chunked_attention"],
        None,
    )
