"""The table of cases: families, both styles of config.json, rope scalings, tied and untied, sharded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

WINDOW = 24
"""Positions; the text of 64 tokens crosses it."""
TRAINED = 32
"""Positions before rope scaling extends them; the text crosses it."""

_LINEAR = {"rope_type": "linear", "factor": 4.0}
_DYNAMIC = {"rope_type": "dynamic", "factor": 2.0}
_LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": TRAINED,
}
_YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": TRAINED}
_LONGROPE = {
    "rope_type": "longrope",
    "short_factor": [1.0, 1.1, 1.2, 1.3, 1.5, 2.0, 2.5, 3.0],
    "long_factor": [1.0, 1.3, 2.0, 3.0, 5.0, 8.0, 12.0, 16.0],
    "original_max_position_embeddings": TRAINED,
}


@dataclass(frozen=True)
class Case:
    """One tiny random checkpoint and the way it is stored."""

    family: str  # model_type
    what: str  # is special about it, for the table
    config: dict[str, Any] = field(default_factory=dict)  # beyond the tiny common sizes
    rope: dict[str, Any] | None = None  # scaling, in the new style's keys
    style: Literal["new", "old"] = "new"
    sharded: bool = False
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    stray: bool = False  # buffers of old versions lie among the weights
    bare_names: bool = False  # tensor names without the base model's prefix
    gguf: bool = True  # llama.cpp can hold it
    gguf_type: str = "F32"  # of the matrices

    @property
    def name(self) -> str:
        """Unique, for test ids and file names."""
        parts = (self.family, self.what, "old keys" if self.style == "old" else "")
        return ", ".join(part for part in parts if part)


SIZES: dict[str, Any] = {
    "vocab_size": 128,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_GEMMA3 = {"head_dim": 16, "sliding_window": WINDOW, "query_pre_attn_scalar": 24, "num_hidden_layers": 7}
_PER_LAYER = {
    "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    "full_attention": {"rope_type": "linear", "rope_theta": 1_000_000.0, "factor": 8.0},
}
_SLIDING = {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1}
_FALCON_NEW = {"new_decoder_architecture": True, "num_kv_heads": 2}
_GRANITE = {
    "embedding_multiplier": 3.0,
    "attention_multiplier": 0.2,
    "residual_multiplier": 0.4,
    "logits_scaling": 1.7,
}

# fmt: off
_NEOX_SEQUENTIAL = {"use_parallel_residual": False, "rotary_pct": 0.5}
_GPT2_UNTIED = {"tie_word_embeddings": False, "scale_attn_by_inverse_layer_idx": True}
_GEMMA2 = {"sliding_window": WINDOW, "query_pre_attn_scalar": 24}
_TIGHT = {"query_pre_attn_scalar": 16, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 5.0}
_GEMMA3_LINEAR = _GEMMA3 | {"query_pre_attn_scalar": 16, "rope_parameters": _PER_LAYER}
_NOPE_WINDOW = {"no_rope_layer_interval": 2, "use_sliding_window": True, "sliding_window": WINDOW}
_OLMO3 = {"sliding_window": WINDOW, "num_hidden_layers": 5}
_OLMO3_YARN = {
    "sliding_attention": {"rope_type": "default", "rope_theta": 500_000.0},
    "full_attention": _YARN | {"rope_theta": 500_000.0, "attention_factor": 1.3},
}
_GRANITE4 = {
    "shared_intermediate_size": 96,
    "num_local_experts": 0,
    "num_experts_per_tok": 0,
    "layer_types": ["full_attention"] * 3,
    "position_embedding_type": "rope",
    "mamba_n_heads": 4,
}
_COHERE2 = {"sliding_window": WINDOW, "logit_scale": 0.8, "num_hidden_layers": 5}
_UNTIED_WINDOW = {"sliding_window": WINDOW, "tie_word_embeddings": False}

_NAMED: tuple[Case, ...] = (
    Case("gpt2", "tied"),
    Case("gpt2", "untied, attention scaled by layer", _GPT2_UNTIED, gguf=False),
    Case("gpt2", "bare names, stray buffers", bare_names=True, stray=True),
    Case("gpt2", "sharded, float16", sharded=True, dtype="float16"),
    Case("gpt_neox", "parallel"),
    Case("gpt_neox", "parallel", style="old"),
    Case("gpt_neox", "sequential, half rotary", _NEOX_SEQUENTIAL),
    Case("gpt_neox", "stray buffers, linear", rope=_LINEAR, style="old", stray=True),
    Case("llama", "untied"),
    Case("llama", "untied", style="old"),
    Case("llama", "tied", {"tie_word_embeddings": True}),
    Case("llama", "sharded", sharded=True, style="old"),
    Case("llama", "bfloat16", dtype="bfloat16"),
    Case("llama", "float16, sharded", dtype="float16", sharded=True),
    Case("llama", "all biases", {"attention_bias": True, "mlp_bias": True}),
    Case("llama", "head size stated", {"head_dim": 24}),
    Case("llama", "stray buffers", stray=True, style="old"),
    Case("llama", "linear", rope=_LINEAR),
    Case("llama", "linear", rope=_LINEAR, style="old"),
    Case("llama", "dynamic", {"max_position_embeddings": TRAINED}, rope=_DYNAMIC, gguf=False),
    Case("llama", "dynamic", {"max_position_embeddings": TRAINED}, rope=_DYNAMIC, style="old", gguf=False),
    Case("llama", "llama3", rope=_LLAMA3),
    Case("llama", "llama3", rope=_LLAMA3, style="old"),
    Case("llama", "yarn", rope=_YARN),
    Case("llama", "yarn", rope=_YARN, style="old"),
    Case("llama", "Q8_0", gguf_type="Q8_0"),
    Case("llama", "Q4_0", gguf_type="Q4_0"),
    Case("llama", "Q4_1, biases", {"attention_bias": True}, gguf_type="Q4_1"),
    Case("llama", "Q5_1", gguf_type="Q5_1"),
    Case("mistral", "window", {"sliding_window": WINDOW}, gguf=False),
    Case("mistral", "window", {"sliding_window": WINDOW}, style="old", gguf=False),
    Case("mistral", "no window, head size stated", {"sliding_window": None, "head_dim": 24}),
    Case("qwen2", "tied", {"tie_word_embeddings": True}),
    Case("qwen2", "untied", style="old"),
    Case("qwen2", "window in upper layers", _SLIDING, gguf=False),
    Case("qwen2", "window in upper layers", _SLIDING, style="old", gguf=False),
    Case("qwen2", "yarn", rope=_YARN, style="old"),
    Case("qwen3", "head size stated", {"head_dim": 24}),
    Case("qwen3", "tied", {"head_dim": 24, "tie_word_embeddings": True}, style="old"),
    Case("qwen3", "yarn, Q5_0", {"head_dim": 16}, rope=_YARN, gguf_type="Q5_0"),
    Case("gemma", "tied", {"head_dim": 24}),
    Case("gemma", "one key/value head", {"head_dim": 24, "num_key_value_heads": 1}, style="old"),
    Case("gemma2", "windows and soft-caps", _GEMMA2 | {"head_dim": 16}, gguf=False),
    Case("gemma2", "windows and soft-caps", _GEMMA2 | {"head_dim": 24}, style="old"),
    Case("gemma2", "tight soft-caps", _GEMMA2 | _TIGHT | {"head_dim": 16}),
    Case("gemma3_text", "windows, two rotary bases", _GEMMA3, gguf=False),
    Case("gemma3_text", "windows, two rotary bases", _GEMMA3 | {"query_pre_attn_scalar": 16}, style="old"),
    Case("gemma3_text", "linear in full layers", _GEMMA3_LINEAR),
    Case("gemma3_text", "linear in full layers", _GEMMA3_LINEAR, style="old"),
    Case("phi", "half rotary", {"num_key_value_heads": 4}),
    Case("phi", "quarter rotary", {"partial_rotary_factor": 0.25, "hidden_size": 128}, style="old"),
    Case("phi", "query and key norms", {"qk_layernorm": True}, gguf=False),
    Case("phi3", "untied"),
    Case("phi3", "window", {"sliding_window": WINDOW}, style="old"),
    Case("phi3", "longrope", {"original_max_position_embeddings": TRAINED}, rope=_LONGROPE),
    Case("phi3", "longrope", {"original_max_position_embeddings": TRAINED}, rope=_LONGROPE, style="old"),
    Case("phi3", "half rotary, Q8_0", {"partial_rotary_factor": 0.5}, gguf_type="Q8_0"),
    Case("olmo2", "grouped"),
    Case("olmo2", "ungrouped", {"num_key_value_heads": 4}, style="old"),
    Case("olmo2", "yarn", rope=_YARN),
    Case("olmo3", "windows", _OLMO3, gguf=False),
    Case("olmo3", "windows", _OLMO3, style="old", gguf=False),
    Case("olmo3", "yarn in full layers", _OLMO3 | {"rope_parameters": _OLMO3_YARN}, gguf=False),
    Case("olmo3", "no windows", {"layer_types": ["full_attention"] * 3}),
    Case("granite", "multipliers", _GRANITE),
    Case("granite", "multipliers, tied", _GRANITE | {"tie_word_embeddings": True}, style="old"),
    Case("granitemoehybrid", "dense", _GRANITE4 | _GRANITE),
    Case("granitemoehybrid", "dense", _GRANITE4 | _GRANITE, style="old"),
    Case("granitemoehybrid", "dense, no rotary", _GRANITE4 | {"position_embedding_type": "nope"}, gguf=False),
    Case("smollm3", "no rotary in some layers", {"num_hidden_layers": 5}),
    Case("smollm3", "no rotary in some layers", {"num_hidden_layers": 5}, style="old"),
    Case("smollm3", "another interval, window", _NOPE_WINDOW, gguf=False),
    Case("starcoder2", "tied", {"sliding_window": None}),
    Case("starcoder2", "window, untied", _UNTIED_WINDOW, style="old", gguf=False),
    Case("starcoder2", "no biases", {"use_bias": False}),
    Case("stablelm", "sequential"),
    Case("stablelm", "parallel, biases", {"use_parallel_residual": True, "use_qkv_bias": True}, style="old"),
    Case("stablelm", "query and key norms", {"qk_layernorm": True, "partial_rotary_factor": 0.5}),
    Case("cohere", "tied", {"logit_scale": 0.8}),
    Case("cohere", "query and key norms", {"use_qk_norm": True, "logit_scale": 0.7}, style="old"),
    Case("cohere", "biases", {"attention_bias": True, "logit_scale": 0.8}),
    Case("cohere2", "windows, full layers without rotary", _COHERE2),
    Case("cohere2", "windows, full layers without rotary", _COHERE2, style="old"),
    Case("falcon", "one key"),
    Case("falcon", "one key, biases", {"bias": True}, style="old"),
    Case("falcon", "grouped, two norms", _FALCON_NEW),
    Case("falcon", "grouped, one norm", _FALCON_NEW | {"num_ln_in_parallel_attn": 1}, style="old"),
    Case("falcon", "as many keys, sequential", {"multi_query": False, "parallel_attn": False}, gguf=False),
)
# fmt: on

_SCALINGS = {"linear": _LINEAR, "dynamic": _DYNAMIC, "llama3": _LLAMA3, "yarn": _YARN}
_SCALED: dict[str, dict[str, Any]] = {
    "gpt_neox": {},
    "mistral": {"sliding_window": WINDOW},
    "qwen2": {},
    "qwen3": {"head_dim": 16},
    "gemma": {"head_dim": 16},
    "gemma2": _GEMMA2 | {"head_dim": 16},
    "phi": {"num_key_value_heads": 4},
    "olmo2": {},
    "granite": _GRANITE,
    "smollm3": {"num_hidden_layers": 5},
    "starcoder2": {"sliding_window": None},
    "stablelm": {"partial_rotary_factor": 0.5},
    "cohere": {"logit_scale": 0.8},
    "cohere2": _COHERE2,
    "falcon": {},
}
"""Every other family that takes all rope scalings. Phi-3 takes only LongRoPE, Gemma 3 one per layer type."""


_ALWAYS_TIED_IN_GGUF = ("gemma", "cohere", "cohere2")
_NEVER_TIED_IN_GGUF = ("gpt_neox", "olmo2", "stablelm")  # llama.cpp refuses a file without an output matrix
_NOT_IN_GGUF = (
    "mistral",
    "gemma2",
)  # as configured above: the file has no place for the window, or the scale


def _scaled(number: int, family: str, scaling: str) -> Case:
    """One family with one scaling; style, sharding and tying take turns."""
    tied, sharded = number % 3 == 0 and family != "phi", number % 4 == 0
    config = _SCALED[family] | {"tie_word_embeddings": tied}
    if scaling == "dynamic":
        config |= {"max_position_embeddings": TRAINED}
    return Case(
        family,
        ", ".join(filter(None, (scaling, "tied" if tied else "untied", "sharded" if sharded else ""))),
        config,
        rope=_SCALINGS[scaling],
        style="old" if number % 2 else "new",
        sharded=sharded,
        gguf=scaling in ("linear", "yarn")
        and family not in _NOT_IN_GGUF
        and family not in (_NEVER_TIED_IN_GGUF if tied else _ALWAYS_TIED_IN_GGUF),
    )


_PRODUCT = [(family, scaling) for family in _SCALED for scaling in _SCALINGS]
CASES = (*_NAMED, *(_scaled(number, *pair) for number, pair in enumerate(_PRODUCT)))
