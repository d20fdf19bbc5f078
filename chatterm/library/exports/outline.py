"""What every readable export shows of a conversation: the facts, and its messages in reading order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from chatterm import inert
from chatterm.language import mark
from chatterm.library.exchange import Whole
from chatterm.library.records import Message, Status, Token

UNTITLED = mark("Untitled conversation")
_YOU, _SYSTEM = mark("You"), mark("System")
_SPEAKERS = {_YOU, _SYSTEM, "System prompt"}
"""A model of such a name is quoted: its words are not yours."""

ENDINGS: dict[Status, str] = {
    "writing": mark("still being written"),
    "stopped": mark("stopped"),
    "length": mark("cut at its length limit"),
    "context": mark("cut: the context window was full"),
    "failed": mark("broken off by an error"),
    "interrupted": mark("interrupted"),
}
"""How a reply ended, where there is something to say of it."""


class Entry(msgspec.Struct, frozen=True):
    """A message as it is shown.

    Attributes:
        number: from 1 in the order of the export.
        speaker: "You", "System", or the model's name.
        facts: about it, in a few words each; inert.
        answers: the number of the message above it, where that is not the one just before it.
        active: on the active path.
    """

    number: int
    message: Message
    speaker: str
    facts: tuple[str, ...]
    answers: int | None
    active: bool


def title(whole: Whole) -> str:
    """The title on one line, inert."""
    return inert.line(whole.conversation.title).strip() or UNTITLED


def facts(whole: Whole) -> tuple[str, ...]:
    """Of the conversation: its date and its model, inert."""
    record = whole.conversation
    models = [record.model, *(message.model for message in whole.messages)]
    names = dict.fromkeys(inert.line(model) for model in models if model)
    return (date(record.created), *names)


def date(seconds: float) -> str:
    """A time of day as people write it, where they are; empty for one that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return ""


def entries(whole: Whole, *, branches: bool) -> Iterator[Entry]:
    """The messages to show: the active path, or with `branches` the tree, depth first, siblings in order."""
    active = {message.id for message in whole.path}
    numbers: dict[int, int] = {}
    before: int | None = None
    for number, message in enumerate(_depth_first(whole) if branches else whole.path, 1):
        numbers[message.id] = number
        apart = message.parent is not None and message.parent != before
        yield Entry(
            number=number,
            message=message,
            speaker=_speaker(message),
            facts=_facts(message),
            answers=numbers.get(message.parent) if apart and message.parent is not None else None,
            active=message.id in active,
        )
        before = message.id


def runs(tokens: Sequence[Token], content: str) -> Iterator[tuple[str, Token | None]]:
    """A message in pieces, inert, each with the token that it came from; None for what came from no token.

    The pieces are those of the message, one after the other, whatever the records of its tokens say.
    """
    shown = inert.block(content)
    end = 0
    for token in tokens:
        start = max(end, token.start)
        stop = max(start, token.start + len(token.text))
        if between := shown[end:start]:
            yield between, None
        if piece := shown[start:stop]:
            yield piece, token
        end = max(end, stop)
    if rest := shown[end:]:
        yield rest, None


def _depth_first(whole: Whole) -> Iterator[Message]:
    below: dict[int | None, list[Message]] = {}
    for message in whole.messages:
        below.setdefault(message.parent, []).append(message)
    waiting = below.get(None, [])[::-1]
    while waiting:
        message = waiting.pop()
        yield message
        waiting += below.get(message.id, [])[::-1]


def _speaker(message: Message) -> str:
    match message.role:
        case "user":
            return _YOU
        case "system":
            return _SYSTEM
        case _:
            name = inert.line(message.model or "").strip() or "Model"
            return f"“{name}”" if name in _SPEAKERS else name


def _facts(message: Message) -> tuple[str, ...]:
    found = []
    if message.siblings > 1:
        found.append(f"{message.sibling} of {message.siblings}")
    if message.edited_from is not None:
        found.append("edited")
    if message.forked_from is not None:
        found.append(f"forked at token {message.forked_at}")
    if ending := ENDINGS.get(message.status):
        found.append(ending)
    return (*found, *(inert.line(notice) for notice in message.notices))
