"""ChatGPT's `conversations.json`: a `mapping` of nodes, each with its parent and perhaps a message."""

from __future__ import annotations

from typing import Any

import msgspec

from chatterm.library.document import ConversationDocument
from chatterm.library.imports.branches import Facts, Said, grow, left_out, role_of, text_of
from chatterm.library.imports.parse import convert, seconds

_TEXT = {"text", "multimodal_text", ""}
_HIDDEN = {"model_editable_context", "user_editable_context", "thoughts", "reasoning_recap"}


class _Author(msgspec.Struct):
    role: str


class _Content(msgspec.Struct):
    content_type: str = ""
    parts: list[Any] | None = None
    text: str | None = None
    language: str | None = None


class _Metadata(msgspec.Struct):
    model_slug: str | None = None
    is_visually_hidden_from_conversation: bool | None = None


class _Message(msgspec.Struct):
    author: _Author
    content: _Content | None = None
    create_time: float | None = None
    metadata: _Metadata | None = None


class _Node(msgspec.Struct):
    parent: str | None = None
    message: _Message | None = None


class _Conversation(msgspec.Struct):
    mapping: dict[str, _Node]
    title: str | None = None
    create_time: float | None = None
    update_time: float | None = None
    current_node: str | None = None
    default_model_slug: str | None = None


def is_one(value: dict[str, Any]) -> bool:
    """Whether it is a conversation of this form."""
    return "mapping" in value


def read(value: Any, dated: float) -> ConversationDocument:
    """A conversation.

    Raises:
        WrongError: something in it is not as the form has it.
    """
    found = convert(value, _Conversation)
    said = [_said(key, node) for key, node in found.mapping.items()]
    facts = Facts(
        dated=dated,
        title=found.title,
        created=seconds(found.create_time),
        updated=seconds(found.update_time),
        model=found.default_model_slug,
    )
    return grow(said, found.current_node, facts)


def _said(key: str, node: _Node) -> Said:
    message = node.message
    if message is None or message.content is None:
        return Said(key, node.parent, None, "")
    metadata = message.metadata or _Metadata()
    content = message.content
    role = role_of(message.author.role)
    if content.content_type in _TEXT:
        text, notices = text_of(content.parts if content.parts is not None else content.text)
    elif content.content_type == "code" and content.text:
        text, notices = content.text, ()
    else:
        text, notices = "", left_out([content.content_type])
    hidden = metadata.is_visually_hidden_from_conversation or content.content_type in _HIDDEN
    if hidden or (not text and (not notices or role != "user")):
        role = None
    return Said(key, node.parent, role, text, seconds(message.create_time), metadata.model_slug, notices)
