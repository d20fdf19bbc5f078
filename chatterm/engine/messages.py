"""What the interface and the engine say to each other: typed, versioned messages.

Every message is a tagged `msgspec.Struct`, sent as one MessagePack frame (`chatterm.engine.wire`). Requests
carry a number that the client chose; every event that answers one carries the same number, and exactly one
*closing* event (`Closing`) ends it. Nothing here imports torch.

Units: probabilities are in [0, 1], log-probabilities and entropies in nats, times in seconds, sizes in bytes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from chatterm.records.generation import (
    Chat,
    ControlSpan,
    Distribution,
    Event,
    Finish,
    ModelInfo,
    Prompt,
    PromptToken,
    Request,
    Timing,
    Tokens,
)
from chatterm.records.inspection import AnyAnswer, AnyQuestion
from chatterm.records.supply import FoundCheckpoint, SupplyAnswer, SupplyRequest, Unfinished
from chatterm.sampling import SamplingParameters

PROTOCOL_VERSION = 1

# --- requests -------------------------------------------------------------------------------------------


class LoadOptions(msgspec.Struct, frozen=True):
    """How to load a checkpoint."""

    device: str = "auto"
    context: int | None = None  # tokens; None = what the checkpoint was made for, bounded by memory
    threads: int | None = None
    exact: bool = False  # everything in float32; False = the faster way that this machine's measurement chose
    quantise: Literal["none", "int8", "int4"] = "none"  # dense weights, while they are loaded


class Load(Request, frozen=True, tag="load"):
    """Load the checkpoint at `path` (a GGUF file or a folder). Answered by `Progress` …, `Loaded`."""

    path: str
    options: LoadOptions = LoadOptions()


class Generate(Request, frozen=True, tag="generate"):
    """Write a reply. Answered by `Started`, `Progress` …, `TokenEvent` …, `Finished`.

    Short replies to the same prompt that wait meanwhile are written together with it (`engine/reply.py`);
    their events come in turns.
    """

    prompt: Prompt
    sampling: SamplingParameters
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    candidates: int = 10


class SetSampling(Request, frozen=True, tag="set-sampling"):
    """New parameters for the running reply `request`, from the very next token. Not answered."""

    sampling: SamplingParameters


class Stop(Request, frozen=True, tag="stop"):
    """Stop what `request` is doing. That request's own closing event follows."""


class Predict(Request, frozen=True, tag="predict"):
    """The distribution after a prompt, without generating; also while a reply is being written.

    Answered by `Predicted`. `also` are token ids that must be among the candidates whatever their rank.
    """

    prompt: Prompt
    sampling: SamplingParameters
    candidates: int = 10
    also: tuple[int, ...] = ()


class Inspect(Request, frozen=True, tag="inspect"):
    """Look inside (`chatterm.records.inspection`); while a reply is being written, at its text.

    Answered by `Progress` …, `Inspected`.
    """

    question: AnyQuestion


class Tokenize(Request, frozen=True, tag="tokenize"):
    """Cut a text into tokens, special tokens in it staying text. Answered by `Tokenized`.

    The characters at `control`, which are in order, are the control tokens named there. With `path` the
    tokenizer of that checkpoint is used and no model is needed.
    """

    text: str
    path: str | None = None
    control: tuple[ControlSpan, ...] = ()


class Render(Request, frozen=True, tag="render"):
    """What exactly the model sees of a conversation, or what tokens say. Answered by `Rendered`."""

    chat: Chat | Tokens


class Discover(Request, frozen=True, tag="discover"):
    """List the checkpoints on this machine. Needs no model. Answered by `Discovered`."""

    folders: tuple[str, ...] = ()  # extra folders, from the settings


class Fetch(Request, frozen=True, tag="fetch"):
    """Find a path, catalog name or hub id. Answered by `Progress` …, `Fetched`.

    What is not on this machine is downloaded if `download` says so.
    """

    name: str
    download: bool = False


class Describe(Request, frozen=True, tag="describe"):
    """Read the headers of the checkpoint at `path`. Needs no model. Answered by `Described`."""

    path: str


class Check(Request, frozen=True, tag="check"):
    """Read a whole checkpoint, verify it and run it once. Answered by `Progress` …, `Checked`."""

    path: str


class Examine(Request, frozen=True, tag="examine"):
    """What this machine offers an engine, `measure`: measured again. Answered by `Examined`."""

    measure: bool = False


class Bench(Request, frozen=True, tag="bench"):
    """Measure the loaded model; what it has read is forgotten. Answered by `Progress` …, `Benched`.

    Lengths, in tokens, for which there is no room in the context are left out.
    """

    prefill: tuple[int, ...] = (128, 512, 2048)  # prompts to read
    contexts: tuple[int, ...] = (0, 512, 2048)  # what is in the cache before decoding begins
    decoded: int = 128  # tokens to decode
    repeats: int = 5
    streamed_bytes: int = 1 << 30  # of the buffer for the streaming read


class Shutdown(Request, frozen=True, tag="shutdown"):
    """Leave. The engine also leaves when its pipe closes."""


AnyRequest = (
    Load
    | Generate
    | SetSampling
    | Stop
    | Predict
    | Inspect
    | Tokenize
    | Render
    | Discover
    | Fetch
    | Describe
    | Check
    | Examine
    | Bench
    | SupplyRequest
    | Shutdown
)


# --- events ---------------------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The engine's first word."""

    version: int
    pid: int


class Progress(Event, frozen=True, tag="progress"):
    """How far something is. `total` is None where nobody knows."""

    what: str  # "reading the prompt", "downloading model.safetensors" …
    done: int
    total: int | None
    unit: Literal["tokens", "bytes", "tensors"]
    per_second: float | None = None
    remaining: float | None = None  # seconds


class Loaded(Event, frozen=True, tag="loaded"):
    """Closes `Load`."""

    info: ModelInfo


class Started(Event, frozen=True, tag="started"):
    """The prompt of a reply, as tokens. `notices` are sentences for the user (a folded system prompt …).

    `begun` is the text of the tokens of `Chat.begun`, which are the end of `prompt`: one increment for each,
    as in `TokenEvent.text`. The increments of the tokens that follow go on from there.
    """

    prompt: tuple[int, ...]
    reused: int
    notices: tuple[str, ...] = ()
    thinking: bool = False  # the prompt ends inside a thinking block
    begun: tuple[str, ...] = ()


class TokenEvent(Event, frozen=True, gc=False, tag="token"):
    """One token of a reply and what it was chosen from.

    `text` is the increment of the reply's text: the increments joined are the reply, and one increment may be
    empty (half a character, a possible stop string) or hold several characters.
    """

    id: int
    text: str
    logprob: float
    rank: int
    sampled: float
    distribution: Distribution
    temperature: float  # in force for this token

    @property
    def entropy(self) -> float:
        """Nats, of the model's own distribution at this position."""
        return self.distribution.entropy


class Finished(Event, frozen=True, tag="finished"):
    """Closes `Generate`. `text` is the tail that was held back (see `TokenEvent.text`), often empty."""

    reason: Finish
    text: str
    timing: Timing


class Predicted(Event, frozen=True, tag="predicted"):
    """Closes `Predict`."""

    prompt: tuple[int, ...]
    distribution: Distribution


class Inspected(Event, frozen=True, tag="inspected"):
    """Closes `Inspect`; the answer belongs to the question."""

    answer: AnyAnswer


class Tokenized(Event, frozen=True, tag="tokenized"):
    """Closes `Tokenize`."""

    tokens: tuple[PromptToken, ...]


class Rendered(Event, frozen=True, tag="rendered"):
    """Closes `Render`."""

    text: str
    tokens: tuple[PromptToken, ...]
    notices: tuple[str, ...] = ()


class Discovered(Event, frozen=True, tag="discovered"):
    """Closes `Discover`. `available_bytes` is the memory free for a model now."""

    checkpoints: tuple[FoundCheckpoint, ...]
    available_bytes: int
    unfinished: tuple[Unfinished, ...] = ()
    bytes_per_second: float | None = None  # at which a decode step reads weights, as it was measured
    no_speed: Literal["", "gpu", "unmeasured"] = ""  # why nothing is known of it


class Fetched(Event, frozen=True, tag="fetched"):
    """Closes `Fetch`."""

    path: str


class Described(Event, frozen=True, tag="described"):
    """Closes `Describe`. `details` are further facts, in the order in which to show them."""

    checkpoint: FoundCheckpoint
    details: dict[str, str | int | float | bool | None]


class Checked(Event, frozen=True, tag="checked"):
    """Closes `Check`. `problems` are sentences; none means that it is whole. `notices` are no problems."""

    summary: str
    problems: tuple[str, ...]
    details: dict[str, str | int | float | bool | None]
    notices: tuple[str, ...] = ()


class Device(msgspec.Struct, frozen=True):
    """Something that can compute."""

    name: str  # "cpu", "cuda:0"
    description: str
    total_bytes: int | None = None  # of its own memory


class Examined(Event, frozen=True, tag="examined"):
    """Closes `Examine`."""

    torch: str
    threads: int
    instructions: str  # the widest vector instructions that torch uses here
    devices: tuple[Device, ...]
    available_bytes: int
    total_bytes: int
    measured: dict[str, str] = msgspec.field(default_factory=dict)  # how fast it is: name → figure with unit


class Rates(msgspec.Struct, frozen=True, array_like=True):
    """Tokens per second at one length, of each repeat."""

    length: int
    rates: tuple[float, ...]


class Benched(Event, frozen=True, tag="benched"):
    """Closes `Bench`. Rates are in tokens per second, one for each repeat."""

    prefill: tuple[Rates, ...]
    decode: tuple[Rates, ...]  # steps of the model alone
    reply: tuple[float, ...]  # whole replies: with sampler, candidates and messages
    step_bytes: int  # weights that a decode step reads
    streaming: tuple[float, ...]  # bytes per second of each pass of the streaming read
    threads: int
    peak_bytes: int  # the most memory that the engine has held
    way: str = ""  # how a step is computed: "native", "CUDA graph", "torch" and why


class Failed(Event, frozen=True, tag="failed"):
    """Closes any request: one clear sentence (what, where, what to do)."""

    sentence: str


Closing = (
    Loaded
    | Finished
    | Predicted
    | Inspected
    | Tokenized
    | Rendered
    | Discovered
    | Fetched
    | Described
    | Checked
    | Examined
    | Benched
    | SupplyAnswer
    | Failed
)
AnyEvent = Hello | Progress | Started | TokenEvent | Closing
