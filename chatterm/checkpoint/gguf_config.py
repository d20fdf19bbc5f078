"""GGUF metadata → the same configuration keys that a `config.json` has.

Key names are those of llama.cpp's `gguf-py/gguf/constants.py`. What GGUF does not record (activation, Gemma's
layer pattern …) stays missing here and comes from the family's own defaults.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gguf.constants import GGMLQuantizationType

from chatterm.checkpoint.gguf import GGUFFile
from chatterm.errors import UserError

_KEYS = {
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "attention.layer_norm_epsilon": "layer_norm_eps",
    "attention.sliding_window": "sliding_window",
    "attention.scale": "attention_multiplier",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
    "rope.freq_base": "rope_theta",
    "rope.freq_base_swa": "rope_local_base_freq",
    "rope.scaling.original_context_length": "original_max_position_embeddings",
    "logit_scale": "logit_scale",
    "embedding_scale": "embedding_multiplier",
    "residual_scale": "residual_multiplier",
    "use_parallel_residual": "use_parallel_residual",
}
MAX_ROTARY_FACTORS = 4096


def gguf_config(file: GGUFFile, architecture: str) -> dict[str, Any]:
    """The configuration of a GGUF file of that `general.architecture`, in Hugging Face's names.

    Raises:
        UserError: per-layer sizes (lists) differ from layer to layer, which no supported family has.
    """
    config: dict[str, Any] = {}
    for key, name in _KEYS.items():
        value = file.metadata.get(f"{architecture}.{key}")
        if isinstance(value, list):
            value = _same_everywhere(value, f"{file.path}: “{architecture}.{key}”")
        if value is not None:
            config[name] = value
    if "token_embd.weight" in file.tensors:
        config["vocab_size"] = file.tensors["token_embd.weight"].shape[0]
    config["model_max_length"] = config.get("max_position_embeddings")  # nothing makes it longer but YaRN
    config["tie_word_embeddings"] = "output.weight" not in file.tensors
    # what config.json states and GGUF shows by the presence of tensors
    config["use_qk_norm"] = config["qk_layernorm"] = "blk.0.attn_q_norm.weight" in file.tensors
    config["new_decoder_architecture"] = "blk.0.attn_norm_2.weight" in file.tensors
    _add_window_pattern(config, file.metadata.get(f"{architecture}.attention.sliding_window_pattern"))
    _add_partial_rotary(config, file.metadata.get(f"{architecture}.rope.dimension_count"))
    if scaling := _rope_scaling(file, architecture):
        config["rope_scaling"] = scaling
    return config


def _same_everywhere(values: list[Any], what: str) -> Any:
    """The one value of a per-layer list."""
    if not values or any(value != values[0] for value in values):
        raise UserError(f"{what} differs from layer to layer, which no supported family has.")
    return values[0]


def _add_window_pattern(config: dict[str, Any], pattern: object) -> None:
    """Newer files say which layers are windowed: one flag for each, or every how-manieth is not."""
    if isinstance(pattern, list):
        config["layer_types"] = ["sliding_attention" if short else "full_attention" for short in pattern]
    elif pattern is not None:
        config["sliding_window_pattern"] = pattern


def _add_partial_rotary(config: dict[str, Any], dimensions: object) -> None:
    width, heads = config.get("hidden_size"), config.get("num_attention_heads")
    head_size = config.get("head_dim")
    if head_size is None and isinstance(width, int) and isinstance(heads, int) and heads > 0:
        head_size = width // heads
    if isinstance(dimensions, int) and isinstance(head_size, int) and 0 < dimensions < head_size:
        config["partial_rotary_factor"] = dimensions / head_size


def _rope_scaling(file: GGUFFile, architecture: str) -> dict[str, Any] | None:
    def setting(name: str) -> Any:
        return file.metadata.get(f"{architecture}.rope.{name}")

    if "rope_freqs.weight" in file.tensors:
        return {"rope_type": "factors", "factors": _vector(file, "rope_freqs.weight")}
    if "rope_factors_long.weight" in file.tensors and "rope_factors_short.weight" in file.tensors:
        attention_factor = setting("scaling.attn_factor")
        return {
            "rope_type": "longrope",
            "long_factor": _vector(file, "rope_factors_long.weight"),
            "short_factor": _vector(file, "rope_factors_short.weight"),
            "attention_factor": 1.0 if attention_factor is None else attention_factor,
        }
    kind, factor = setting("scaling.type"), setting("scaling.factor")
    if kind is None and setting("scale_linear") not in (None, 0.0, 1.0):  # files from before the types
        kind, factor = "linear", setting("scale_linear")
    if kind in (None, "none"):
        return None
    scaling = {"rope_type": kind, "factor": factor}
    if kind == "yarn":
        scaling |= {
            "beta_fast": setting("scaling.yarn_beta_fast"),
            "beta_slow": setting("scaling.yarn_beta_slow"),
        }
        if (sharper := setting("scaling.attn_factor")) not in (None, 1.0):
            raise UserError(
                f"{file.path} combines YaRN with an attention factor of {sharper}, which is not supported."
            )
    return scaling


def _vector(file: GGUFFile, name: str) -> list[float]:
    tensor = file.tensors[name]
    if (
        tensor.type != GGMLQuantizationType.F32
        or int(np.prod(tensor.shape, dtype=np.int64)) > MAX_ROTARY_FACTORS
    ):
        raise UserError(
            f"{file.path}: the tensor “{name}” must be a short list of float32 numbers; it is damaged."
        )
    return [float(value) for value in tensor.data.reshape(-1).view(np.float32)]
