"""Test GGUF files: a transformers model written the way llama.cpp's converter writes it.

Tensor names come from the `gguf` package's own map and key names from its writer, so that they do not depend
on the tables in `chatterm.checkpoint.families`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from numpy.typing import NDArray
from torch import nn

from benchmarks.parity.cases import Case

Floats = NDArray[np.float32]

ARCHITECTURES = {
    "gpt2": gguf.MODEL_ARCH.GPT2,
    "gpt_neox": gguf.MODEL_ARCH.GPTNEOX,
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "gemma": gguf.MODEL_ARCH.GEMMA,
    "gemma2": gguf.MODEL_ARCH.GEMMA2,
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
    "phi": gguf.MODEL_ARCH.PHI2,
    "phi3": gguf.MODEL_ARCH.PHI3,
    "olmo2": gguf.MODEL_ARCH.OLMO2,
    "olmo3": gguf.MODEL_ARCH.OLMO2,
    "granite": gguf.MODEL_ARCH.GRANITE,
    "granitemoehybrid": gguf.MODEL_ARCH.GRANITE,
    "smollm3": gguf.MODEL_ARCH.SMOLLM3,
    "starcoder2": gguf.MODEL_ARCH.STARCODER2,
    "stablelm": gguf.MODEL_ARCH.STABLELM,
    "cohere": gguf.MODEL_ARCH.COMMAND_R,
    "cohere2": gguf.MODEL_ARCH.COHERE2,
    "falcon": gguf.MODEL_ARCH.FALCON,
}
_PERMUTED = ("llama", "mistral", "granite", "granitemoehybrid", "smollm3")


def quantise_in_place(case: Case, model: nn.Module) -> None:
    """Round the matrices to what the case's block type can hold, so that both sides have the same numbers."""
    kind = GGMLQuantizationType[case.gguf_type]
    if kind == GGMLQuantizationType.F32:
        return
    with torch.no_grad():
        for parameter in model.parameters():
            if _is_matrix(parameter.numpy()):
                blocks = gguf.quantize(parameter.numpy(), kind)
                parameter.copy_(torch.from_numpy(gguf.dequantize(blocks, kind)))


def write_gguf(case: Case, model: nn.Module, path: Path, further: dict[str, Any] | None = None) -> None:
    """Write `model` (not yet rounded) to `path`, its matrices in the case's block type.

    `further` are keys of the architecture that the file has as well, or another value of one that it has.
    """
    config = model.config
    kind = GGMLQuantizationType[case.gguf_type]
    architecture = ARCHITECTURES[case.family]
    writer = GGUFWriter(path, gguf.MODEL_ARCH_NAMES[architecture])
    _write_metadata(case, config, writer)
    for key, value in (further or {}).items():
        if isinstance(value, list):
            writer.add_array(f"{writer.arch}.{key}", value)
        else:
            writer.add_key_value(f"{writer.arch}.{key}", value, gguf.GGUFValueType.get_type(value))
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    for name, array in _converted(case, model, config).items():
        mapped = names.get_name(name, try_suffixes=(".weight", ".bias")) or name
        if kind == GGMLQuantizationType.F32 or not _is_matrix(array):
            writer.add_tensor(mapped, np.ascontiguousarray(array))
        else:
            writer.add_tensor(mapped, gguf.quantize(np.ascontiguousarray(array), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _is_matrix(array: NDArray[Any]) -> bool:
    return array.ndim == 2 and array.shape[0] > 4


def _converted(case: Case, model: nn.Module, config: Any) -> dict[str, Floats]:
    tied = config.tie_word_embeddings
    weights = {
        name: weight.float().numpy()
        for name, weight in model.state_dict().items()
        if not (tied and name in ("lm_head.weight", "embed_out.weight"))
    }
    convert = _CONVERSIONS.get(case.family)
    out: dict[str, Floats] = {}
    for name, array in weights.items():
        out[name] = array if convert is None else convert(name, array, config)
    if case.family in _PERMUTED:
        out = {name: _permute(name, array, config) for name, array in out.items()}
    out = _separate_gates(out)
    out |= _stacked_head_norms(out) | _rotary_tensors(case, config)
    return {name: array for name, array in out.items() if ".norms." not in name}


def _permute(name: str, array: Floats, config: Any) -> Floats:
    """Rotary pairs next to each other, as the converter's `permute`."""
    if ".q_proj." in name:
        heads = config.num_attention_heads
    elif ".k_proj." in name:
        heads = config.num_key_value_heads
    else:
        return array
    halves = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:])
    return halves.swapaxes(1, 2).reshape(array.shape)


def _gpt2(name: str, array: Floats, config: Any) -> Floats:
    conv = name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
    return array.T if conv else array


def _gpt_neox(name: str, array: Floats, config: Any) -> Floats:
    if "query_key_value" not in name:
        return array
    size = config.hidden_size // config.num_attention_heads
    by_head = array.reshape(config.num_attention_heads, 3, size, *array.shape[1:])
    return by_head.swapaxes(0, 1).reshape(array.shape)


def _falcon(name: str, array: Floats, config: Any) -> Floats:
    if "query_key_value" not in name:
        return array
    heads = config.num_attention_heads
    keys = config.num_kv_heads if config.new_decoder_architecture else 1
    size = config.hidden_size // heads
    groups = array.reshape(keys, heads // keys + 2, size, *array.shape[1:])
    parts = groups[:, :-2], groups[:, -2:-1], groups[:, -1:]
    return np.concatenate([part.reshape(-1, *array.shape[1:]) for part in parts])


def _gemma(name: str, array: Floats, config: Any) -> Floats:
    return array + 1 if name.endswith("norm.weight") else array


_CONVERSIONS = {
    "gpt2": _gpt2,
    "gpt_neox": _gpt_neox,
    "falcon": _falcon,
    "gemma": _gemma,
    "gemma2": _gemma,
    "gemma3_text": _gemma,
}


def _separate_gates(weights: dict[str, Floats]) -> dict[str, Floats]:
    """Granite 4's shared feed-forward under the names of a plain one, gate and up apart."""
    separate: dict[str, Floats] = {}
    for name, array in weights.items():
        plain = name.replace("shared_mlp.output_linear", "mlp.down_proj")
        if "shared_mlp.input_linear" in name:
            gate, up = np.split(array, 2)
            separate[name.replace("shared_mlp.input_linear", "mlp.gate_proj")] = gate
            separate[name.replace("shared_mlp.input_linear", "mlp.up_proj")] = up
        else:
            separate[plain] = array
    return separate


def _stacked_head_norms(weights: dict[str, Floats]) -> dict[str, Floats]:
    """StableLM's one norm per head, stacked to `(heads, size)`."""
    stacked: dict[str, list[Floats]] = {}
    for name, array in weights.items():
        if ".norms." in name:
            stacked.setdefault(name.split(".norms.")[0] + ".weight", []).append(array)
    return {name: np.stack(arrays) for name, arrays in stacked.items()}


def _rotary_tensors(case: Case, config: Any) -> dict[str, Floats]:
    rope = case.rope or {}
    if rope.get("rope_type") == "longrope":
        return {
            "rope_factors_long.weight": np.array(rope["long_factor"], np.float32),
            "rope_factors_short.weight": np.array(rope["short_factor"], np.float32),
        }
    if rope.get("rope_type") != "llama3":
        return {}
    size = config.head_dim
    lengths = 2 * math.pi * 10_000.0 ** (np.arange(0, size, 2) / size)
    trained, low, high = (
        rope["original_max_position_embeddings"],
        rope["low_freq_factor"],
        rope["high_freq_factor"],
    )
    smooth = np.clip((trained / lengths - low) / (high - low), 0, 1)
    return {"rope_freqs.weight": (1 / ((1 - smooth) / rope["factor"] + smooth)).astype(np.float32)}


def _write_metadata(case: Case, config: Any, writer: GGUFWriter) -> None:
    heads = config.num_attention_heads
    keys = getattr(config, "num_key_value_heads", None)
    if case.family == "falcon":
        keys = config.num_kv_heads if config.new_decoder_architecture else 1
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(getattr(config, "intermediate_size", None) or 4 * config.hidden_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(keys or heads)
    if getattr(config, "head_dim", None) and case.family != "falcon":
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    if (eps := getattr(config, "rms_norm_eps", None)) is not None:
        writer.add_layer_norm_rms_eps(eps)
    else:
        names = ("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon")
        writer.add_layer_norm_eps(next(getattr(config, name) for name in names if hasattr(config, name)))
    _write_rotary(case, config, writer)
    _write_special(case, config, writer)


def _write_rotary(case: Case, config: Any, writer: GGUFWriter) -> None:
    rope = getattr(config, "rope_parameters", None)
    if not rope:
        return
    rope = rope.get("full_attention", rope)
    writer.add_rope_freq_base(rope["rope_theta"])
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_rope_dimension_count(int(size * rope.get("partial_rotary_factor", 1.0)))
    kind = rope.get("rope_type", "default")
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if kind == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if kind == "longrope":
        trained = rope["original_max_position_embeddings"]
        writer.add_rope_scaling_orig_ctx_len(trained)
        stretch = config.max_position_embeddings / trained
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(stretch) / math.log(trained)))


def _write_special(case: Case, config: Any, writer: GGUFWriter) -> None:
    if case.family in ("gemma2", "gemma3_text", "cohere2", "phi3") and config.sliding_window:
        writer.add_sliding_window(config.sliding_window)
    if case.family == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if case.family in ("gpt_neox", "stablelm"):
        writer.add_parallel_residual(config.use_parallel_residual)
    if case.family in ("cohere", "cohere2"):
        writer.add_logit_scale(config.logit_scale)
    if case.family in ("granite", "granitemoehybrid"):
        writer.add_attention_scale(config.attention_multiplier)
        writer.add_embedding_scale(config.embedding_multiplier)
        writer.add_residual_scale(config.residual_multiplier)
        writer.add_logit_scale(config.logits_scaling)
