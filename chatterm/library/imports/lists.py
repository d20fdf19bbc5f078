"""Plain lists of messages: ShareGPT's {from, value} and everybody's {role, content}."""

from __future__ import annotations

from typing import Any

import msgspec

from chatterm.library.document import ConversationDocument
from chatterm.library.imports.branches import Facts, Said, chain, left_out, role_of, text_of
from chatterm.library.imports.parse import convert, seconds


class _Turn(msgspec.Struct):
    speaker: str = msgspec.field(name="from")
    value: str | None


class _ShareGpt(msgspec.Struct):
    conversations: list[_Turn]
    title: str | None = None
    model: str | None = None
    system: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: Any = None
    model: str | None = None
    created_at: float | str | None = None


class _Messages(msgspec.Struct):
    messages: list[_Message]
    title: str | None = None
    model: str | None = None
    system: str | None = None
    created_at: float | str | None = None
    updated_at: float | str | None = None


def is_message(value: Any) -> bool:
    """Whether it is one message of either form."""
    return isinstance(value, dict) and (("role" in value and "content" in value) or "from" in value)


def is_sharegpt(value: dict[str, Any]) -> bool:
    """Whether it is a conversation in ShareGPT's form."""
    return isinstance(value.get("conversations"), list)


def is_messages(value: dict[str, Any]) -> bool:
    """Whether it is a list of messages in an object."""
    return isinstance(value.get("messages"), list)


def read_sharegpt(value: Any, dated: float) -> ConversationDocument:
    """A conversation in ShareGPT's form.

    Raises:
        WrongError: something in it is not as the form has it.
    """
    found = convert(value, _ShareGpt)
    facts = Facts(dated=dated, title=found.title, model=found.model, system_prompt=found.system or "")
    said = [Said("", None, role_of(t.speaker), t.value or "", None, found.model) for t in found.conversations]
    return chain(said, facts)


def read_messages(value: Any, dated: float) -> ConversationDocument:
    """A conversation as a list of {role, content}.

    Raises:
        WrongError: something in it is not as the form has it.
    """
    found = convert(value, _Messages)
    facts = Facts(
        dated=dated,
        title=found.title,
        created=seconds(found.created_at),
        updated=seconds(found.updated_at),
        model=found.model,
        system_prompt=found.system or "",
    )
    return chain([_said(message, found.model) for message in found.messages], facts)


def _said(message: _Message, model: str | None) -> Said:
    text, notices = text_of(message.content)
    role = role_of(message.role)
    if role == "assistant" and not text:
        role, notices = None, left_out(["a call of a tool"])
    return Said("", None, role, text, seconds(message.created_at), message.model or model, notices)
