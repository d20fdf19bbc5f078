"""The tokenizer of an opened checkpoint, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from chatterm.checkpoint.tokenizer.folder import tokenizer_from_folder
from chatterm.checkpoint.tokenizer.gguf import tokenizer_from_gguf
from chatterm.checkpoint.tokenizer.tokenizer import Tokenizer
from chatterm.errors import UserError


class HasMetadata(Protocol):
    """A GGUF file that was read."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Its keys; arrays of strings as `list[str]`."""


class OpenCheckpoint(Protocol):
    """What is needed of an opened checkpoint: one of the two is not None."""

    @property
    def folder(self) -> Path | None:
        """The checkpoint folder."""

    @property
    def gguf(self) -> HasMetadata | None:
        """The GGUF file."""


def load_tokenizer(checkpoint: OpenCheckpoint) -> Tokenizer:
    """The checkpoint's own tokenizer.

    Raises:
        UserError: it has none, or one that cannot be read exactly.
    """
    if checkpoint.gguf is not None:
        return tokenizer_from_gguf(checkpoint.gguf.metadata)
    if checkpoint.folder is not None:
        return tokenizer_from_folder(checkpoint.folder)
    raise UserError("This checkpoint is neither a GGUF file nor a folder, so it has no tokenizer.")
