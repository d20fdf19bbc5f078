"""Variants of SmolLM3, StarCoder 2, StableLM, Command R, Falcon, GPT-2 and GPT-NeoX."""

from __future__ import annotations

from benchmarks.parity.cases import WINDOW
from benchmarks.parity.converter.variant import LINEAR, MIXED, PLAIN, YARN, YARN_SHARP, Variant

_SMOLLM3 = {"num_hidden_layers": 5}
_NOPE_WINDOW = {"use_sliding_window": True, "sliding_window": WINDOW}
_UNROTATED = {"no_rope_layers": [1, 0, 1, 0, 1]}
_OTHERS = (
    Variant("smollm3", "usual", _SMOLLM3),
    Variant("smollm3", "untied", _SMOLLM3 | {"tie_word_embeddings": False}, old_keys=True),
    Variant("smollm3", "other layers without rotary", _SMOLLM3 | _UNROTATED, twin={"no_rope_layers": None}),
    Variant(
        "smollm3",
        "windows",
        _SMOLLM3 | _NOPE_WINDOW,
        twin={"use_sliding_window": False, "sliding_window": None, "layer_types": None},
    ),
    Variant("smollm3", "yarn, attention factor", _SMOLLM3, rope=YARN_SHARP),
    Variant("smollm3", "attention biases", _SMOLLM3 | {"attention_bias": True}),
    Variant("starcoder2", "usual", {"sliding_window": None}),
    Variant("starcoder2", "window", {"sliding_window": WINDOW}, twin={"sliding_window": None}),
    Variant("starcoder2", "untied", {"sliding_window": None, "tie_word_embeddings": False}),
    Variant("starcoder2", "no biases", {"sliding_window": None, "use_bias": False}),
    Variant(
        "starcoder2",
        "exact gelu",
        {"sliding_window": None, "hidden_act": "gelu"},
        twin={"hidden_act": "gelu_pytorch_tanh"},
    ),
    Variant("starcoder2", "linear", {"sliding_window": None}, rope=LINEAR),
    Variant("stablelm", "usual"),
    Variant("stablelm", "parallel, biases", {"use_parallel_residual": True, "use_qkv_bias": True}),
    Variant("stablelm", "query and key norms", {"qk_layernorm": True, "partial_rotary_factor": 0.5}),
    Variant(
        "stablelm", "parallel, query and key norms", {"qk_layernorm": True, "use_parallel_residual": True}
    ),
    Variant(
        "stablelm",
        "another rotary base",
        rope=PLAIN | {"rope_theta": 500.0, "partial_rotary_factor": 0.5},
        twin={"rope": PLAIN | {"partial_rotary_factor": 0.5}},
    ),
    Variant(
        "stablelm",
        "linear",
        rope=LINEAR | {"partial_rotary_factor": 0.5},
        twin={"rope": PLAIN | {"partial_rotary_factor": 0.5}},
    ),
    Variant("stablelm", "tied", {"tie_word_embeddings": True}),
    Variant("cohere", "usual", {"logit_scale": 0.8}),
    Variant("cohere", "query and key norms", {"use_qk_norm": True, "logit_scale": 0.7}),
    Variant("cohere", "biases", {"attention_bias": True, "logit_scale": 0.8}),
    Variant("cohere", "untied", {"logit_scale": 0.8, "tie_word_embeddings": False}),
    Variant("cohere", "linear", {"logit_scale": 0.8}, rope=LINEAR),
    Variant("cohere", "yarn", {"logit_scale": 0.8}, rope=YARN),
    Variant(
        "cohere2",
        "usual",
        {"sliding_window": WINDOW, "logit_scale": 0.8, "num_hidden_layers": 5},
        edits={"rotary_pct": 1.0},
    ),
    Variant(
        "cohere2",
        "as saved, without rotary_pct",
        {"sliding_window": WINDOW, "logit_scale": 0.8, "num_hidden_layers": 5},
    ),
    Variant(
        "cohere2",
        "another window pattern",
        {"sliding_window": WINDOW, "logit_scale": 0.8, "num_hidden_layers": 3, "layer_types": MIXED},
        edits={"rotary_pct": 1.0},
        twin={"layer_types": None},
    ),
    Variant(
        "cohere2",
        "every layer full",
        {"sliding_window": WINDOW, "logit_scale": 0.8, "layer_types": ["full_attention"] * 3},
        edits={"rotary_pct": 1.0},
        twin={"layer_types": None},
    ),
    Variant(
        "cohere2",
        "linear",
        {"sliding_window": WINDOW, "logit_scale": 0.8, "num_hidden_layers": 5},
        rope=LINEAR,
        edits={"rotary_pct": 1.0},
    ),
    Variant("falcon", "one key", {"num_kv_heads": 1}),
    Variant("falcon", "one key, as saved today"),
    Variant("falcon", "one key, as published", edits={"num_kv_heads": "-"}, raw=True),
    Variant("falcon", "one key, biases", {"bias": True, "num_kv_heads": 1}),
    Variant("falcon", "grouped, two norms", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    Variant(
        "falcon",
        "grouped, one norm",
        {"new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1},
    ),
    Variant("falcon", "as many keys", {"multi_query": False}),
    Variant("falcon", "as many keys, sequential", {"multi_query": False, "parallel_attn": False}),
    Variant("falcon", "alibi", {"multi_query": False, "parallel_attn": False, "alibi": True, "bias": True}),
    Variant("falcon", "one key, alibi", {"num_kv_heads": 1, "alibi": True}, twin={"alibi": False}),
    Variant("falcon", "one key, sequential", {"num_kv_heads": 1, "parallel_attn": False}),
    Variant(
        "falcon",
        "another rotary base",
        {"num_kv_heads": 1},
        rope=PLAIN | {"rope_theta": 500.0},
        twin={"rope": PLAIN},
    ),
    Variant(
        "falcon", "tanh gelu", {"num_kv_heads": 1, "activation": "gelu_new"}, twin={"activation": "gelu"}
    ),
    Variant("falcon", "feed-forward width of its own", {"num_kv_heads": 1, "ffn_hidden_size": 96}),
    Variant("falcon", "untied", {"num_kv_heads": 1, "tie_word_embeddings": False}),
)
_CTX = {"n_ctx": 128}
_SEQUENTIAL = {"use_parallel_residual": False, "partial_rotary_factor": 0.5}
_GPT = (
    Variant("gpt2", "usual", edits=_CTX),
    Variant("gpt2", "untied", {"tie_word_embeddings": False}, edits=_CTX),
    Variant("gpt2", "feed-forward width of its own", {"n_inner": 96}, edits=_CTX),
    Variant("gpt2", "fewer positions stated than there are", edits={"n_ctx": 64}),
    Variant(
        "gpt2",
        "attention scaled by layer",
        {"scale_attn_by_inverse_layer_idx": True},
        edits=_CTX,
        twin={"scale_attn_by_inverse_layer_idx": False},
    ),
    Variant(
        "gpt2",
        "attention not scaled",
        {"scale_attn_weights": False},
        edits=_CTX,
        twin={"scale_attn_weights": True},
    ),
    Variant(
        "gpt2",
        "exact gelu",
        {"activation_function": "gelu"},
        edits=_CTX,
        twin={"activation_function": "gelu_new"},
    ),
    Variant("gpt_neox", "usual", old_keys=True, raw=True),
    Variant("gpt_neox", "as saved today"),
    Variant("gpt_neox", "sequential, half rotary", _SEQUENTIAL, old_keys=True, raw=True),
    Variant(
        "gpt_neox",
        "tanh gelu",
        {"hidden_act": "gelu_fast"},
        old_keys=True,
        raw=True,
        twin={"hidden_act": "gelu"},
    ),
    Variant(
        "gpt_neox",
        "another rotary base",
        rope=PLAIN | {"rope_theta": 500.0, "partial_rotary_factor": 0.5},
        old_keys=True,
        raw=True,
        twin={"rope": PLAIN | {"partial_rotary_factor": 0.5}},
    ),
    Variant(
        "gpt_neox",
        "linear",
        rope=LINEAR | {"partial_rotary_factor": 0.5},
        old_keys=True,
        raw=True,
        twin={"rope": PLAIN | {"partial_rotary_factor": 0.5}},
    ),
    Variant("gpt_neox", "no attention biases", {"attention_bias": False}, old_keys=True, raw=True),
    Variant("gpt_neox", "tied", {"tie_word_embeddings": True}, old_keys=True, raw=True),
)

VARIANTS = (*_OTHERS, *_GPT)
