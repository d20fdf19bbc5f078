"""The export of llama.cpp's web interface: `conv` and its `messages`, which know parents and children."""

from __future__ import annotations

from typing import Any

import msgspec

from chatterm.library.document import ConversationDocument
from chatterm.library.imports.branches import Facts, Said, grow, left_out, role_of, text_of, thought
from chatterm.library.imports.parse import convert, milliseconds

_ROOT = "root"


class _Extra(msgspec.Struct):
    type: str = ""
    name: str | None = None
    content: str | None = None


class _Message(msgspec.Struct):
    id: str | int
    role: str
    content: Any = None
    type: str = "text"
    timestamp: float | None = None
    parent: str | int | None = None
    thinking: str | None = None
    reasoning: str | None = msgspec.field(default=None, name="reasoningContent")
    model: str | None = None
    extra: list[_Extra] | None = None


class _Conv(msgspec.Struct):
    name: str | None = None
    current: str | int | None = msgspec.field(default=None, name="currNode")
    modified: float | None = msgspec.field(default=None, name="lastModified")


class _Conversation(msgspec.Struct):
    conv: _Conv
    messages: list[_Message]


def is_one(value: dict[str, Any]) -> bool:
    """Whether it is a conversation of this form."""
    return "conv" in value and "messages" in value


def read(value: Any, dated: float) -> ConversationDocument:
    """A conversation.

    Raises:
        WrongError: something in it is not as the form has it.
    """
    found = convert(value, _Conversation)
    current = None if found.conv.current is None else str(found.conv.current)
    facts = Facts(dated=dated, title=found.conv.name, updated=milliseconds(found.conv.modified))
    return grow([_said(message) for message in found.messages], current, facts)


def _said(message: _Message) -> Said:
    text, notices = text_of(message.content)
    extra = message.extra or []
    files = [f"{one.name or 'Attachment'}:\n\n{one.content}" for one in extra if one.content]
    role = role_of(message.role)
    if message.type == _ROOT or (role == "system" and not text):
        role = None
    return Said(
        str(message.id),
        None if message.parent is None else str(message.parent),
        role,
        thought(message.reasoning or message.thinking or "", "\n\n".join(filter(None, [text, *files]))),
        milliseconds(message.timestamp),
        message.model,
        notices + left_out(one.name or one.type for one in extra if not one.content),
    )
