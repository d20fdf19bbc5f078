"""Conversations from files: our own JSON and the exports of other chat programs.

A file is data from elsewhere: its size and the number of things in it are bounded, what is not text is left
out with a notice, a wrong type or a circle is one sentence that names the place. What comes out are documents
that `Library.add_conversations` adds in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from chatterm import inert
from chatterm.errors import UserError
from chatterm.library.document import ConversationDocument
from chatterm.library.imports import chatgpt, claude, lists, llamacpp, openwebui, own
from chatterm.library.imports.parse import WrongError, decode
from chatterm.paths import first_bytes

MAX_BYTES = 256 << 20
MAX_CONVERSATIONS = 100_000

Reader = Callable[[Any, float], ConversationDocument]
_KINDS: tuple[tuple[str, Callable[[dict[str, Any]], bool], Reader], ...] = (
    ("ChatGPT", chatgpt.is_one, chatgpt.read),
    ("Claude", claude.is_one, claude.read),
    ("llama.cpp", llamacpp.is_one, llamacpp.read),
    ("Open WebUI", openwebui.is_one, openwebui.read),
    ("ShareGPT", lists.is_sharegpt, lists.read_sharegpt),
    ("list of messages", lists.is_messages, lists.read_messages),
)
KNOWN = "chatterm's own, ChatGPT, Claude, llama.cpp, Open WebUI, ShareGPT, lists of role and content"


class Imported(msgspec.Struct, frozen=True):
    """What a file holds: the kind of export, its conversations, and sentences about what was left out."""

    kind: str
    conversations: tuple[ConversationDocument, ...]
    notices: tuple[str, ...] = ()


def read_file(path: Path) -> Imported:
    """The conversations in a file.

    Raises:
        UserError: it cannot be read or used; nothing of it is to be imported then.
    """
    try:
        data = first_bytes(path, MAX_BYTES + 1)
        return read(data, str(path), path.stat().st_mtime)
    except OSError as error:
        raise UserError(f"{inert.line(str(path))} cannot be read ({error.strerror or error}).") from error


def read(data: bytes, name: str, dated: float) -> Imported:
    """The conversations in the bytes of a file.

    Args:
        data: JSON, or one JSON value a line.
        name: of the file, for sentences.
        dated: the date of what has none of its own, in seconds since 1970.

    Raises:
        UserError: it is of no known form, or something in it is wrong; the sentence names the place.
    """
    try:
        if len(data) > MAX_BYTES:
            raise WrongError(f"it is larger than {MAX_BYTES >> 20} MB")
        return _read(_values(data.removeprefix(b"\xef\xbb\xbf")), dated)
    except WrongError as wrong:
        raise UserError(inert.line(f"{name} cannot be imported: {wrong}.")) from wrong
    except RecursionError as error:
        raise UserError(inert.line(f"{name} cannot be imported: it is nested too deeply.")) from error


def _values(data: bytes) -> Any:
    """What a file holds: one JSON value, or those of its lines."""
    try:
        return decode(data, object)
    except WrongError:
        lines = [line for line in data.splitlines() if line.strip()]
        if len(lines) < 2 or not all(line.lstrip().startswith(b"{") for line in lines):
            raise
        return [_line(line, number) for number, line in enumerate(lines, 1)]


def _line(line: bytes, number: int) -> Any:
    try:
        return decode(line, object)
    except WrongError as wrong:
        raise WrongError(f"line {number}: {wrong}") from wrong


def _read(value: Any, dated: float) -> Imported:
    if own.is_one(value):
        return Imported("chatterm", own.read(value))
    items = _items(value)
    if len(items) > MAX_CONVERSATIONS:
        raise WrongError(f"it has {len(items)} conversations; up to {MAX_CONVERSATIONS} can be imported")
    kinds: dict[str, None] = {}
    conversations = []
    for number, item in enumerate(items, 1):
        try:
            kind, reader = _kind(item)
            conversation = reader({"messages": item} if isinstance(item, list) else item, dated)
        except WrongError as wrong:
            raise WrongError(f"conversation {number}: {wrong}" if len(items) > 1 else str(wrong)) from wrong
        kinds[kind] = None
        if conversation.messages:
            conversations.append(conversation)
    if not conversations:
        raise WrongError("there is no conversation with a message in it")
    empty = len(items) - len(conversations)
    notices = (f"{empty} of {len(items)} conversations have no messages and were left out.",) if empty else ()
    return Imported(" and ".join(kinds), tuple(conversations), notices)


def _items(value: Any) -> Sequence[Any]:
    """The conversations in a value that is a list of them, an object around such a list, or one of them."""
    if isinstance(value, dict):
        inner = value.get("conversations")
        if not isinstance(inner, list) or not inner or lists.is_message(inner[0]):
            return [value]
        value = inner
    if isinstance(value, list) and value and lists.is_message(value[0]):
        return [{"conversations": value} if "from" in value[0] else {"messages": value}]
    return value if isinstance(value, list) else [value]


def _kind(item: Any) -> tuple[str, Reader]:
    fields = {"messages": item} if isinstance(item, list) else item
    if isinstance(fields, dict):
        for kind, is_one, reader in _KINDS:
            if is_one(fields):
                return kind, reader
    raise WrongError(f"its form is not known; these are: {KNOWN}")
