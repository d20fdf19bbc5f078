"""chatterm's own JSON, complete with branches and tokens."""

from __future__ import annotations

from typing import Any

from chatterm.library.document import FORMAT, VERSION, ConversationDocument, Document
from chatterm.library.imports.parse import WrongError, convert


def is_one(value: Any) -> bool:
    """Whether it is a document of ours."""
    return isinstance(value, dict) and value.get("format") == FORMAT


def read(value: dict[str, Any]) -> tuple[ConversationDocument, ...]:
    """The conversations of a document.

    Raises:
        WrongError: it was written by a newer chatterm, or something in it is not as the form has it.
    """
    version = value.get("version")
    if isinstance(version, int) and version > VERSION:
        raise WrongError(
            f"a newer chatterm wrote it (version {version}; this one reads {VERSION}): upgrade chatterm"
        )
    return convert(value, Document).conversations
