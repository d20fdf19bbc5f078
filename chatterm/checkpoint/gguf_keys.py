"""Every key of a GGUF file that speaks of the computation: read, known to change nothing, or refused by name.

The counterpart of `layout.refuse_leftovers`, which does the same for tensors. Keys are those under the
architecture's own name (`llama.…`), without it. Names are from llama.cpp's `gguf-py/gguf/constants.py` and
from Ollama's `convert/`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chatterm.checkpoint.gguf import GGUFFile
from chatterm.errors import UserError

NO_POOLING = 0
MOST_QUANTISATION_VERSION = 2
_POOLINGS = {1: "mean", 2: "first token", 3: "last token", 4: "ranking"}

READ = frozenset(
    {
        "context_length",
        "embedding_length",
        "block_count",
        "feed_forward_length",
        "hidden_activation",
        "attention.head_count",
        "attention.head_count_kv",
        "attention.key_length",
        "attention.head_dim",
        "attention.layer_norm_rms_epsilon",
        "attention.layer_norm_epsilon",
        "attention.causal",
        "attention.sliding_window",
        "attention.sliding_window_pattern",
        "pooling_type",
        "rope.dimension_count",
        "rope.freq_base",
        "rope.freq_base_swa",
        "rope.global.freq_base",
        "rope.local.freq_base",
        "rope.scale_linear",
        "rope.scaling.type",
        "rope.scaling.factor",
        "rope.scaling.original_context_length",
        "rope.scaling.attn_factor",
        "rope.scaling.yarn_attn_factor",
        "rope.scaling.yarn_log_multiplier",
        "rope.scaling.yarn_beta_fast",
        "rope.scaling.yarn_beta_slow",
        "rope.scaling.beta_fast",
        "rope.scaling.beta_slow",
    }
)
"""Read for every architecture, by `gguf_config` and `gguf_architecture`."""

READ_BY: dict[str, frozenset[str]] = {
    "attention.scale": frozenset({"granite"}),
    "embedding_scale": frozenset({"granite"}),
    "residual_scale": frozenset({"granite"}),
    "logit_scale": frozenset({"granite", "command-r", "cohere2"}),
    "attn_logit_softcapping": frozenset({"gemma2", "gemma3"}),
    "final_logit_softcapping": frozenset({"gemma2", "gemma3"}),
    "use_parallel_residual": frozenset({"gptneox", "stablelm"}),
    "rope.scaling.finetuned": frozenset({"granite"}),
}
"""Read for these architectures only; for others a value that changes nothing may stand there."""


@dataclass(frozen=True)
class Harmless:
    """Keys that change nothing, whatever they say (`unless` is None) or where they say nothing unusual."""

    keys: str  # regular expression of the whole key
    why: str
    unless: Callable[[Any, Callable[[str], Any]], bool] | None = None
    """Whether this value changes something after all, given it and the file's other keys."""


def _head_size(get: Callable[[str], Any]) -> Any:
    stated = get("attention.key_length")
    return stated if stated is not None else _quotient(get("embedding_length"), get("attention.head_count"))


def _quotient(width: object, heads: object) -> int | None:
    return width // heads if isinstance(width, int) and isinstance(heads, int) and heads > 0 else None


def _differs_from(key: str) -> Callable[[Any, Callable[[str], Any]], bool]:
    return lambda value, get: get(key) is not None and value != get(key)


def _given(value: Any, get: Callable[[str], Any]) -> bool:
    return value not in (0, False)


def _scales(value: Any, get: Callable[[str], Any]) -> bool:
    return value not in (0, 1)


HARMLESS = (
    Harmless("vocab_size", "the rows of the embedding say it"),
    Harmless("max_position_embeddings", "says the context length once more"),
    Harmless("tensor_data_layout", "a remark of the converter; the order of the rows is the architecture's"),
    Harmless("rope.scaling.finetuned", "a remark about how the model was trained"),
    Harmless(
        "ssm\\..*", "written for every Granite 4; recurrent layers would show as tensors without a place"
    ),
    Harmless(
        "expert_.*|norm_top_k_prob|interleave_moe_layer_step|moe_.*", "there is no router without experts"
    ),
    Harmless("leading_dense_block_count", "without experts every block is dense"),
    Harmless("rope\\.(dimension_sections|mrope_section)", "text has the same position in every section"),
    Harmless("n_deepstack_layers|deepstack_mapping", "only images have further inputs there"),
    Harmless("(vision|audio|mm|clip)\\..*|image_token_.*", "the image or audio side; text does not pass it"),
    Harmless(
        "attention.value_length", "as long as the keys are", lambda value, get: value != _head_size(get)
    ),
    Harmless(
        "attention.(key|value)_length_swa",
        "the same in all layers",
        lambda value, get: value != _head_size(get),
    ),
    Harmless("rope.dimension_count_swa", "the same in all layers", _differs_from("rope.dimension_count")),
    Harmless(
        "attention.scale",
        "the usual scale",
        lambda value, get: value != 0 and not _is_usual_scale(value, _head_size(get)),
    ),
    Harmless("(embedding|residual|logit)_scale", "multiplies by one", _scales),
    Harmless("attention.(output|value)_scale", "multiplies by one", _scales),
    Harmless("(attn|final|router)_logit_softcapping", "no cap", _given),
    Harmless("use_parallel_residual", "one after the other", _given),
    Harmless("rope.scaling.alpha", "no stretching", _scales),
    Harmless(
        "rope.scaling.(yarn_ext|extrapolation)_factor", "whole extrapolation", lambda value, get: value != 1
    ),
    Harmless(
        "attention.(clamp_kqv|max_alibi_bias|temperature_scale|temperature_length)", "switched off", _given
    ),
    Harmless("attention.shared_kv_layers|embedding_length_per_layer_input", "none", _given),
    Harmless("nextn_predict_layers", "no layers that guess further ahead", _given),
    Harmless("attention.rope_pattern", "rotary in every layer", lambda value, get: not _all_true(value)),
    Harmless("embedding_length_out", "as wide as the model", _differs_from("embedding_length")),
)


def _is_usual_scale(value: Any, head_size: Any) -> bool:
    return isinstance(head_size, int) and abs(float(value) - head_size**-0.5) < 1e-6


def _all_true(value: Any) -> bool:
    return all(value) if isinstance(value, list) else bool(value)


def refuse_keys(file: GGUFFile, kind: str) -> None:
    """Raise the sentence for a key that bears on the computation and is not read.

    Args:
        file: with its metadata.
        kind: `general.architecture`, one that is supported.

    Raises:
        UserError: there is such a key, or the file says that it holds no model that writes text.
    """
    _refuse_other_uses(file, kind)
    version = file.metadata.get("general.quantization_version")
    if isinstance(version, int) and version > MOST_QUANTISATION_VERSION:
        raise UserError(
            f"{file.path}: “general.quantization_version” is {version}, newer than the "
            f"{MOST_QUANTISATION_VERSION} "
            "that chatterm reads; update chatterm."
        )

    def get(name: str) -> Any:
        return file.metadata.get(f"{kind}.{name}")

    for key, value in file.metadata.items():
        name = key.removeprefix(f"{kind}.")
        if name == key or name in READ or kind in READ_BY.get(name, ()) or _changes_nothing(name, value, get):
            continue
        raise UserError(
            f"{file.path}: “{key[:80]}” is {value!r:.60}, which a {kind} decoder here does not know; it is a "
            "variant that is not supported, and leaving the key out would give wrong numbers."
        )


def _changes_nothing(name: str, value: Any, get: Callable[[str], Any]) -> bool:
    known = [entry for entry in HARMLESS if re.fullmatch(entry.keys, name)]
    return any(entry.unless is None or not entry.unless(value, get) for entry in known)


def _refuse_other_uses(file: GGUFFile, kind: str) -> None:
    if not file.metadata.get(f"{kind}.attention.causal", True):
        raise UserError(
            f"{file.path} is an embedding model: by “{kind}.attention.causal” it looks ahead in the "
            "text, so it "
            "cannot write any."
        )
    pooling = file.metadata.get(f"{kind}.pooling_type", NO_POOLING)
    if pooling != NO_POOLING and "output.weight" not in file.tensors and file.tensors:
        what = _POOLINGS.get(pooling, pooling) if isinstance(pooling, int) else pooling
        raise UserError(
            f"{file.path} is an embedding model: “{kind}.pooling_type” is {pooling!r:.20} "
            f"({what!s:.20}) and it has "
            "no output matrix, so it cannot write text."
        )
