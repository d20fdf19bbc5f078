"""Variants of Llama, Mistral and Qwen."""

from __future__ import annotations

from benchmarks.parity.cases import TRAINED, WINDOW
from benchmarks.parity.converter.variant import (
    DYNAMIC,
    LINEAR,
    LLAMA3,
    LONGROPE,
    MIXED,
    YARN,
    YARN_BETAS,
    YARN_MSCALE,
    YARN_SHARP,
    YARN_WHOLE,
    Variant,
)

_POOLED = {
    "modules.json": [{"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}],
    "1_Pooling/config.json": {"pooling_mode_lasttoken": True},
}
_SLIDING = {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1}
_NO_SLIDING = {"use_sliding_window": False, "sliding_window": None, "layer_types": None}
_LLAMA = (
    Variant("llama", "usual"),
    Variant("llama", "tied", {"tie_word_embeddings": True}),
    Variant("llama", "old keys", {"num_key_value_heads": 4}, old_keys=True),
    Variant("llama", "all biases", {"attention_bias": True, "mlp_bias": True}),
    Variant("llama", "head size stated", {"head_dim": 24}),
    Variant("llama", "another rotary base", rope={"rope_type": "default", "rope_theta": 500.0}),
    Variant("llama", "linear", rope=LINEAR),
    Variant("llama", "linear, old keys", rope=LINEAR, old_keys=True),
    Variant("llama", "dynamic", {"max_position_embeddings": TRAINED}, rope=DYNAMIC, twin={"rope": None}),
    Variant("llama", "llama3", rope=LLAMA3),
    Variant("llama", "llama3, old keys, head size", {"head_dim": 24}, rope=LLAMA3, old_keys=True),
    Variant("llama", "yarn", rope=YARN),
    Variant("llama", "yarn, old keys", rope=YARN, old_keys=True),
    Variant("llama", "yarn, attention factor", rope=YARN_SHARP),
    Variant("llama", "yarn, attention factor 1", rope=YARN | {"attention_factor": 1.0}),
    Variant("llama", "yarn, betas", rope=YARN_BETAS),
    Variant("llama", "yarn, mscale", rope=YARN_MSCALE, twin={"rope": YARN}),
    Variant("llama", "yarn, not truncated", rope=YARN_WHOLE, twin={"rope": YARN_WHOLE | {"truncate": True}}),
    Variant("llama", "longrope", rope=LONGROPE),
    Variant("llama", "activation gelu", {"hidden_act": "gelu"}, twin={"hidden_act": "silu"}),
    Variant("llama", "fused queries, keys, values", options=("--fuse-qkv",)),
    Variant(
        "llama",
        "fused, biases, tied",
        {"attention_bias": True, "tie_word_embeddings": True},
        options=("--fuse-qkv",),
    ),
    Variant("llama", "not causal", edits={"is_causal": False}),
    Variant("llama", "bare model, tied", {"tie_word_embeddings": True}, bare=True),
    Variant(
        "llama",
        "bare model, nothing said about tying",
        bare=True,
        edits={"tie_word_embeddings": "-"},
        twin={"edits": {"tie_word_embeddings": True}},
    ),
    Variant("llama", "in 16 bits", options=("--outtype", "f16")),
    Variant("llama", "in 8 bits", options=("--outtype", "q8_0")),
)
_MISTRAL = (
    Variant("mistral", "no window", {"sliding_window": None}),
    Variant("mistral", "window", {"sliding_window": WINDOW}, twin={"sliding_window": None}),
    Variant(
        "mistral",
        "windows in some layers",
        {"sliding_window": WINDOW},
        edits={"layer_types": MIXED},
        twin={"sliding_window": None, "edits": {"layer_types": "-"}},
    ),
    Variant("mistral", "head size stated", {"sliding_window": None, "head_dim": 24}),
    Variant("mistral", "yarn", {"sliding_window": None}, rope=YARN),
    Variant("mistral", "its own format", {"sliding_window": None, "head_dim": 16}, mistral_format=True),
    Variant(
        "mistral",
        "its own format, yarn with scale",
        {"sliding_window": None, "head_dim": 16},
        rope=YARN,
        mistral_format=True,
        mistral_params={
            "yarn": {
                "factor": 4.0,
                "beta": 32.0,
                "alpha": 1.0,
                "apply_scale": True,
                "original_max_position_embeddings": TRAINED,
            }
        },
    ),
    Variant(
        "mistral",
        "its own format, yarn without scale",
        {"sliding_window": None, "head_dim": 16},
        rope=YARN | {"attention_factor": 1.0},
        mistral_format=True,
        mistral_params={
            "yarn": {
                "factor": 4.0,
                "beta": 32.0,
                "alpha": 1.0,
                "apply_scale": False,
                "original_max_position_embeddings": TRAINED,
            }
        },
    ),
)
_QWEN = tuple(
    variant
    for family, size in (("qwen2", {}), ("qwen3", {"head_dim": 24}))
    for variant in (
        Variant(family, "usual", size),
        Variant(family, "tied", size | {"tie_word_embeddings": True}),
        Variant(family, "window in upper layers", size | _SLIDING, twin=_NO_SLIDING),
        Variant(family, "yarn", {"head_dim": 16} if size else {}, rope=YARN),
        Variant(family, "yarn, attention factor", {"head_dim": 16} if size else {}, rope=YARN_SHARP),
        Variant(family, "linear", size, rope=LINEAR),
        Variant(
            family, "dynamic", size | {"max_position_embeddings": TRAINED}, rope=DYNAMIC, twin={"rope": None}
        ),
        Variant(family, "not causal", size, edits={"is_causal": False}),
        Variant(family, "bare model, pooled", size | {"tie_word_embeddings": True}, bare=True, files=_POOLED),
        Variant(family, "whole model, pooled", size, files=_POOLED),
        Variant(
            family,
            "bare model, nothing said about tying",
            size,
            bare=True,
            edits={"tie_word_embeddings": "-"},
            twin={"edits": {"tie_word_embeddings": True}},
        ),
        Variant(family, "fused queries, keys, values", size, options=("--fuse-qkv",)),
        Variant(family, "biases in attention", size | {"attention_bias": True}),
    )
)

VARIANTS = (*_LLAMA, *_MISTRAL, *_QWEN)
