"""How long a text a checkpoint was made for: what it states, and what its rotary scaling makes of that.

Model cards tell people to switch scaling on and to leave `max_position_embeddings` as it was trained (Qwen's,
for YaRN); published checkpoints mostly state what scaling has made of it. Both mean the same length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chatterm.checkpoint.architecture import (
    DynamicScaling,
    LayerOptions,
    LinearScaling,
    Llama3Scaling,
    YarnScaling,
)
from chatterm.checkpoint.config import Config

MAX_CONTEXT = (1 << 31) - 1  # the decode step counts in 32 bits


def context_length(config: Config, layers: Iterable[LayerOptions]) -> int:
    """Tokens that a checkpoint was made for; never fewer than it states.

    - YaRN: factor · original length. So it is with a stated length that lies between the two (Qwen3: 40 960
      is the 32 768 that YaRN begins with and room for a reply), and one that is scaled already is the same.
    - dynamic: factor · stated length, since its formula takes that one for the trained length.
    - Llama 3's: factor · original length if the original length is what is stated. Llama 3.2 states less than
      that product, and means it.
    - linear: factor · the original length, or · the stated one where there is none, but not more than the
      checkpoint says elsewhere (`model_max_length` of its tokenizer, `max_sequence_length`): some state the
      scaled length (deepseek-coder), others the trained one (vicuna-16k). A GGUF file states the whole.
    - LongRoPE: what is stated; its factors say nothing of a length.

    Raises:
        UserError: no length is stated, or none that makes sense.
    """
    stated = config.integer("max_position_embeddings", most=MAX_CONTEXT)
    scalings = {layer.rotary.scaling for layer in layers if layer.rotary is not None}
    longest = stated
    for scaling in scalings:
        match scaling:
            case YarnScaling(factor, trained) | DynamicScaling(factor, trained):
                longest = max(longest, int(factor * trained))
            case Llama3Scaling(factor, trained=trained) if stated <= trained:
                longest = max(longest, int(factor * trained))
            case LinearScaling(factor):
                longest = max(longest, _linear(config, stated, factor))
    return min(longest, MAX_CONTEXT)


def scales_linearly(values: Mapping[str, Any]) -> bool:
    """Whether a `config.json` scales linearly, where only the tokenizer may know the whole length."""
    for key in ("rope_parameters", "rope_scaling"):
        settings = values.get(key)
        if isinstance(settings, dict):
            entries = [settings, *(entry for entry in settings.values() if isinstance(entry, dict))]
            if any("linear" in (entry.get("rope_type"), entry.get("type")) for entry in entries):
                return True
    return False


def _linear(config: Config, stated: int, factor: float) -> int:
    for source in (config.section("rope_parameters"), config.section("rope_scaling"), config):
        if source is not None and source.stated("original_max_position_embeddings"):
            original = source.integer("original_max_position_embeddings", most=MAX_CONTEXT)
            return int(factor * original)
    whole = [
        int(value)
        for key in ("model_max_length", "max_sequence_length")
        if isinstance(value := config.get(key), int | float) and stated <= value <= MAX_CONTEXT
    ]
    return min([int(factor * stated), *whole])
