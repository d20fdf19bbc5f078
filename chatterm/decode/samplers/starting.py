"""The checkpoint's own sampling values, as the values that a conversation with it starts from.

They come from generation_config.json of a Hugging Face checkpoint or from the `general.sampling.*` metadata
of a GGUF file. What a file leaves open keeps the default. A checkpoint is untrusted: a value that makes
no sense is left out, with a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from chatterm.sampling import DEFAULT_ORDER, SamplingParameters, Step

_GGUF = "general.sampling."
_FIELDS = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "repetition_penalty": "repetition_penalty",
    _GGUF + "temp": "temperature",
    _GGUF + "top_k": "top_k",
    _GGUF + "top_p": "top_p",
    _GGUF + "min_p": "min_p",
    _GGUF + "xtc_probability": "xtc_probability",
    _GGUF + "xtc_threshold": "xtc_threshold",
    _GGUF + "penalty_last_n": "penalty_last_n",
    _GGUF + "penalty_repeat": "repetition_penalty",
    _GGUF + "mirostat": "mirostat",
    _GGUF + "mirostat_tau": "mirostat_tau",
    _GGUF + "mirostat_eta": "mirostat_eta",
}
"""What a file calls a value → our field. Of two names of one field the first wins."""

_LARGEST = 2**53
_INTEGERS = frozenset({"top_k", "penalty_last_n", "mirostat"})

_UNSUPPORTED: Mapping[str, Any] = {
    "num_beams": 1,
    "encoder_repetition_penalty": 1.0,
    "encoder_no_repeat_ngram_size": 0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "penalty_alpha": 0.0,
    "top_h": None,
    "exponential_decay_length_penalty": None,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "guidance_scale": 1,
    "watermarking_config": None,
    "dola_layers": None,
    "token_healing": False,
    "constraints": None,
    "force_words_ids": None,
}
"""Settings of generation_config.json that the sampler has no step for, and where they do nothing."""

_STEP_NAMES: Mapping[str, Step] = {
    **{step: step for step in DEFAULT_ORDER},
    "typ_p": "typical",
    "typical_p": "typical",
    "temp": "temperature",
}
"""llama.cpp's names of the steps, as in `general.sampling.sequence`."""


class StartingValues(NamedTuple):
    """The parameters to start with, and where they come from."""

    parameters: SamplingParameters
    taken: tuple[str, ...]  # the fields that the checkpoint set
    notices: tuple[str, ...]  # sentences for the user about what was left out


def starting_parameters(generation_config: Mapping[str, Any]) -> tuple[SamplingParameters, tuple[str, ...]]:
    """`starting_values` without the notices: the parameters, and the fields that the checkpoint set."""
    values = starting_values(generation_config)
    return values.parameters, values.taken


def starting_values(generation_config: Mapping[str, Any]) -> StartingValues:
    """The values that a checkpoint asks for.

    Greedy decoding (`do_sample: false`, said outright) becomes temperature 0, unless the file gives a
    temperature as well: then its author had sampling in mind, and the temperature is the better guess.

    Args:
        generation_config: the content of generation_config.json, or GGUF metadata; other keys are ignored.
    """
    parameters = SamplingParameters()
    taken: list[str] = []
    notices: list[str] = []
    for name, field in _FIELDS.items():
        value = generation_config.get(name)
        if value is None or field in taken:
            continue
        changed = _changed(parameters, field, value)
        if changed is None:
            notices.append(f"The checkpoint sets {name} to {_shown(value)}, no usable value; it was ignored.")
            continue
        parameters = changed
        taken.append(field)
    if "repetition_penalty" in taken and generation_config.get("repetition_penalty") not in (None, 1):
        parameters = parameters.replace(penalty_last_n=-1)  # transformers and vLLM look back on everything
        taken.append("penalty_last_n")
    sequence = generation_config.get(_GGUF + "sequence")
    if sequence is not None:
        order = _order(sequence)
        if order is None:
            notices.append(
                f"The checkpoint sets the sampler sequence to {_shown(sequence)}, with an unknown step; "
                "it was ignored."
            )
        else:
            parameters = parameters.replace(order=order)
            taken.append("order")
    if generation_config.get("do_sample") is False:
        if "temperature" in taken:
            notices.append(
                "The checkpoint asks for greedy decoding and gives a temperature; the temperature was taken. "
                "Set it to 0 for greedy decoding."
            )
        else:
            parameters = parameters.replace(temperature=0.0)
            taken.append("temperature")
    notices += [
        f"The checkpoint sets {name} to {_shown(generation_config[name])}, for which chatterm has no step; "
        "it was ignored."
        for name, neutral in _UNSUPPORTED.items()
        if generation_config.get(name) not in (None, neutral)
    ]
    return StartingValues(parameters, tuple(taken), tuple(notices))


def _changed(parameters: SamplingParameters, field: str, value: Any) -> SamplingParameters | None:
    """The parameters with one field set, or None if the value is not one for it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_LARGEST <= value <= _LARGEST:
        return None  # NaN too: it compares false
    if field in _INTEGERS:
        if value != int(value):
            return None
        value = max(int(value), 0) if field == "top_k" else int(value)  # -1 is a common "no top-k"
    else:
        value = float(f"{float(value):.7g}")  # GGUF holds float32: 0.95 is stored as 0.949999988
    try:
        return parameters.replace(**{field: value})
    except msgspec.ValidationError:
        return None


def _order(sequence: Any) -> tuple[Step, ...] | None:
    """llama.cpp's "penalties;top_k;temperature" as an order of steps."""
    if not isinstance(sequence, str) or len(sequence) > 500:
        return None
    steps = [_STEP_NAMES.get(name.strip().replace("-", "_")) for name in sequence.split(";") if name.strip()]
    known = tuple(step for step in steps if step is not None)
    return known if known and len(known) == len(steps) else None


def _shown(value: Any) -> str:
    """A value of a file as short inert text."""
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
