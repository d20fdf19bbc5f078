"""A tensor that is not there: what the checkpoint is, then, in one sentence.

“Incomplete, fetch it again” is said only where nothing else explains it: a second download would bring
the same file.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from chatterm.errors import UserError

_ADAPTED = re.compile(r"\.(lora_[AB]|lora_embedding_[AB]|base_layer)\b")
_OTHER_SENSES = re.compile(r"(^|\.)(vision\w*|visual\w*|audio\w*|multi_modal_projector|mm_projector)\.")
_QUANTISED = re.compile(
    r"\.(qweight|qzeros|weight_packed|weight_scale\w*|absmax|quant_map|SCB|scales|weight_(format|zero_point))$"
)


def missing_tensor(where: str, name: str, family: str, slot: str, stored: Collection[str]) -> UserError:
    """Why a decoder cannot be put together.

    Args: where: the file or folder. name: of the tensor, as the family calls it. family: of the
    decoder. slot: our name of the parameter: "embedding", "queries" …; "" where nothing that was
    looked for is there. stored: names of all tensors.
    """
    return UserError(f"{where} lacks the tensor “{name}”; {_reason(family, slot, stored)}.")


def left_over(where: str, family: str, left: list[str]) -> UserError:
    """Tensors without a place in the decoder."""
    examples = ", ".join(f"“{name[:60]}”" for name in left[:3])
    if any(map(_ADAPTED.search, left)):
        reason = _reason(family, "", left)
    elif any(map(_OTHER_SENSES.search, left)):
        reason = "it is the text model of a multimodal one, which chatterm does not run"
    else:
        reason = "it is a variant that is not supported, and leaving them out would give wrong numbers"
    return UserError(
        f"{where} holds {len(left)} tensors that have no place in a {family} decoder ({examples}); {reason}."
    )


def _reason(family: str, slot: str, stored: Collection[str]) -> str:
    if any(map(_ADAPTED.search, stored)):
        return (
            "an adapter (LoRA) is in it that was not merged; merge it (in peft, "
            "merge_and_unload) and save the "
            "result"
        )
    if slot == "unembedding":
        return (
            "it has no output matrix, and nothing says that the embedding is to serve as one: a "
            "bare model, such as "
            "embedding models are, does not write text"
        )
    if slot:
        return "the checkpoint is incomplete, fetch it again"
    if "tok_embeddings.weight" in stored:
        return (
            "it is in Mistral's own format (consolidated.safetensors); take the version in Hugging Face's, "
            "with model.safetensors"
        )
    if any(map(_OTHER_SENSES.search, stored)):
        return "it is a multimodal model, which chatterm does not run"
    if any(map(_QUANTISED.search, stored)):
        return (
            "its weights are quantised in a form that config.json does not state; take the "
            "unquantised version or a "
            "GGUF file"
        )
    if not stored:
        return "it holds no tensors at all, fetch it again"
    examples = ", ".join(f"“{name[:60]}”" for name in sorted(stored)[:3])
    return f"it names its {len(stored)} tensors otherwise than a {family} decoder does ({examples})"
