"""What messages are made of: prompts, tokens, distributions, facts about a model. Nothing here imports torch.

Units: probabilities are in [0, 1], log-probabilities and entropies in nats, times in seconds, sizes in bytes.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import msgspec

from chatterm.sampling import SamplingParameters

Role = Literal["system", "user", "assistant"]
Finish = Literal["end", "stop", "stopped", "length", "context"]
"""Why a reply ended: the model's end token, a stop string, the user, `max_tokens`, or the context window."""


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: Role
    content: str


class Chat(msgspec.Struct, frozen=True, tag="chat"):
    """A conversation for the checkpoint's own template.

    With `continue_reply` the last message is a partial reply of the model, to be continued. `begun` are the
    tokens with which the reply begins, exactly these: that is how a reply goes on from one of its own tokens.
    """

    messages: tuple[Message, ...]
    continue_reply: bool = False
    begun: tuple[int, ...] = ()


class Text(msgspec.Struct, frozen=True, tag="text"):
    """Plain text to be continued; no template. The checkpoint's beginning token is added if it wants one."""

    text: str


class Tokens(msgspec.Struct, frozen=True, tag="tokens"):
    """Exactly these tokens, nothing added; and those with which the reply begins (see `Chat`)."""

    ids: tuple[int, ...]
    begun: tuple[int, ...] = ()


Prompt = Chat | Text | Tokens


# --- numbers about one step -----------------------------------------------------------------------------


class Candidate(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One token that could come next."""

    id: int
    text: str  # the token alone, leading space kept; an incomplete UTF-8 piece reads like "<0xE4>"
    logprob: float  # log of the model's own probability: softmax of the logits, nothing else
    rank: int  # 1 = the model's most probable
    sampled: float  # the probability with which the sampler would draw it; 0 if removed
    removed_by: str | None  # the sampler step that removed it

    @property
    def p(self) -> float:
        """The model's own probability."""
        return math.exp(self.logprob)

    @property
    def kept(self) -> bool:
        """Whether the sampler could draw it."""
        return self.removed_by is None


class Removal(msgspec.Struct, frozen=True, array_like=True):
    """What one sampler step cut away, measured under the model's own probabilities."""

    step: str
    tokens: int
    mass: float


class Distribution(msgspec.Struct, frozen=True, gc=False):
    """What could come at one position, under the model and under the sampler."""

    position: int  # index of the token that comes here; the prompt starts at 0
    entropy: float  # nats, of the model's own distribution
    kept: int  # tokens that the sampler could draw
    removed: tuple[Removal, ...]
    candidates: tuple[Candidate, ...]  # by model probability, most probable first

    @property
    def removed_mass(self) -> float:
        """Model probability that the sampler cut away, over all its steps."""
        return math.fsum(removal.mass for removal in self.removed)


class PromptToken(msgspec.Struct, frozen=True, array_like=True):
    """One token of a text. `start` and `end` are character offsets into that text.

    `control`: it steers the model (a control token or a thinking marker), and no plain text becomes it.
    """

    id: int
    text: str
    start: int
    end: int
    control: bool = False


class ControlSpan(NamedTuple):
    """Characters of a text that are to be a control token, and nothing else of its kind."""

    id: int
    start: int
    end: int


class RuleCounts(msgspec.Struct, frozen=True):
    """How much a checkpoint says must not come, or ends a reply (`chatterm.checkpoint.rules`)."""

    suppressed: int = 0  # tokens that never come
    at_beginning: int = 0  # tokens that do not begin a reply
    bad_words: int = 0  # sequences
    biased: int = 0  # sequences
    no_repeat: int = 0  # tokens of a sequence that does not come twice
    least: int = 0  # tokens before an end
    stops: int = 0  # texts


class ModelInfo(msgspec.Struct, frozen=True):
    """What is loaded."""

    name: str
    path: str
    format: Literal["gguf", "safetensors"]
    family: str  # "llama", "qwen3" …
    parameters: int
    quantisation: str  # of the weights as stored: "Q4_1", "bfloat16"
    computation: str  # how they are computed with: "float32", "int4 · bfloat16"
    device: str  # "cpu", "cuda:0"
    file_bytes: int
    layers: int
    heads: int
    vocabulary: int
    trained_context: int  # tokens the checkpoint was made for
    context: int  # tokens this engine holds
    is_chat: bool  # has a chat template of its own; False = base model, plain dialogue is used
    sampling: SamplingParameters  # the checkpoint's own starting values, defaults where it has none
    sampling_source: str  # where they come from: "generation_config.json", "chatterm defaults" …
    exact: bool  # True: plain float32, every number exact to rounding
    thinking: tuple[str, str] | None = None  # what opens and closes the model's thinking in its replies
    notices: tuple[str, ...] = ()  # sentences for the user about how it was loaded
    rules: RuleCounts = RuleCounts()  # `SamplingParameters.checkpoint_rules` switches them off


class Timing(msgspec.Struct, frozen=True):
    """How long a reply took."""

    prompt_tokens: int
    reused_tokens: int  # of the prompt, already in the cache
    generated_tokens: int
    first_token: float  # from the request to the first token
    prefill: float
    decode: float

    @property
    def tokens_per_second(self) -> float:
        """Decode speed; 0 before the second token."""
        return (self.generated_tokens - 1) / self.decode if self.generated_tokens > 1 and self.decode else 0.0


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Anything that the client asks for."""

    request: int


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Anything that the engine says about a request."""

    request: int
