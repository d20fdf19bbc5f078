"""Architectures that do not load: say which one it is, what kind, and what does load."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chatterm.checkpoint.families import BY_GGUF_ARCHITECTURE, BY_MODEL_TYPE, FAMILIES
from chatterm.errors import UserError

_KINDS: tuple[tuple[str, str], ...] = (
    (r".*(moe|mixtral|gpt[-_]oss|dbrx|deepseek_?[234v]|llama4|grok|arctic|olmoe|jetmoe|ernie4_5_moe).*",
     "a mixture of experts"),
    (r".*(mamba|rwkv|jamba|zamba|bamba|falcon_?h1|nemotron_h|recurrent_?gemma|xlstm|lfm2|granite(moe)?hybrid).*",
     "a state-space or recurrent model"),
    (r"(u?m?t5|t5encoder|t5gemma.*|m?bart|marian|pegasus.*|led|m2m_100|longt5|whisper|seamless.*|encoder.decoder)",
     "an encoder-decoder"),
    (r".*(vl|vision|llava|mllama|paligemma|idefics|omni|audio|clip|siglip|gemma3n|pixtral|fuyu|janus|voxtral)(_.*)?",
     "a multimodal model"),
    (r".*(bert|electra|deberta|nomic|modernbert|jina).*", "an encoder, which does not write text"),
)  # fmt: skip
_OTHER_TASK = re.compile(
    r"\w*(For(SequenceClassification|TokenClassification|QuestionAnswering|MultipleChoice|MaskedLM|Score|Embedding"
    r"|RewardModel|Retrieval)|RewardModel|BiModel|Bidirectional\w*|Encoder\w*|DoubleHeadsModel)"
)
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
_OTHER_INPUTS = ("vision_config", "audio_config", "text_config", "vision_tower")


def supported_families() -> str:
    """The names of all families that load, for a sentence."""
    return ", ".join(family.name for family in FAMILIES)


def refuse_config(config: Mapping[str, Any], where: str) -> None:
    """Raise the sentence for a `config.json` that does not load; return if its family does.

    Raises:
        UserError: it is of an unsupported kind.
    """
    name = model_type(config)
    if method := _quantisation_method(config):
        raise UserError(
            f"{where}: the weights are quantised with {method}, which is not supported; take the unquantised "
            "version or a GGUF file of the same model."
        )
    if any(_positive(config.get(key)) for key in _EXPERTS):
        raise _unsupported(where, name, "a mixture of experts")
    if config.get("is_encoder_decoder") is True:
        raise _unsupported(where, name, "an encoder-decoder")
    if any(config.get(key) for key in _OTHER_INPUTS):
        raise _unsupported(where, name, "a multimodal model")
    if name not in BY_MODEL_TYPE:
        raise _unsupported(where, name, _kind_of(name))
    if task := _other_task(config.get("architectures")):
        raise UserError(
            f"{where} is a “{task[:60]}”, which judges or embeds text and does not write any; chatterm runs "
            "models that write."
        )


def refuse_gguf(metadata: Mapping[str, Any], where: str) -> None:
    """The same for GGUF metadata."""
    name = str(metadata.get("general.architecture", "")) or "(not stated)"
    if metadata.get("general.type", "model") != "model":
        raise UserError(
            f"{where} is no model but a GGUF “{str(metadata['general.type'])[:40]}”; pass the model itself."
        )
    if _positive(metadata.get(f"{name}.expert_count")):
        raise _unsupported(where, name, "a mixture of experts")
    # a dense Granite 4 is called “granite” and has these keys all the same; tensors would show if it is not
    if name not in BY_GGUF_ARCHITECTURE and any(key.startswith(f"{name}.ssm.") for key in metadata):
        raise _unsupported(where, name, "a state-space or recurrent model")
    if name not in BY_GGUF_ARCHITECTURE:
        raise _unsupported(where, name, _kind_of(name))


def model_type(config: Mapping[str, Any]) -> str:
    """`model_type`, or the family named by `architectures` where that is missing."""
    stated = config.get("model_type")
    if isinstance(stated, str) and stated:
        return stated
    classes = config.get("architectures")
    first = classes[0] if isinstance(classes, list) and classes else ""
    lower = str(first).lower().removesuffix("forcausallm").removesuffix("lmheadmodel")
    return lower or "(not stated)"


def _other_task(classes: object) -> str | None:
    """The class of a model that does something else than write, by the names that transformers gives them."""
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        return None
    others = [name for name in classes if _OTHER_TASK.fullmatch(name)]
    return others[0] if others and len(others) == len(classes) else None


def _quantisation_method(config: Mapping[str, Any]) -> str | None:
    settings = config.get("quantization_config")
    if not isinstance(settings, dict):
        return None
    return str(settings.get("quant_method", "an unnamed method"))[:40]


def _positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _kind_of(name: str) -> str | None:
    return next((kind for pattern, kind in _KINDS if re.fullmatch(pattern, name[:100].lower())), None)


def _unsupported(where: str, name: str, kind: str | None) -> UserError:
    what = f", {kind}," if kind else ""
    return UserError(
        f"{where} is of the architecture “{name[:60]}”{what} which chatterm does not run; it runs "
        "decoder-only "
        f"text models of these families: {supported_families()}."
    )
