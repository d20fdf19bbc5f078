"""Variants of the Gemmas."""

from __future__ import annotations

from benchmarks.parity.cases import WINDOW
from benchmarks.parity.converter.variant import LINEAR, MIXED, OTHER_BASES, PLAIN, YARN, YARN_SHARP, Variant

_GEMMA_SIZE = {"head_dim": 24}
_GEMMA2 = {"head_dim": 16, "sliding_window": WINDOW, "query_pre_attn_scalar": 16}
_GEMMA3 = _GEMMA2 | {"num_hidden_layers": 7}
_ALL_FULL = {"layer_types": ["full_attention"] * 7}
_TIGHT = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 5.0}
_SCALED_FULL = {"sliding_attention": PLAIN, "full_attention": LINEAR | {"rope_theta": 1e6, "factor": 8.0}}
_SCALED_LOCAL = {
    "sliding_attention": LINEAR | {"rope_theta": 10_000.0},
    "full_attention": PLAIN | {"rope_theta": 1e6},
}
_YARN_FULL = {"sliding_attention": PLAIN, "full_attention": YARN | {"rope_theta": 1e6}}
_GEMMA = (
    Variant("gemma", "usual", _GEMMA_SIZE),
    Variant("gemma", "one key/value head", _GEMMA_SIZE | {"num_key_value_heads": 1}, old_keys=True),
    Variant(
        "gemma",
        "activation gelu",
        _GEMMA_SIZE,
        edits={"hidden_act": "gelu", "hidden_activation": "gelu"},
        twin={"edits": {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh"}},
    ),
    Variant(
        "gemma",
        "another rotary base",
        _GEMMA_SIZE,
        rope=PLAIN | {"rope_theta": 500.0},
        twin={"rope": PLAIN},
    ),
    Variant("gemma", "linear", _GEMMA_SIZE, rope=LINEAR, twin={"rope": None}),
    Variant(
        "gemma",
        "activation silu",
        _GEMMA_SIZE,
        edits={"hidden_act": "silu", "hidden_activation": "silu"},
        twin={"edits": {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh"}},
    ),
    Variant("gemma2", "usual", _GEMMA2),
    Variant(
        "gemma2",
        "activation silu",
        _GEMMA2,
        edits={"hidden_activation": "silu"},
        twin={"edits": {"hidden_activation": "gelu_pytorch_tanh"}},
    ),
    Variant(
        "gemma2", "another rotary base", _GEMMA2, rope=PLAIN | {"rope_theta": 500.0}, twin={"rope": PLAIN}
    ),
    Variant("gemma2", "linear", _GEMMA2, rope=LINEAR, twin={"rope": None}),
    Variant("gemma2", "tight soft-caps", _GEMMA2 | _TIGHT),
    Variant(
        "gemma2",
        "another query scale",
        _GEMMA2 | {"query_pre_attn_scalar": 24},
        twin={"query_pre_attn_scalar": 16},
    ),
    Variant("gemma2", "another window pattern", _GEMMA2 | {"layer_types": MIXED}, twin={"layer_types": None}),
    Variant("gemma2", "head size stated", _GEMMA2 | {"head_dim": 24, "query_pre_attn_scalar": 24}),
    Variant(
        "gemma2", "no soft-caps", _GEMMA2 | {"attn_logit_softcapping": None, "final_logit_softcapping": None}
    ),
    Variant("gemma3_text", "usual", _GEMMA3),
    Variant("gemma3_text", "usual, old keys", _GEMMA3, old_keys=True),
    Variant("gemma3_text", "other rotary bases", _GEMMA3 | {"rope_parameters": OTHER_BASES}),
    Variant("gemma3_text", "linear in full layers", _GEMMA3 | {"rope_parameters": _SCALED_FULL}),
    Variant("gemma3_text", "yarn in full layers", _GEMMA3 | {"rope_parameters": _YARN_FULL}),
    Variant(
        "gemma3_text",
        "yarn in full layers, attention factor",
        _GEMMA3
        | {
            "rope_parameters": {
                "sliding_attention": PLAIN,
                "full_attention": YARN_SHARP | {"rope_theta": 1e6},
            }
        },
    ),
    Variant(
        "gemma3_text",
        "linear in windowed layers",
        _GEMMA3 | {"rope_parameters": _SCALED_LOCAL},
        twin={"rope_parameters": {"sliding_attention": PLAIN, "full_attention": PLAIN | {"rope_theta": 1e6}}},
    ),
    Variant("gemma3_text", "every layer full", _GEMMA3 | _ALL_FULL, edits={"sliding_window_pattern": 1}),
    Variant(
        "gemma3_text", "every layer full, said by layer", _GEMMA3 | _ALL_FULL, twin={"layer_types": None}
    ),
    Variant(
        "gemma3_text",
        "every layer full, yarn with an attention factor",
        _GEMMA3
        | _ALL_FULL
        | {
            "rope_parameters": {
                "sliding_attention": PLAIN,
                "full_attention": YARN_SHARP | {"rope_theta": 10_000.0},
            }
        },
        edits={"sliding_window_pattern": 1},
    ),
    Variant(
        "gemma3_text",
        "every third layer full",
        _GEMMA3
        | {
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] * 2
            + ["sliding_attention"]
        },
        twin={"layer_types": None},
    ),
    Variant("gemma3_text", "soft-cap of the logits", _GEMMA3 | {"final_logit_softcapping": 5.0}),
    Variant(
        "gemma3_text",
        "another query scale",
        _GEMMA3 | {"query_pre_attn_scalar": 24},
        twin={"query_pre_attn_scalar": 16},
    ),
    Variant(
        "gemma3_text",
        "attends both ways",
        _GEMMA3,
        edits={"use_bidirectional_attention": True},
        twin={"edits": {"use_bidirectional_attention": False}},
    ),
    Variant("gemma3_text", "untied", _GEMMA3 | {"tie_word_embeddings": False}),
)

VARIANTS = _GEMMA
