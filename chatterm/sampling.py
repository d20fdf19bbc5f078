"""The knobs of the sampler: what turns a model's probabilities into the next token.

The one definition that the settings, the command line, the interface and the decoder share. It imports
nothing heavy. What each step does to a distribution is in `chatterm.decode`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Step = Literal["penalties", "dry", "top_n_sigma", "top_k", "typical", "top_p", "min_p", "xtc", "temperature"]
"""A step of the sampler chain. Logit bias always comes first; `penalties` are the repetition, frequency and
presence penalties together; the draw always comes last."""

DEFAULT_ORDER: tuple[Step, ...] = (
    "penalties",
    "dry",
    "top_n_sigma",
    "top_k",
    "typical",
    "top_p",
    "min_p",
    "xtc",
    "temperature",
)
"""The order of llama.cpp's default chain."""

MOST = 2**31 - 1
"""Tokens; no model has a larger vocabulary or context, and every message and file can hold the number."""
TokenId = Annotated[int, Meta(ge=-MOST, le=MOST)]
Probability = Annotated[float, Meta(ge=0.0, le=1.0)]


class SamplingParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that decides how the next token is drawn. Values outside a range are refused by msgspec.

    A field whose neutral value is given in its comment does nothing at that value.
    """

    temperature: Annotated[float, Meta(ge=0.0, le=100.0)] = 0.8  # 0 = always the most probable token
    top_k: Annotated[int, Meta(ge=0, le=MOST)] = 40  # neutral: 0
    top_p: Probability = 0.95  # neutral: 1
    min_p: Probability = 0.05  # neutral: 0
    typical_p: Probability = 1.0  # neutral: 1
    top_n_sigma: Annotated[float, Meta(ge=0.0)] = 0.0  # neutral: 0
    xtc_probability: Probability = 0.0  # neutral: 0
    xtc_threshold: Probability = 0.1  # over 0.5: does nothing
    repetition_penalty: Annotated[float, Meta(gt=0.0, le=100.0)] = 1.0  # neutral: 1
    frequency_penalty: Annotated[float, Meta(ge=-100.0, le=100.0)] = 0.0  # neutral: 0
    presence_penalty: Annotated[float, Meta(ge=-100.0, le=100.0)] = 0.0  # neutral: 0
    penalty_last_n: Annotated[int, Meta(ge=-1, le=MOST)] = 64  # tokens looked back on; -1 = all, 0 = none
    dry_multiplier: Annotated[float, Meta(ge=0.0)] = 0.0  # neutral: 0
    dry_base: Annotated[float, Meta(ge=1.0)] = 1.75
    dry_allowed_length: Annotated[int, Meta(ge=0, le=MOST)] = 2
    dry_penalty_last_n: Annotated[int, Meta(ge=-1, le=MOST)] = -1
    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    mirostat: Literal[0, 2] = 0  # 2 = Mirostat 2.0 in place of all truncation steps
    mirostat_tau: Annotated[float, Meta(ge=0.0)] = 5.0  # target surprise in bits
    mirostat_eta: Annotated[float, Meta(ge=0.0)] = 0.1  # learning rate
    checkpoint_rules: bool = True  # what the checkpoint says must not come; False = it may
    logit_bias: dict[TokenId, float] = {}  # token id -> added to its logit; -inf bans it
    order: tuple[Step, ...] = DEFAULT_ORDER
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0

    def replace(self, **changes: object) -> SamplingParameters:
        """A copy with some fields changed and checked.

        Raises:
            msgspec.ValidationError: a field is unknown or its value out of range; the message names it.
        """
        values = {**msgspec.structs.asdict(self), **changes}
        # not strict: TOML and JSON can only write the token ids of `logit_bias` as text
        return msgspec.convert(values, SamplingParameters, strict=False)
