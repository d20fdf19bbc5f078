"""The JSON document of exported conversations: what `chatterm export` writes and `chatterm import` reads.

Everything the library knows of a conversation is in it, except where it stood in the list and that it was
deleted. Numbers of messages count from 1 within a conversation, parents before children. The schema is in
`docs/conversation.schema.json`. A change that old readers would misread gets a new `VERSION`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from chatterm.library.records import Role

FORMAT = "chatterm-conversations"
VERSION = 1

Natural = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Counted = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Number = float | Literal["NaN", "Infinity", "-Infinity"]
"""JSON has no numbers that are not finite: they are written as text."""

Ended = Literal["done", "stopped", "length", "context", "failed", "interrupted"]
"""How a message stands. One that was growing while it was exported is `interrupted`: it ends there."""


class CandidateDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One token that could have come."""

    id: Integer
    text: str
    logprob: Number  # under the model itself, nats
    rank: Integer  # 1 = the model's most probable
    sampled: Number  # probability with which it would have been drawn
    removed_by: str | None = None  # the sampler step that removed it


class RemovalDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What one sampler step cut away."""

    step: str
    tokens: Integer
    mass: Number  # under the model's own probabilities


class TokenDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One token of a reply and what it was chosen from."""

    id: Integer
    text: str
    start: Natural  # its place in the content, in characters
    position: Integer  # index in the model's context
    logprob: Number
    rank: Integer
    sampled: Number
    entropy: Number
    temperature: Number
    kept: Integer  # tokens that the sampler could draw
    removed: tuple[RemovalDocument, ...] = ()
    candidates: tuple[CandidateDocument, ...] = ()


class TimingDocument(msgspec.Struct, frozen=True, kw_only=True):
    """How long a reply took: counts of tokens, and seconds."""

    prompt_tokens: Integer
    reused_tokens: Integer
    generated_tokens: Integer
    first_token: float
    prefill: float
    decode: float


class MessageDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One message. Those with the same `parent` are alternatives, in the order in which they were made."""

    id: Counted
    parent: Counted | None
    role: Role
    content: str
    created: float  # seconds since 1970
    chosen: Counted | None = None  # the child that the active path goes to
    status: Ended = "done"
    model: str | None = None
    sampling: dict[str, Any] | None = None  # the fields of SamplingParameters
    finish: str | None = None
    notices: tuple[str, ...] = ()
    timing: TimingDocument | None = None
    edited_from: Counted | None = None
    forked_from: Counted | None = None
    forked_at: Natural | None = None
    left_out: bool = False  # the user chose not to send it to the model …
    attachments_left_out: bool = False  # … or not the texts that are attached to it
    raw_prompt: tuple[Natural, ...] | None = None  # the tokens that it answers, where the user edited them
    placed: tuple[tuple[Natural, Natural], ...] = ()  # tokens put there by the user: first, behind the last
    tokens: tuple[TokenDocument, ...] = ()


class ConversationDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation with all its branches."""

    title: str
    created: float
    updated: float
    chosen: Counted | None  # the first message of the active path
    messages: tuple[MessageDocument, ...]
    title_is_users: bool = False
    pinned: bool = False
    model: str | None = None
    system_prompt: str = ""
    sampling: dict[str, Any] | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A whole file."""

    format: Literal["chatterm-conversations"]
    version: Literal[1]
    conversations: tuple[ConversationDocument, ...]
