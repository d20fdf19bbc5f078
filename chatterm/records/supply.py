"""Getting and keeping checkpoints, as messages: search the hub, look at a repository, verify, delete.

Like all messages they are plain data (`chatterm.engine.messages`). Sizes are in bytes. Texts that come
from the hub are inert.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from chatterm.records.generation import Event, Request

Format = Literal["gguf", "safetensors"]


# --- requests -------------------------------------------------------------------------------------------


class SearchHub(Request, frozen=True, tag="search-hub"):
    """Repositories whose names hold these words. Needs no model. Answered by `HubSearched`."""

    words: str
    formats: tuple[Format, ...] = ("gguf", "safetensors")
    more: dict[Format, str] | None = None  # `HubSearched.more` of the page before


class LookAtHub(Request, frozen=True, tag="look-at-hub"):
    """What a repository offers. Answered by `HubOffered`."""

    repository: str


class Verify(Request, frozen=True, tag="verify"):
    """Hold the files of a checkpoint against their checksums. Answered by `Progress` …, `Verified`."""

    path: str


class Delete(Request, frozen=True, tag="delete"):
    """Delete a checkpoint that chatterm downloaded; not `really`: say what it would free.

    Answered by `Deleted`.
    """

    path: str
    really: bool = False


class Discard(Request, frozen=True, tag="discard"):
    """Delete what has come of an unfinished download. Answered by `Deleted`."""

    key: str


# --- what they are answered with ------------------------------------------------------------------------


class FoundCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint on this machine, or something that looks like one and cannot be loaded."""

    name: str
    path: str
    source: str  # "models/", "your models", "Hugging Face cache" …
    format: Literal["gguf", "safetensors"]
    file_bytes: int
    family: str | None = None
    parameters: int | None = None
    quantisation: str | None = None
    trained_context: int | None = None
    is_chat: bool | None = None
    memory_bytes: int | None = None  # estimate of what it takes to run
    step_bytes: int | None = None  # of weights that a decode step reads
    is_ours: bool = False  # chatterm downloaded it, and may delete it
    licence: str = ""  # as it states it; "" where it says nothing
    problem: str | None = None  # why it cannot be loaded, one sentence


class Unfinished(msgspec.Struct, frozen=True):
    """A download that began and did not end."""

    key: str  # of `Discard`
    name: str  # to fetch it with; "" where nobody noted it
    done: int
    total: int | None = None
    is_running: bool = False  # some process works on it now


class HubRepository(msgspec.Struct, frozen=True):
    """A repository of the hub. None and "" where the hub says nothing."""

    repository: str
    formats: tuple[Format, ...]
    downloads: int | None = None  # in the last month
    likes: int | None = None
    licence: str = ""
    licence_url: str = ""
    modified: str = ""  # 2025-03-01
    gated: bool = False  # its licence has to be accepted on the hub first
    private: bool = False
    parameters: int | None = None
    family: str = ""
    problem: str = ""  # why it would not load, one sentence


class HubChoice(msgspec.Struct, frozen=True):
    """One checkpoint of a repository."""

    name: str  # what to fetch it with: `organisation/name`, `organisation/name:Q4_K_M`
    label: str
    format: Format
    size: int
    files: int
    quantisation: str | None = None
    bits: float | None = None  # per weight
    memory: int | None = None  # estimate of what it takes to run
    step_bytes: int | None = None  # that a decode step reads
    problem: str = ""


class HubSearched(Event, frozen=True, tag="hub-searched"):
    """Closes `SearchHub`. `more` asks for the next page; None: that was all."""

    repositories: tuple[HubRepository, ...]
    more: dict[Format, str] | None = None


class HubOffered(Event, frozen=True, tag="hub-offered"):
    """Closes `LookAtHub`."""

    repository: HubRepository
    choices: tuple[HubChoice, ...]
    page: str  # its address
    has_token: bool  # whether the hub will know who asks
    folder: str  # where downloads go
    free_bytes: int | None  # on that disk


class Verified(Event, frozen=True, tag="verified"):
    """Closes `Verify`. `problems` are sentences; `unknown` are files of which nobody knows a checksum."""

    checked: int
    size: int
    problems: tuple[str, ...]
    unknown: tuple[str, ...]


class Deleted(Event, frozen=True, tag="deleted"):
    """Closes `Delete` and `Discard`: what was freed, or would be."""

    size: int
    files: int


SupplyRequest = SearchHub | LookAtHub | Verify | Delete | Discard
SupplyAnswer = HubSearched | HubOffered | Verified | Deleted
