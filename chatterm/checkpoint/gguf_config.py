"""GGUF metadata → the same configuration keys that a `config.json` has.

Key names are those of llama.cpp's `gguf-py/gguf/constants.py`. What GGUF does not record (activation, Gemma's
layer pattern …) stays missing here and comes from the family's own defaults.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chatterm.checkpoint.blocks import BlockType
from chatterm.checkpoint.gguf import GGUFFile
from chatterm.errors import UserError

_KEYS = {
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.head_dim": "head_dim",
    "attention.key_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "attention.layer_norm_epsilon": "layer_norm_eps",
    "attention.scale": "attention_multiplier",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
    "rope.global.freq_base": "rope_theta",
    "rope.freq_base": "rope_theta",
    "rope.local.freq_base": "rope_local_base_freq",
    "rope.freq_base_swa": "rope_local_base_freq",
    "rope.scaling.original_context_length": "original_max_position_embeddings",
    "logit_scale": "logit_scale",
    "embedding_scale": "embedding_multiplier",
    "residual_scale": "residual_multiplier",
    "use_parallel_residual": "use_parallel_residual",
    "hidden_activation": "hidden_act",
}
"""Where two keys mean the same, the later one counts."""
_LAYER_NORM = frozenset(
    {"gpt2", "gptneox", "falcon", "phi2", "starcoder2", "stablelm", "command-r", "cohere2"}
)
_EPS = ("rms_norm_eps", "layer_norm_eps")
_FOUR_TIMES = frozenset({"gpt2", "falcon", "phi2", "granite"})
"""Their converters state a width of the feed-forward part that need not be that of its matrices."""
_PARTIAL = frozenset({"phi2", "phi3", "gptneox", "stablelm"})
"""They turn a share of each head."""
WINDOWS_BY_RULE = frozenset({"gemma2", "gemma3", "cohere2"})
"""Which layers have windows is their family's rule, where the file does not say."""
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
    _choose_eps(config, architecture)
    _add_sizes_of_tensors(config, file, architecture)
    config["model_max_length"] = config.get("max_position_embeddings")  # nothing makes it longer but YaRN
    config["tie_word_embeddings"] = "output.weight" not in file.tensors
    # what config.json states and GGUF shows by the presence of tensors
    config["use_qk_norm"] = config["qk_layernorm"] = "blk.0.attn_q_norm.weight" in file.tensors
    config["new_decoder_architecture"] = "blk.0.attn_norm_2.weight" in file.tensors
    _add_windows(config, file, architecture)
    if architecture in _PARTIAL:  # `gguf_architecture` holds the others to turning the whole head
        _add_partial_rotary(config, file.metadata.get(f"{architecture}.rope.dimension_count"))
    if scaling := _rope_scaling(file, architecture):
        config["rope_scaling"] = scaling
    return config


def window_pattern(file: GGUFFile, architecture: str) -> tuple[bool, ...] | None:
    """Which layers have windows, as the file says: one flag for each, or every how-manieth has none.

    Raises:
        UserError: it says it for another number of layers, or in another way.
    """
    key = f"{architecture}.attention.sliding_window_pattern"
    pattern, layers = file.metadata.get(key), file.metadata.get(f"{architecture}.block_count")
    if pattern is None or not isinstance(layers, int):
        return None
    if isinstance(pattern, list) and len(pattern) == layers:
        return tuple(map(bool, pattern))
    if isinstance(pattern, int) and not isinstance(pattern, bool) and pattern >= 0:
        return tuple(pattern == 0 or (layer + 1) % pattern != 0 for layer in range(layers))
    raise UserError(
        f"{file.path}: “{key}” is {pattern!r:.60} but must be one flag for each of {layers} layers."
    )


def _choose_eps(config: dict[str, Any], architecture: str) -> None:
    """Of two norms' numbers, the one that this architecture computes with."""
    ours, other = _EPS[::-1] if architecture in _LAYER_NORM else _EPS
    if ours in config:
        config.pop(other, None)


def _add_sizes_of_tensors(config: dict[str, Any], file: GGUFFile, architecture: str) -> None:
    def rows(name: str) -> int | None:
        return file.tensors[name].shape[0] if name in file.tensors else None

    sizes = {"vocab_size": rows("token_embd.weight"), "max_position_embeddings": rows("position_embd.weight")}
    if architecture in _FOUR_TIMES:
        sizes["intermediate_size"] = rows("blk.0.ffn_up.weight")
    if architecture == "phi2":  # whose file says that there are as many keys as queries, whatever there are
        keys, width, heads = (
            rows("blk.0.attn_k.weight"),
            config.get("hidden_size"),
            config.get("num_attention_heads"),
        )
        if keys and isinstance(width, int) and isinstance(heads, int) and 0 < heads <= width:
            sizes["num_key_value_heads"] = keys // (width // heads) or None
    config.update({name: size for name, size in sizes.items() if size is not None})


def _add_windows(config: dict[str, Any], file: GGUFFile, architecture: str) -> None:
    """For the families that have a rule of their own; others' are set by `gguf_architecture`."""
    if architecture not in WINDOWS_BY_RULE:
        return
    window = file.metadata.get(f"{architecture}.attention.sliding_window")
    pattern = window_pattern(file, architecture)
    if architecture == "gemma3" and not window:  # the converter leaves it out where every layer is full
        pattern, window = (False,) * int(config.get("num_hidden_layers") or 0), None
    if window is not None:
        config["sliding_window"] = window
    if pattern is not None:
        config["layer_types"] = ["sliding_attention" if short else "full_attention" for short in pattern]


def _same_everywhere(values: list[Any], what: str) -> Any:
    """The one value of a per-layer list."""
    if not values or any(value != values[0] for value in values):
        raise UserError(f"{what} differs from layer to layer, which no supported family has.")
    return values[0]


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

    kind, factor = setting("scaling.type"), setting("scaling.factor")
    if factor in (None, 0.0):
        factor = setting("scale_linear")  # files from before the types
    stretched = factor not in (None, 0.0, 1.0)
    if "rope_freqs.weight" in file.tensors and kind in (None, "none", "linear") and not stretched:
        return {"rope_type": "factors", "factors": _vector(file, "rope_freqs.weight")}
    if "rope_factors_long.weight" in file.tensors and "rope_factors_short.weight" in file.tensors:
        attention_factor = setting("scaling.attn_factor")
        return {
            "rope_type": "longrope",
            "long_factor": _vector(file, "rope_factors_long.weight"),
            "short_factor": _vector(file, "rope_factors_short.weight"),
            "attention_factor": 1.0 if attention_factor is None else attention_factor,
        }
    if "rope_freqs.weight" in file.tensors:
        raise UserError(
            f"{file.path} has both the tensor “rope_freqs.weight” and rotary scaling “{kind}” by {factor}; "
            "how the two go together is not known."
        )
    if kind == "longrope":
        raise UserError(
            f"{file.path}: “{architecture}.rope.scaling.type” is longrope, but the tensors with its factors "
            "(rope_factors_long, rope_factors_short) are missing; llama.cpp's converter leaves "
            "them out for this "
            "architecture. Take the model as a folder of safetensors."
        )
    if kind == "none" and stretched:
        raise UserError(
            f"{file.path}: “{architecture}.rope.scaling.factor” is {factor}, but "
            f"“{architecture}.rope.scaling.type” "
            "says that nothing is scaled; the file contradicts itself. Take the model as a folder "
            "of safetensors."
        )
    if kind == "yarn":
        return {"rope_type": "yarn", "factor": factor} | _yarn(setting)
    _refuse_sharpening(file, architecture)
    if kind in (None, "linear"):
        return {"rope_type": "linear", "factor": factor} if stretched else None
    return None if kind == "none" else {"rope_type": kind, "factor": factor}


def _yarn(setting: Callable[[str], Any]) -> dict[str, Any]:
    """YaRN's own settings. The converter writes the attention factor of config.json as it stands there; what
    llama.cpp multiplies with besides (`attn_factor`) has no place in config.json."""
    besides = setting("scaling.attn_factor")
    sharpness = setting("scaling.yarn_attn_factor")
    share = setting("scaling.yarn_log_multiplier")
    scaling = {
        "beta_fast": setting("scaling.yarn_beta_fast") or setting("scaling.beta_fast"),
        "beta_slow": setting("scaling.yarn_beta_slow") or setting("scaling.beta_slow"),
    }
    if sharpness is None and share:  # Mistral's own format
        scaling |= {"mscale": 1.0, "mscale_all_dim": share}
    if sharpness is None and besides not in (None, 1.0):
        factor = float(setting("scaling.factor") or 1.0)
        usual = 0.1 * math.log(factor) + 1.0 if factor > 1 else 1.0
        own = 0.1 * float(share or 0.0) * math.log(factor) + 1.0 if factor > 1 else 1.0
        sharpness = usual / own * besides
    elif sharpness is not None and besides is not None:
        sharpness = sharpness * besides
    return scaling | {"attention_factor": sharpness}


def _refuse_sharpening(file: GGUFFile, architecture: str) -> None:
    """Attention factors where there is neither YaRN nor LongRoPE."""
    for name in ("rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor"):
        key = f"{architecture}.{name}"
        if (value := file.metadata.get(key)) not in (None, 1.0):
            raise UserError(f"{file.path}: “{key}” is {value!r:.60}, which only YaRN and LongRoPE have.")


def _vector(file: GGUFFile, name: str) -> list[float]:
    tensor = file.tensors[name]
    if tensor.type != BlockType.F32 or int(np.prod(tensor.shape, dtype=np.int64)) > MAX_ROTARY_FACTORS:
        raise UserError(
            f"{file.path}: the tensor “{name}” must be a short list of float32 numbers; it is damaged."
        )
    return [float(value) for value in tensor.data.reshape(-1).view(np.float32)]
