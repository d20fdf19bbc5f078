"""Which heads, layers and neurons did it."""

from __future__ import annotations

import msgspec

from chatterm.records.generation import Prompt
from chatterm.records.inspection.question import Question


class ContributionsRead(msgspec.Struct, frozen=True, tag="contributions-read"):
    """Direct contributions to one logit (or to a difference of two), through the actual final norm.

    `embedding` + all `heads` + all `mlps` + `bias` = `logit`, before a final soft cap.
    """

    token: int
    text: str
    against: int | None
    against_text: str | None
    logit: float
    capped: float | None  # the logit after the soft cap, where the family has one
    embedding: float
    heads: tuple[tuple[float, ...], ...]  # [layer][head]
    mlps: tuple[float, ...]  # [layer]
    bias: float  # output biases of attention, of the norms, of the unembedding


class Contributions(Question[ContributionsRead], frozen=True, tag="contributions"):
    """Which heads and feed-forward layers pushed a token's logit. `target` None: the most probable token.

    With `against`, everything is about the difference logit(target) − logit(against).
    """

    prompt: Prompt
    target: int | None = None
    against: int | None = None


class Neuron(msgspec.Struct, frozen=True):
    """One feed-forward neuron at one position."""

    layer: int
    neuron: int
    activation: float  # what multiplies its row of the output matrix
    strength: float  # |activation| × the length of that row: how far it moves the residual stream
    promotes: tuple[tuple[str, float], ...]  # tokens and the logits that this activation adds
    suppresses: tuple[tuple[str, float], ...]


class NeuronsRead(msgspec.Struct, frozen=True, tag="neurons-read"):
    """The strongest neurons, strongest first."""

    neurons: tuple[Neuron, ...]
    active: tuple[int, ...]  # per layer: how many neurons make up half of the layer's total strength


class Neurons(Question[NeuronsRead], frozen=True, tag="neurons"):
    """The most active neurons at the last position, of one layer or of all."""

    prompt: Prompt
    layer: int | None = None
    count: int = 10
    tokens: int = 8
