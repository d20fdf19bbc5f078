"""The tokenizer of an opened checkpoint, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from chatterm.checkpoint.alarm import tokenizing
from chatterm.checkpoint.tokenizer.folder import tokenizer_from_folder
from chatterm.checkpoint.tokenizer.gguf import tokenizer_from_gguf
from chatterm.checkpoint.tokenizer.outline import MAX_TOKENIZER_BYTES
from chatterm.checkpoint.tokenizer.rows import MAX_VOCABULARY
from chatterm.checkpoint.tokenizer.tokenizer import Tokenizer
from chatterm.errors import UserError

BYTES_PER_SECOND = 4 << 20
"""A fifth of what two cores of 2023 read of a `tokenizer.json`; half a minute is enough for any."""

BYTES_OF_AN_ENTRY = 100  # in a GGUF file, where merges may have to be found
SAMPLE = "Hello, world! 1 + 1 = 2\n\tZażółć 苹果 🍎 <|x|>"


class HasMetadata(Protocol):
    """A GGUF file that was read."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Its keys; arrays of strings as `list[str]`."""


class HasRows(Protocol):
    """The shape of a model."""

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding."""


class OpenCheckpoint(Protocol):
    """What is needed of an opened checkpoint: one of folder and file is not None."""

    @property
    def architecture(self) -> HasRows:
        """The shape of the model."""

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
    rows = checkpoint.architecture.vocabulary
    with tokenizing(_size(checkpoint) / BYTES_PER_SECOND):
        if checkpoint.gguf is not None:
            tokenizer = tokenizer_from_gguf(checkpoint.gguf.metadata, rows)
        elif checkpoint.folder is not None:
            tokenizer = tokenizer_from_folder(checkpoint.folder, rows)
        else:
            raise UserError("This checkpoint is neither a GGUF file nor a folder, so it has no tokenizer.")
        if tokenizer.vocabulary > MAX_VOCABULARY:
            raise UserError(
                f"The tokenizer in {tokenizer.source} numbers its tokens up to {tokenizer.vocabulary - 1}, "
                "which no language model does; it is damaged."
            )
        tokenizer.encode(SAMPLE)  # what cannot cut a simple text is better refused now
    return tokenizer


def _size(checkpoint: OpenCheckpoint) -> int:
    """About how many bytes of vocabulary are to be read."""
    if checkpoint.gguf is not None:
        lists = [checkpoint.gguf.metadata.get(f"tokenizer.ggml.{key}") for key in ("tokens", "merges")]
        return sum(len(found) * BYTES_OF_AN_ENTRY for found in lists if isinstance(found, list))
    size = 0
    for name in ("tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt"):
        with suppress(OSError):
            size += min((checkpoint.folder or Path()).joinpath(name).stat().st_size, MAX_TOKENIZER_BYTES)
    return size
