"""Parts of the model switched off, scaled or steered; and the comparison with the model as it is."""

from __future__ import annotations

import msgspec

from chatterm.records.generation import Distribution, Prompt
from chatterm.records.inspection.question import Question
from chatterm.sampling import SamplingParameters


class ScaleHead(msgspec.Struct, frozen=True, tag="head"):
    """Multiply what one head writes; 0 switches it off."""

    layer: int
    head: int
    scale: float = 0.0


class ScaleFeedForward(msgspec.Struct, frozen=True, tag="mlp"):
    """Multiply what a feed-forward layer writes."""

    layer: int
    scale: float = 0.0


class ScaleBlock(msgspec.Struct, frozen=True, tag="block"):
    """Multiply all that a block adds to the residual stream; 0 skips the block."""

    layer: int
    scale: float = 0.0


class ScaleNeuron(msgspec.Struct, frozen=True, tag="neuron"):
    """Multiply one neuron's activation."""

    layer: int
    neuron: int
    scale: float = 0.0


class Steer(msgspec.Struct, frozen=True, tag="steer"):
    """Add strength × (hidden state of `toward` − hidden state of `away`) after block `layer`, everywhere.

    The states are those at each text's last token (activation addition, arXiv:2308.10248).
    """

    layer: int
    toward: str
    away: str
    strength: float = 1.0


AnyEdit = ScaleHead | ScaleFeedForward | ScaleBlock | ScaleNeuron | Steer


class EditsApplied(msgspec.Struct, frozen=True, tag="edits-applied"):
    """The edits now in force, each in words; none = the model as it is."""

    described: tuple[str, ...]


class ApplyEdits(Question[EditsApplied], frozen=True, tag="apply-edits"):
    """From now on compute with these edits in every reply, prediction and question, and with no others."""

    edits: tuple[AnyEdit, ...]


class ComparedToken(msgspec.Struct, frozen=True, array_like=True):
    """One token of a continuation."""

    id: int
    text: str
    logprob: float


class Compared(msgspec.Struct, frozen=True, tag="compared"):
    """The same step without and with edits."""

    described: tuple[str, ...]
    clean: Distribution
    edited: Distribution
    kl: float  # nats, Σ clean · ln(clean / edited), of the model's own distributions after the prompt
    clean_reply: tuple[ComparedToken, ...]
    edited_reply: tuple[ComparedToken, ...]
    kl_along: tuple[float, ...]  # before each token of `clean_reply`, which both read


class Compare(Question[Compared], frozen=True, tag="compare"):
    """Clean and edited side by side, with the same random choices (`sampling.seed`).

    Edits in force play no part.

    With `max_tokens` both also write a continuation.
    """

    prompt: Prompt
    edits: tuple[AnyEdit, ...]
    sampling: SamplingParameters
    candidates: int = 10
    max_tokens: int = 0
