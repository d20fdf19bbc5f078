"""Questions about what happens inside the model, and their answers: data only, no torch.

A question looks at one step: the model has read all tokens of `prompt`, and what it computed at the *last* of
them is looked at (that is the step which predicts the token after them). The engine replays that step against
its cache, so a question about the conversation costs about one decode step. Heads, layers and neurons count
from 0; a block's output is called by the block's index.

Every panel and every command asks these same questions.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

import msgspec

from chatterm.engine.records import Candidate, Distribution, Prompt
from chatterm.sampling import SamplingParameters

A_co = TypeVar("A_co", covariant=True)


class Question(msgspec.Struct, Generic[A_co], frozen=True):
    """Something to ask of the loaded model; `A_co` is the type of its answer."""


# --- score and ranks --------------------------------------------------------------------------------------


class ScoredToken(msgspec.Struct, frozen=True, array_like=True):
    """One token of a text under the model's own distribution after all tokens before it."""

    id: int
    text: str
    logprob: float | None  # None for the first token: nothing comes before it
    rank: int | None
    entropy: float | None


class Scored(msgspec.Struct, frozen=True, tag="scored"):
    """Every token of the prompt, scored."""

    tokens: tuple[ScoredToken, ...]


class Score(Question[Scored], frozen=True, tag="score"):
    """How probable every token of `prompt` was; `first` leaves out the tokens before that position."""

    prompt: Prompt
    first: int = 0


class RankCurveRead(msgspec.Struct, frozen=True, tag="rank-curve-read"):
    """Probabilities by rank, at ranks spaced evenly in the logarithm (all of the first 32)."""

    ranks: tuple[int, ...]
    p: tuple[float, ...]  # the model's own
    sampled: tuple[float, ...]  # after the sampler, of the same tokens; 0 = removed
    slope: float | None  # least squares of ln p against ln rank over ranks 1 … 1000; −1 would be Zipf's law


class RankCurve(Question[RankCurveRead], frozen=True, tag="rank-curve"):
    """Next-token probabilities against rank, for a log-log plot."""

    prompt: Prompt
    sampling: SamplingParameters
    points: int = 200


# --- lens -------------------------------------------------------------------------------------------------


class LensLayer(msgspec.Struct, frozen=True, array_like=True):
    """The final norm and unembedding applied to the residual stream after one block."""

    layer: int
    entropy: float
    candidates: tuple[Candidate, ...]  # `sampled` equals p and nothing is removed: no sampler here
    target_p: float | None
    target_rank: int | None


class LensPosition(msgspec.Struct, frozen=True):
    """The lens at one position, from the first block to the last."""

    position: int  # of the token that was read
    token: int
    text: str
    target: int | None  # the token whose rank is followed
    target_text: str | None
    layers: tuple[LensLayer, ...]


class LensRead(msgspec.Struct, frozen=True, tag="lens-read"):
    """The last `positions` positions of the prompt, in order."""

    positions: tuple[LensPosition, ...]


class Lens(Question[LensRead], frozen=True, tag="lens"):
    """Guesses layer by layer.

    With `positions` > 1, a grid over the last ones. `target` is the token that came after the prompt (earlier
    positions have the prompt's own next token as their target).
    """

    prompt: Prompt
    candidates: int = 3
    target: int | None = None
    positions: int = 1


# --- attention --------------------------------------------------------------------------------------------


class AttentionOverviewRead(msgspec.Struct, frozen=True, tag="attention-overview-read"):
    """How every head looks back from the last position: `[layer][head]`."""

    tokens: tuple[str, ...]
    entropy: tuple[tuple[float, ...], ...]  # nats
    strongest: tuple[tuple[int, ...], ...]  # the position looked at most
    strongest_weight: tuple[tuple[float, ...], ...]
    to: int | None
    weight: tuple[tuple[float, ...], ...] | None  # on position `to`
    windows: tuple[int | None, ...]  # per layer: how many positions are visible, itself included; None = all


class AttentionOverview(Question[AttentionOverviewRead], frozen=True, tag="attention-overview"):
    """All heads of all layers at the last position, and their weight on position `to`."""

    prompt: Prompt
    to: int | None = None


class AttentionRead(msgspec.Struct, frozen=True, tag="attention-read"):
    """Attention weights of one head. Each row sums to 1; what may not be seen is 0."""

    tokens: tuple[str, ...]  # of the whole prompt: the columns
    first: int  # position of the first row
    weights: tuple[tuple[float, ...], ...]  # (rows, columns)
    window: int | None


class AttentionHead(Question[AttentionRead], frozen=True, tag="attention-head"):
    """One head's attention: the last `rows` queries against all positions."""

    prompt: Prompt
    layer: int
    head: int
    rows: int = 1


class HeadPatternsRead(msgspec.Struct, frozen=True, tag="head-patterns-read"):
    """Small maps of many heads, max-pooled to at most `size` × `size`."""

    tokens: tuple[str, ...]
    heads: tuple[tuple[int, int], ...]  # (layer, head)
    maps: tuple[tuple[tuple[float, ...], ...], ...]
    pooled: int  # positions per cell; 1 = nothing was pooled


class HeadPatterns(Question[HeadPatternsRead], frozen=True, tag="head-patterns"):
    """Maps of all heads of one layer, or of one head across all layers, over the whole prompt."""

    prompt: Prompt
    layer: int | None = None
    head: int | None = None
    size: int = 24


# --- contributions ----------------------------------------------------------------------------------------


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


# --- neurons ----------------------------------------------------------------------------------------------


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


# --- embeddings -------------------------------------------------------------------------------------------


class Neighbour(msgspec.Struct, frozen=True, array_like=True):
    """A token and how near it is."""

    id: int
    text: str
    cosine: float


class NeighboursRead(msgspec.Struct, frozen=True, tag="neighbours-read"):
    """The nearest tokens, nearest first."""

    of: str
    ids: tuple[int, ...]  # the tokens of the word whose mean was taken
    layer: int | None
    neighbours: tuple[Neighbour, ...]


class Neighbours(Question[NeighboursRead], frozen=True, tag="neighbours"):
    """Tokens near a word in the input embedding, by cosine; a word of several tokens is their mean."""

    word: str
    count: int = 10


class HiddenNeighbours(Question[NeighboursRead], frozen=True, tag="hidden-neighbours"):
    """Tokens whose unembedding is nearest (cosine) to the hidden state after block `layer`, last position."""

    prompt: Prompt
    layer: int
    count: int = 10


class AnalogyRead(msgspec.Struct, frozen=True, tag="analogy-read"):
    """What lies near a − b + c; the three words themselves are left out."""

    a: str
    b: str
    c: str
    neighbours: tuple[Neighbour, ...]


class Analogy(Question[AnalogyRead], frozen=True, tag="analogy"):
    """a − b + c in the input embedding (each vector of length 1, as in word2vec's 3CosAdd)."""

    a: str
    b: str
    c: str
    count: int = 10


class MapPoint(msgspec.Struct, frozen=True, array_like=True):
    """A word's place."""

    word: str
    x: float
    y: float


class EmbeddingMapRead(msgspec.Struct, frozen=True, tag="embedding-map-read"):
    """Places of words in the plane."""

    points: tuple[MapPoint, ...]
    explained: tuple[float, float]  # share of the variance along x and y


class EmbeddingMap(Question[EmbeddingMapRead], frozen=True, tag="embedding-map"):
    """Words in the plane of the two main components of their (centred, unit-length) input embeddings."""

    words: tuple[str, ...]


# --- edits ------------------------------------------------------------------------------------------------


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


# --- self-check -------------------------------------------------------------------------------------------


class Identity(msgspec.Struct, frozen=True):
    """Something that must hold, and by how much it does not."""

    name: str  # "the lens after the last block is the logits"
    error: float
    tolerance: float
    unit: Literal["nats", "logit", "probability", "relative"]

    @property
    def holds(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.tolerance


class SelfChecked(msgspec.Struct, frozen=True, tag="self-checked"):
    """All identities on the loaded checkpoint."""

    identities: tuple[Identity, ...]


class SelfCheck(Question[SelfChecked], frozen=True, tag="self-check"):
    """Run every identity of the glass box on a short text."""


AnyQuestion = (
    Score
    | RankCurve
    | Lens
    | AttentionOverview
    | AttentionHead
    | HeadPatterns
    | Contributions
    | Neurons
    | Neighbours
    | HiddenNeighbours
    | Analogy
    | EmbeddingMap
    | ApplyEdits
    | Compare
    | SelfCheck
)
AnyAnswer = (
    Scored
    | RankCurveRead
    | LensRead
    | AttentionOverviewRead
    | AttentionRead
    | HeadPatternsRead
    | ContributionsRead
    | NeuronsRead
    | NeighboursRead
    | AnalogyRead
    | EmbeddingMapRead
    | EditsApplied
    | Compared
    | SelfChecked
)
