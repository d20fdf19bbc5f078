"""From messages that name what they answer to a tree of ours. Circles are refused, nothing recurses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from chatterm.library.document import ConversationDocument, MessageDocument
from chatterm.library.imports.parse import WrongError
from chatterm.library.records import Role

MAX_MESSAGES = 100_000
"""In one conversation."""

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bing": "assistant",
}


class Said(msgspec.Struct):
    """A message of another program. Without a role it is left out, and what answers it moves up.

    `parent` is the key of the message that it answers; one that is not there is none.
    """

    key: str
    parent: str | None
    role: Role | None
    content: str
    created: float | None = None
    model: str | None = None
    notices: tuple[str, ...] = ()


class Facts(msgspec.Struct, kw_only=True):
    """What a conversation is apart from its messages; `dated` stands in for dates that are missing."""

    dated: float
    title: str | None = None
    created: float | None = None
    updated: float | None = None
    model: str | None = None
    system_prompt: str = ""
    pinned: bool = False


def role_of(name: str) -> Role | None:
    """Our role for another program's; None for tools and others that we do not know."""
    return _ROLES.get(name.lower())


def chain(messages: Sequence[Said], facts: Facts) -> ConversationDocument:
    """A conversation without branches: every message answers the one before it; keys do not count."""
    for number, message in enumerate(messages):
        message.key = str(number)
        message.parent = str(number - 1) if number else None
    return grow(messages, None, facts)


def grow(messages: Sequence[Said], current: str | None, facts: Facts) -> ConversationDocument:
    """A conversation with its branches, siblings in the order of `messages`.

    Args:
        messages: in any order.
        current: the key of the leaf that was looked at last; None: the latest of each siblings.
        facts: of the conversation.

    Raises:
        WrongError: there are too many messages, two of one key, or they go in a circle.
    """
    if len(messages) > MAX_MESSAGES:
        raise WrongError(f"it has {len(messages)} messages; up to {MAX_MESSAGES} can be imported")
    by_key: dict[str, Said] = {}
    for message in messages:
        if message.key in by_key:
            raise WrongError(f"two messages have the id {message.key!r}")
        by_key[message.key] = message
    above = _kept_above(by_key)
    first_system = [m for m in messages if m.role == "system" and above[m.key] is None]
    if len(first_system) == 1 and not facts.system_prompt:
        facts.system_prompt = first_system[0].content
        first_system[0].role = None
        above = _kept_above(by_key)
    order = _depth_first(messages, above)
    numbers = {message.key: number for number, message in enumerate(order, 1)}
    chosen: dict[str | None, int] = {above[message.key]: numbers[message.key] for message in order}
    here = current if current in by_key else None
    if here is not None and by_key[here].role is None:
        here = above[here]
    while here is not None:
        chosen[above[here]] = numbers[here]
        here = above[here]
    return _document(order, above, numbers, chosen, facts)


def _document(
    order: Sequence[Said],
    above: dict[str, str | None],
    numbers: dict[str, int],
    chosen: dict[str | None, int],
    facts: Facts,
) -> ConversationDocument:
    dates = [message.created for message in order if message.created is not None]
    created = facts.created or min(dates, default=facts.dated)
    written: dict[str | None, float] = {None: created}
    documents = []
    for message in order:
        written[message.key] = message.created or written[above[message.key]]
        documents.append(
            MessageDocument(
                id=numbers[message.key],
                parent=_number(numbers, above[message.key]),
                role=message.role or "user",
                content=message.content,
                created=written[message.key],
                chosen=chosen.get(message.key),
                model=message.model if message.role == "assistant" else None,
                notices=message.notices,
            )
        )
    return ConversationDocument(
        title=(facts.title or "")[:200],
        title_is_users=bool(facts.title),
        created=created,
        updated=facts.updated or max(dates, default=created),
        pinned=facts.pinned,
        model=facts.model,
        system_prompt=facts.system_prompt,
        chosen=chosen.get(None),
        messages=tuple(documents),
    )


def _number(numbers: dict[str, int], key: str | None) -> int | None:
    return None if key is None else numbers[key]


def _kept_above(by_key: dict[str, Said]) -> dict[str, str | None]:
    """For each message the nearest one above it that has a role."""
    above: dict[str, str | None] = {}
    for message in by_key.values():
        way: list[Said] = []
        walked: set[str] = set()
        here: Said | None = message
        while here is not None and here.key not in above:
            if here.key in walked:
                raise WrongError(f"message {here.key!r} answers itself, in a circle")
            walked.add(here.key)
            way.append(here)
            here = by_key.get(here.parent) if here.parent is not None else None
        for below in reversed(way):
            parent = by_key.get(below.parent) if below.parent is not None else None
            if parent is None:
                above[below.key] = None
            else:
                above[below.key] = parent.key if parent.role is not None else above[parent.key]
    return above


def _depth_first(messages: Sequence[Said], above: dict[str, str | None]) -> list[Said]:
    below: dict[str | None, list[Said]] = {}
    for message in messages:
        if message.role is not None:
            below.setdefault(above[message.key], []).append(message)
    order = []
    waiting = below.get(None, [])[::-1]
    while waiting:
        message = waiting.pop()
        order.append(message)
        waiting += below.get(message.key, [])[::-1]
    return order


def text_of(parts: Any) -> tuple[str, tuple[str, ...]]:
    """The text of a message's content, and a notice about what is not text.

    Content is a text, a list of texts and of objects like {"type": "text", "text": …}, or nothing.
    """
    if parts is None or isinstance(parts, str):
        return parts or "", ()
    texts: list[str] = []
    others: dict[str, None] = {}
    for part in parts if isinstance(parts, list) else [parts]:
        if isinstance(part, str):
            texts.append(part)
            continue
        kind = part.get("type", part.get("content_type")) if isinstance(part, dict) else None
        text = part.get("text") if isinstance(part, dict) else None
        if isinstance(text, str) and kind in ("text", "input_text", "output_text", None):
            texts.append(text)
        else:
            others[kind if isinstance(kind, str) else "unknown"] = None
    return "\n\n".join(filter(None, texts)), left_out(others)


def left_out(kinds: Any) -> tuple[str, ...]:
    """A notice that content of some kinds was not imported; () for none."""
    names = ", ".join(kind[:40] for kind in kinds)
    return (f"Not imported with this message: {names}.",) if names else ()


def thought(thinking: str, text: str) -> str:
    """A reply with the thinking before it, as models write it."""
    return f"<think>\n{thinking.strip()}\n</think>\n\n{text}" if thinking.strip() else text
