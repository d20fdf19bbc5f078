"""Claude's `conversations.json`: `chat_messages`, each with a sender, blocks of content, perhaps a parent."""

from __future__ import annotations

from typing import Any

import msgspec

from chatterm.library.document import ConversationDocument
from chatterm.library.imports.branches import Facts, Said, chain, grow, left_out, role_of, thought
from chatterm.library.imports.parse import convert, seconds


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None


class _Attachment(msgspec.Struct):
    file_name: str | None = None
    extracted_content: str | None = None


class _Message(msgspec.Struct):
    sender: str
    uuid: str | None = None
    text: str | None = None
    content: list[_Block] | None = None
    created_at: str | None = None
    parent_message_uuid: str | None = None
    attachments: list[_Attachment] | None = None
    files: list[_Attachment] | None = None


class _Conversation(msgspec.Struct):
    chat_messages: list[_Message]
    name: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    model: str | None = None
    current_leaf_message_uuid: str | None = None
    is_starred: bool | None = None


def is_one(value: dict[str, Any]) -> bool:
    """Whether it is a conversation of this form."""
    return "chat_messages" in value


def read(value: Any, dated: float) -> ConversationDocument:
    """A conversation.

    Raises:
        WrongError: something in it is not as the form has it.
    """
    found = convert(value, _Conversation)
    facts = Facts(
        dated=dated,
        title=found.name,
        created=seconds(found.created_at),
        updated=seconds(found.updated_at),
        model=found.model,
        pinned=bool(found.is_starred),
    )
    said = [_said(message, found.model) for message in found.chat_messages]
    keys = {message.uuid for message in found.chat_messages}
    if None in keys or not any(m.parent_message_uuid in keys for m in found.chat_messages):
        return chain(said, facts)
    return grow(said, found.current_leaf_message_uuid, facts)


def _said(message: _Message, model: str | None) -> Said:
    blocks = message.content or []
    text = "\n\n".join(block.text for block in blocks if block.type == "text" and block.text)
    thinking = "\n\n".join(block.thinking for block in blocks if block.type == "thinking" and block.thinking)
    others = dict.fromkeys(block.type for block in blocks if block.type not in ("text", "thinking"))
    attached = [a for a in message.attachments or [] if a.extracted_content]
    said = [text or message.text or "", *(_attachment(a) for a in attached)]
    lost = [a.file_name or "a file" for a in (message.attachments or []) if not a.extracted_content]
    lost += [file.file_name or "a file" for file in message.files or []]
    return Said(
        message.uuid or "",
        message.parent_message_uuid,
        role_of(message.sender),
        thought(thinking, "\n\n".join(filter(None, said))),
        seconds(message.created_at),
        model,
        left_out([*others, *lost]),
    )


def _attachment(attachment: _Attachment) -> str:
    return f"{attachment.file_name or 'Attachment'}:\n\n{attachment.extracted_content}"
