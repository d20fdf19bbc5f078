"""Open WebUI's export: a `chat` whose `history` holds messages by id, with parents; or just `messages`."""

from __future__ import annotations

from typing import Any

import msgspec

from chatterm.library.document import ConversationDocument
from chatterm.library.imports.branches import Facts, Said, chain, grow, left_out, role_of, text_of
from chatterm.library.imports.parse import convert, seconds


class _File(msgspec.Struct):
    name: str | None = None
    type: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: Any = None
    parent: str | None = msgspec.field(default=None, name="parentId")
    timestamp: float | None = None
    model: str | None = None
    files: list[_File] | None = None


class _History(msgspec.Struct):
    messages: dict[str, _Message]
    current: str | None = msgspec.field(default=None, name="currentId")


class _Parameters(msgspec.Struct):
    system: str | None = None


class _Chat(msgspec.Struct):
    title: str | None = None
    models: list[str] | None = None
    history: _History | None = None
    messages: list[_Message] | None = None
    params: _Parameters | None = None
    system: str | None = None


class _Conversation(msgspec.Struct):
    chat: _Chat
    title: str | None = None
    created_at: float | str | None = None
    updated_at: float | str | None = None
    pinned: bool | None = None


def is_one(value: dict[str, Any]) -> bool:
    """Whether it is a conversation of this form."""
    return isinstance(value.get("chat"), dict) or isinstance(value.get("history"), dict)


def read(value: Any, dated: float) -> ConversationDocument:
    """A conversation.

    Raises:
        WrongError: something in it is not as the form has it.
    """
    # in older exports the object is the chat itself
    found = convert(value if "chat" in value else {**value, "chat": value}, _Conversation)
    chat = found.chat
    facts = Facts(
        dated=dated,
        title=found.title or chat.title,
        created=seconds(found.created_at),
        updated=seconds(found.updated_at),
        model=chat.models[0] if chat.models else None,
        system_prompt=chat.system or (chat.params.system if chat.params else None) or "",
        pinned=bool(found.pinned),
    )
    if chat.history is not None:
        said = [_said(key, message) for key, message in chat.history.messages.items()]
        return grow(said, chat.history.current, facts)
    return chain([_said("", message) for message in chat.messages or []], facts)


def _said(key: str, message: _Message) -> Said:
    text, notices = text_of(message.content)
    lost = [file.name or file.type or "a file" for file in message.files or []]
    created = seconds(message.timestamp)
    return Said(
        key,
        message.parent,
        role_of(message.role),
        text,
        created,
        message.model,
        notices + left_out(lost),
    )
