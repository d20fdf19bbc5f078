"""Variants of Phi, OLMo and Granite."""

from __future__ import annotations

from benchmarks.parity.cases import TRAINED, WINDOW
from benchmarks.parity.converter.variant import (
    LINEAR,
    LONGROPE,
    MIXED,
    OTHER_BASES,
    PLAIN,
    YARN,
    YARN_SHARP,
    Variant,
)

_PHI3_TRAINED = {"original_max_position_embeddings": 128}
_PHI3_LONG = {"original_max_position_embeddings": TRAINED}
_PHI = (
    Variant("phi", "half rotary", {"num_key_value_heads": 4, "intermediate_size": 256}),
    Variant(
        "phi",
        "quarter rotary",
        {
            "partial_rotary_factor": 0.25,
            "hidden_size": 128,
            "intermediate_size": 512,
            "num_key_value_heads": 4,
        },
    ),
    Variant("phi", "feed-forward width of its own", {"num_key_value_heads": 4}),
    Variant("phi", "grouped keys", {"intermediate_size": 256}),
    Variant(
        "phi",
        "query and key norms",
        {"qk_layernorm": True, "num_key_value_heads": 4, "intermediate_size": 256},
    ),
    Variant(
        "phi",
        "another rotary base",
        {"num_key_value_heads": 4, "intermediate_size": 256},
        rope=PLAIN | {"rope_theta": 500.0},
        twin={"rope": PLAIN},
    ),
    Variant(
        "phi",
        "linear",
        {"num_key_value_heads": 4, "intermediate_size": 256},
        rope=LINEAR,
        twin={"rope": None},
    ),
    Variant("phi3", "window", _PHI3_TRAINED | {"sliding_window": WINDOW}),
    Variant("phi3", "no window", _PHI3_TRAINED),
    Variant("phi3", "tied", _PHI3_TRAINED | {"tie_word_embeddings": True}),
    Variant("phi3", "half rotary", _PHI3_TRAINED, rope=PLAIN | {"partial_rotary_factor": 0.5}),
    Variant("phi3", "longrope", _PHI3_LONG, rope=LONGROPE),
    Variant(
        "phi3",
        "longrope, old keys, window",
        _PHI3_LONG | {"sliding_window": 20},
        rope=LONGROPE,
        old_keys=True,
        edits={"original_max_position_embeddings": TRAINED},
    ),
    Variant(
        "phi3",
        "longrope, attention factor",
        _PHI3_LONG,
        rope=LONGROPE | {"attention_factor": 1.9},
        twin={"rope": LONGROPE},
    ),
    Variant(
        "phi3",
        "longrope over half of each head, tied",
        _PHI3_LONG | {"tie_word_embeddings": True},
        rope=LONGROPE
        | {
            "partial_rotary_factor": 0.5,
            "short_factor": LONGROPE["short_factor"][::2],
            "long_factor": LONGROPE["long_factor"][::2],
        },
    ),
    Variant("phi3", "another rotary base", _PHI3_TRAINED, rope=PLAIN | {"rope_theta": 500.0}),
)
_OLMO3 = {"sliding_window": WINDOW, "num_hidden_layers": 5}
_OLMO = (
    Variant("olmo2", "usual"),
    Variant("olmo2", "ungrouped", {"num_key_value_heads": 4}, old_keys=True),
    Variant("olmo2", "yarn", rope=YARN),
    Variant("olmo2", "yarn, attention factor", rope=YARN_SHARP),
    Variant("olmo2", "attention biases", {"attention_bias": True}),
    Variant("olmo2", "linear", rope=LINEAR),
    Variant("olmo3", "usual", _OLMO3),
    Variant("olmo3", "another window pattern", _OLMO3 | {"layer_types": [*MIXED, *MIXED[:2]]}),
    Variant("olmo3", "every layer full", _OLMO3 | {"layer_types": ["full_attention"] * 5}),
    Variant("olmo3", "every layer windowed", _OLMO3 | {"layer_types": ["sliding_attention"] * 5}),
    Variant(
        "olmo3",
        "yarn in full layers",
        _OLMO3
        | {
            "rope_parameters": {
                "sliding_attention": PLAIN,
                "full_attention": YARN | {"rope_theta": 10_000.0},
            }
        },
    ),
    Variant(
        "olmo3",
        "yarn, attention factor",
        _OLMO3
        | {
            "rope_parameters": {
                "sliding_attention": PLAIN,
                "full_attention": YARN_SHARP | {"rope_theta": 10_000.0},
            }
        },
    ),
    Variant("olmo3", "two rotary bases", _OLMO3 | {"rope_parameters": OTHER_BASES}),
    Variant(
        "olmo3",
        "as published: base and yarn at the top",
        _OLMO3,
        edits={
            "rope_parameters": "-",
            "rope_theta": 10_000.0,
            "rope_scaling": YARN | {"attention_factor": 1.2},
        },
    ),
    Variant("olmo3", "tied", _OLMO3 | {"tie_word_embeddings": True}),
)
_MULTIPLIERS = {
    "embedding_multiplier": 3.0,
    "attention_multiplier": 0.2,
    "residual_multiplier": 0.4,
    "logits_scaling": 1.7,
}
_GRANITE4 = _MULTIPLIERS | {
    "num_local_experts": 0,
    "num_experts_per_tok": 0,
    "layer_types": ["attention"] * 3,
    "shared_intermediate_size": 96,
    "position_embedding_type": "rope",
    "mamba_n_heads": 4,
    "mamba_d_head": 32,
}
_ATTENTION = {"layer_types": ["attention"] * 3}
_GRANITE = (
    Variant("granite", "multipliers", _MULTIPLIERS),
    Variant("granite", "multipliers, tied", _MULTIPLIERS | {"tie_word_embeddings": True}, old_keys=True),
    Variant("granite", "no multipliers"),
    Variant("granite", "biases", _MULTIPLIERS | {"attention_bias": True, "mlp_bias": True}),
    Variant("granite", "head size stated", _MULTIPLIERS, edits={"head_dim": 16}),
    Variant("granite", "yarn, attention factor", _MULTIPLIERS, rope=YARN_SHARP),
    Variant("granitemoehybrid", "dense", _GRANITE4, edits=_ATTENTION, raw=True),
    Variant("granitemoehybrid", "dense, as saved today", _GRANITE4),
    Variant(
        "granitemoehybrid",
        "dense, tied",
        _GRANITE4 | {"tie_word_embeddings": True},
        edits=_ATTENTION,
        raw=True,
    ),
    Variant(
        "granitemoehybrid",
        "dense, feed-forward width of its own",
        _GRANITE4 | {"shared_intermediate_size": 112},
        edits=_ATTENTION,
        raw=True,
    ),
    Variant(
        "granitemoehybrid",
        "dense, without positions",
        _GRANITE4 | {"position_embedding_type": None},
        edits=_ATTENTION,
        raw=True,
        twin={"position_embedding_type": "rope"},
    ),
)

VARIANTS = (*_PHI, *_OLMO, *_GRANITE)
