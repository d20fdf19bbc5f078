"""Keys of a `config.json` that no reader asked for: which may be left aside, and which must not.

A key that changes what the model computes and that nobody reads would make every number wrong in silence. So
whatever the family did not read is looked up here: known to change nothing, or refused by name unless its
value is the one that changes nothing. Names that are in neither list belong to nobody: no decoder of Hugging
Face transformers reads them, which is how the lists were made (`benchmarks/parity/keys.py` and the tests go
through its configuration classes), and leaving them aside is what the reference does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from chatterm.checkpoint.architecture import Architecture, Llama3Scaling, LongRopeScaling, YarnScaling
from chatterm.checkpoint.config import Config
from chatterm.checkpoint.families.family import ACTIVATIONS
from chatterm.checkpoint.harmless_keys import HARMLESS
from chatterm.errors import UserError

_KNOWN_HARMLESS = frozenset(name for names in HARMLESS.values() for name in names)

Unchanged = Callable[[Any, Architecture], bool]
"""Whether this value of an unread key leaves the numbers of this decoder as they are."""


def _nothing(value: Any, _: Architecture) -> bool:
    return value in (None, False, 0, "", "none", "default") or value in ([], {})


def _one(value: Any, _: Architecture) -> bool:
    return value in (None, False, 1)


def _true(value: Any, _: Architecture) -> bool:
    return value is None or value is True


def _never_in_force(value: Any, architecture: Architecture) -> bool:
    """A window: none, or one that the whole context fits in."""
    in_force = isinstance(value, int | float) and not isinstance(value, bool) and value < architecture.context
    return value is None or value is False or not in_force


def _same(held: Callable[[Architecture], Any]) -> Unchanged:
    """The decoder has that value anyway."""
    return lambda value, architecture: value is None or value == held(architecture)


def _base(architecture: Architecture) -> float | None:
    first = architecture.layer_options[0].rotary
    return None if first is None else first.base


def _turning_share(architecture: Architecture) -> float:
    first = architecture.layer_options[0].rotary
    return 1.0 if first is None else first.dimensions / architecture.head_size


def _trained(value: Any, architecture: Architecture) -> bool:
    """The length before extension: of no account where nothing is extended by it."""
    scalings = {layer.rotary.scaling for layer in architecture.layer_options if layer.rotary is not None}
    counted = [s.trained for s in scalings if isinstance(s, YarnScaling | Llama3Scaling | LongRopeScaling)]
    return value is None or all(value == trained for trained in counted)


def _all_full(value: Any, architecture: Architecture) -> bool:
    """A list of layer types that says what the decoder does anyway."""
    kinds = [
        ("attention", "full_attention") if layer.window is None else ("sliding_attention",)
        for layer in architecture.layer_options
    ]
    return value is None or (
        isinstance(value, list)
        and len(value) == len(kinds)
        and all(said in kind for said, kind in zip(value, kinds, strict=True))
    )


def _same_activation(value: Any, architecture: Architecture) -> bool:
    return value is None or ACTIVATIONS.get(str(value)) == architecture.activation


_BEARING: dict[str, Unchanged] = {
    # sizes under names that the family does not use
    "hidden_size": _same(lambda a: a.width),
    "n_embd": _same(lambda a: a.width),
    "n_embed": _same(lambda a: a.width),
    "d_model": _same(lambda a: a.width),
    "num_hidden_layers": _same(lambda a: a.layers),
    "n_layer": _same(lambda a: a.layers),
    "n_layers": _same(lambda a: a.layers),
    "num_attention_heads": _same(lambda a: a.heads),
    "n_head": _same(lambda a: a.heads),
    "n_heads": _same(lambda a: a.heads),
    "num_key_value_heads": _same(lambda a: a.kv_heads),
    "num_kv_heads": _same(lambda a: a.kv_heads),
    "n_head_kv": _same(lambda a: a.kv_heads),
    "multi_query_group_num": _same(lambda a: a.kv_heads),
    "head_dim": _same(lambda a: a.head_size),
    "v_head_dim": _same(lambda a: a.head_size),
    "kv_channels": _same(lambda a: a.head_size),
    "intermediate_size": _same(lambda a: a.ffn_width),
    "n_inner": _same(lambda a: a.ffn_width),
    "ffn_hidden_size": _same(lambda a: a.ffn_width),
    # rotary
    "rope_theta": _same(_base),
    "rotary_emb_base": _same(_base),
    "partial_rotary_factor": _same(_turning_share),
    "rotary_pct": _same(_turning_share),
    "rope_pct": _same(_turning_share),
    "rotary_percent": _same(_turning_share),
    "rotary_dim": _same(lambda a: round(a.head_size * _turning_share(a))),
    "original_max_position_embeddings": _trained,
    "rope_scaling": _nothing,
    "rope_parameters": _nothing,
    "layer_rope_theta": _nothing,
    "rope_ratio": _one,
    "rope_interleave": _nothing,
    "rotary_scaling_factor": _one,
    "no_rope_layers": _nothing,
    "alibi": _nothing,
    "use_alibi": _nothing,
    "use_mrope": _nothing,
    # which earlier positions are seen
    "sliding_window": _never_in_force,
    "sliding_window_size": _never_in_force,
    "window_size": _never_in_force,
    "attention_window": _never_in_force,
    "attention_chunk_size": _never_in_force,
    "layer_types": _all_full,
    "layers_block_type": _all_full,
    "is_causal": _true,
    "use_bidirectional_attention": _nothing,
    "bidirectional": _nothing,
    "attn_type": lambda value, _: value in (None, "causal", "global", "multihead_attention"),
    "prefix_lm": _nothing,
    "num_kv_shared_layers": _nothing,
    "kv_sharing_modes": _nothing,
    # attention and its scores
    "clip_qkv": _nothing,
    "qk_layernorm": _nothing,
    "use_qk_norm": _nothing,
    "qk_norm": _nothing,
    "query_pre_attn_scalar": _same(lambda a: round(a.layer_options[0].attention_scale ** -2, 6)),
    "attention_scale": _same(lambda a: a.layer_options[0].attention_scale),
    "attn_scale": _same(lambda a: a.layer_options[0].attention_scale),
    "scale_attn_weights": _true,
    "scale_attn_by_inverse_layer_idx": _nothing,
    "attn_temperature_tuning": _nothing,
    "use_log_attn": _nothing,
    "use_logn_attn": _nothing,
    "add_cross_attention": _nothing,
    "multi_query": lambda value, a: value is None or value == (a.kv_heads == 1),
    # norms, activations, the order of the parts
    "rms_norm_eps": _same(lambda a: a.norm_eps),
    "layer_norm_eps": _same(lambda a: a.norm_eps),
    "layer_norm_epsilon": _same(lambda a: a.norm_eps),
    "layernorm_epsilon": _same(lambda a: a.norm_eps),
    "norm_epsilon": _same(lambda a: a.norm_eps),
    "norm_eps": _same(lambda a: a.norm_eps),
    "hidden_act": _same_activation,
    "hidden_activation": _same_activation,
    "activation_function": _same_activation,
    "activation": _same_activation,
    "use_parallel_residual": lambda value, a: value is None or value == a.parallel,
    "parallel_attn": lambda value, a: value is None or value == a.parallel,
    "apply_residual_connection_post_layernorm": _nothing,
    "use_post_norm": _nothing,
    "residual_in_fp32": _nothing,
    "add_bias_linear": _nothing,
    "lm_head_bias": _nothing,
    # multipliers
    "scale_embedding": _nothing,
    "rescale_embeddings": _nothing,
    "scale_emb": _one,
    "scale_depth": _nothing,
    "dim_model_base": _nothing,
    "logit_scale": _one,
    "logits_scaling": _one,
    "logits_mup_width_multiplier": _one,
    "lm_head_multiplier": _one,
    "embedding_scale": _one,
    "residual_scale": _one,
    "mup_enabled": _nothing,
    "unpadded_vocab_size": _same(lambda a: a.vocabulary),
    # other kinds of layers
    "per_layer_config": _nothing,
    "num_nextn_predict_layers": lambda value, _: True,  # extra tensors, refused or not by their names
    "cross_attention_layers": _nothing,
}
"""Keys that change what some decoder computes → whether a value changes it for this one."""

_BEARING_KINDS: tuple[tuple[str, Unchanged], ...] = (
    (r"(final|attn|attention|output|router)?_?logits?_(soft_?cap(ping)?|cap)|\w+_soft_?cap(ping)?", _nothing),
    (r"(embedding|residual|attention|key|value|query|ssm|mlp|gate|down|up)\w*_multipliers?", _one),
    (r"(num|n|moe_num)_(local_|routed_|shared_|zero_)?experts?(_per_tok)?", _nothing),
    (r"(mamba|ssm|conv|linear|kda|index|indexer|lru|altup|laurel|hc|ple)_\w+", _nothing),
    (r"(q|kv|o)_lora_rank|qk_(nope|rope)_head_dim|\w*attention_sinks?\w*|\w*_sink(_init)?", _nothing),
    (r"use_(attention_gate|double_wide_mlp|sandwich_norm|mem_rope|relative_position_bias)", _nothing),
    (r"(mlp|ffn|full_attn|linear_attn)_(alpha|beta)_factor|swiglu_(alpha|limit)", _nothing),
    (r"(swa|local)_(head_dim|num_attention_heads|num_key_value_heads)", _nothing),
    (r"rope_(scaling|parameters)\.\w+(\.\w+)?", _nothing),
)
_HARMLESS_ROTARY = re.compile(
    # of models that see pictures too; for text alone all positions are the same. Notes of whoever trained it
    r"rope_(scaling|parameters)\.((full|sliding)_attention\.)?(mrope_section|mrope_interleaved|finetuned)"
)


_ALSO_CALLED: dict[str, tuple[str, ...]] = {
    "hidden_size": ("n_embd", "n_embed", "d_model"),
    "num_hidden_layers": ("n_layer", "n_layers"),
    "num_attention_heads": ("n_head", "n_heads"),
    "num_key_value_heads": ("num_kv_heads", "n_head_kv", "multi_query_group_num"),
    "intermediate_size": ("n_inner", "ffn_hidden_size"),
    "max_position_embeddings": ("n_positions",),
    "hidden_act": ("hidden_activation", "activation_function", "activation"),
    "norm_eps": ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "layernorm_epsilon", "norm_epsilon"),
    "rope_theta": ("rotary_emb_base",),
    "sliding_window": ("sliding_window_size",),
    "partial_rotary_factor": ("rotary_pct", "rope_pct", "rotary_percent", "rotary_dim"),
}
"""Our key → names that other families have for it. Beside the family's own name they are passed over."""

_OURS = {other: ours for ours, others in _ALSO_CALLED.items() for other in (ours, *others)}


def refuse_unread(config: Config, architecture: Architecture) -> None:
    """Raise the sentence for the first key that changes the numbers and that the family did not read.

    Raises:
        UserError: there is such a key; the sentence has its name and value.
    """
    for key, value in config.unread():
        unchanged = None if key in _OURS and config.is_settled(_OURS[key]) else judge(key)
        if unchanged is not None and not unchanged(value, architecture):
            raise UserError(
                f"{config.where}: “{key}” is {value!r:.60}, which a {architecture.family} decoder here does "
                "not know; the checkpoint is a variant that is not supported, and leaving the key out would "
                "give wrong numbers."
            )


def judge(key: str) -> Unchanged | None:
    """How to tell that an unread key changes nothing; None for those that never change anything."""
    if key in _KNOWN_HARMLESS or _HARMLESS_ROTARY.fullmatch(key):
        return None
    if key in _BEARING:
        return _BEARING[key]
    return next((unchanged for pattern, unchanged in _BEARING_KINDS if re.fullmatch(pattern, key)), None)


def is_known(key: str) -> bool:
    """Whether one of the lists has an opinion on this key."""
    return key in _KNOWN_HARMLESS or judge(key) is not None
