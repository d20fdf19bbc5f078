"""What the library holds, as plain records.

Units: probabilities are in [0, 1], log-probabilities and entropies in nats, times of day in seconds since
1970, durations in seconds. The fields are those of the engine's messages under the same names, so that
`msgspec.convert(x, Candidate, from_attributes=True)` takes one over; the library itself knows no engine.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from chatterm.sampling import SamplingParameters

Role = Literal["system", "user", "assistant"]
Status = Literal["done", "writing", "stopped", "length", "context", "failed", "interrupted"]
"""How a message stands. Only a reply is ever anything but `done`: being written; stopped by the user; cut by
the limit on its length or by the context window; given up because of an error; or cut off because the program
that wrote it died."""

Finish = Literal["end", "stop", "stopped", "length", "context", "failed"]
"""Why a reply ended: the model's end token, a stop string, the user, the limit on its length, the context
window, or an error."""


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """One token that could have come."""

    id: int
    text: str
    logprob: float  # under the model itself
    rank: int  # 1 = the model's most probable
    sampled: float  # probability with which the sampler would have drawn it; 0 if removed
    removed_by: str | None  # the sampler step that removed it


class Removal(msgspec.Struct, frozen=True):
    """What one sampler step cut away, measured under the model's own probabilities."""

    step: str
    tokens: int
    mass: float


class Token(msgspec.Struct, frozen=True, gc=False):
    """One token of a reply and what it was chosen from.

    Log-probabilities, probabilities, entropies and masses are kept as 32-bit floats, everything else exactly.
    """

    id: int
    text: str  # the increment of the reply's text, possibly empty
    position: int  # index in the model's context; the prompt starts at 0
    logprob: float
    rank: int
    sampled: float
    entropy: float
    temperature: float  # in force for this token
    kept: int  # tokens that the sampler could draw
    removed: tuple[Removal, ...] = ()
    candidates: tuple[Candidate, ...] = ()  # by model probability, most probable first
    start: int = 0  # where `text` begins in the message's content, in characters; set by the library


class Timing(msgspec.Struct, frozen=True):
    """How long a reply took."""

    prompt_tokens: int
    reused_tokens: int
    generated_tokens: int
    first_token: float
    prefill: float
    decode: float


class Conversation(msgspec.Struct, frozen=True):
    """A conversation, without its messages."""

    id: int
    title: str  # empty before the first message
    title_is_users: bool
    created: float
    updated: float
    pinned: bool
    deleted: float | None  # when it was deleted; it can be brought back until it is purged
    model: str | None
    system_prompt: str
    sampling: SamplingParameters | None


class Message(msgspec.Struct, frozen=True):
    """One message of a tree, as it stood when it was read."""

    id: int
    conversation: int
    parent: int | None  # None: it begins the conversation
    role: Role
    content: str
    created: float
    status: Status
    model: str | None  # that wrote it
    sampling: SamplingParameters | None  # in force when the reply began
    finish: str | None  # a `Finish`, once the reply has ended by itself
    notices: tuple[str, ...]  # sentences for the user (a folded system prompt, an error …)
    timing: Timing | None
    edited_from: int | None  # the sibling whose words were changed
    forked_from: int | None  # the sibling whose first tokens it begins with …
    forked_at: int | None  # … and how many of them
    tokens: int  # stored with it
    sibling: int  # 1 = the first of those with the same parent
    siblings: int
    left_out: bool = False  # the user chose not to send it to the model …
    attachments_left_out: bool = False  # … or not the texts that are attached to it
    raw_prompt: tuple[int, ...] | None = (
        None  # the tokens that it answers, where the user edited them as text
    )
    placed: tuple[tuple[int, int], ...] = ()  # tokens that the user put there: first, and behind the last

    @property
    def is_writing(self) -> bool:
        """Whether it may still grow."""
        return self.status == "writing"


class OpenConversation(msgspec.Struct, frozen=True):
    """A conversation and its active path, from the first message to the leaf."""

    conversation: Conversation
    path: tuple[Message, ...]


class Siblings(msgspec.Struct, frozen=True):
    """The messages with the same parent, oldest first; `index` is the place of the one asked about."""

    ids: tuple[int, ...]
    index: int

    @property
    def previous(self) -> int | None:
        """The sibling before, if there is one."""
        return self.ids[self.index - 1] if self.index else None

    @property
    def next(self) -> int | None:
        """The sibling after, if there is one."""
        return self.ids[self.index + 1] if self.index + 1 < len(self.ids) else None


class Node(msgspec.Struct, frozen=True):
    """A message in the picture of the whole tree."""

    id: int
    parent: int | None
    depth: int
    role: Role
    status: Status
    created: float
    model: str | None
    preview: str  # its beginning on one line
    children: int
    active: bool  # on the active path


class Hit(msgspec.Struct, frozen=True):
    """A message that was searched for. `spans` are (start, end) in `snippet`, in characters."""

    conversation: int
    title: str
    message: int
    role: Role
    created: float
    snippet: str
    spans: tuple[tuple[int, int], ...]
