"""Whole conversations out of the library and into it."""

from __future__ import annotations

import heapq
import itertools
import math
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from chatterm.errors import UserError
from chatterm.library import index, lenient, marks
from chatterm.library.conversations import new_id, optional, stored_sampling
from chatterm.library.document import ConversationDocument, MessageDocument, TokenDocument
from chatterm.library.records import Conversation, Message, Timing, Token
from chatterm.library.rows import MESSAGE, message_record, stored_notices
from chatterm.library.text import one_line, storable
from chatterm.library.titles import title_of
from chatterm.library.tree import Tree
from chatterm.sampling import SamplingParameters


class Whole(msgspec.Struct, frozen=True):
    """A conversation with all its messages and all their tokens, as they stood at one moment.

    Attributes:
        conversation: without its messages.
        messages: all of them, oldest first, so parents stand before children.
        chosen: which child the active path goes to, by the number of the parent (None: the first message).
        tokens: of the messages that have any, by number.
        problems: sentences about tokens that cannot be read any more.
    """

    conversation: Conversation
    messages: tuple[Message, ...]
    chosen: dict[int | None, int]
    tokens: dict[int, tuple[Token, ...]]
    problems: tuple[str, ...] = ()

    @property
    def path(self) -> tuple[Message, ...]:
        """The active path, from the first message to the leaf."""
        by_number = {message.id: message for message in self.messages}
        path = []
        here = self.chosen.get(None)
        while here is not None and here in by_number:
            path.append(by_number[here])
            here = self.chosen.get(here)
        return tuple(path)


class Exchange(Tree):
    """The part of the library that gives and takes whole conversations."""

    def whole(self, conversation: int) -> Whole:
        """A conversation with all its branches and tokens.

        Raises:
            UserError: there is no such conversation.
        """
        with self._reading() as connection:
            record = self._conversation(conversation)
            rows = connection.execute(f"{MESSAGE} WHERE m.conversation = ? ORDER BY m.id", (conversation,))
            messages = _hung_up([message_record(row) for row in rows])
            chosen: dict[int | None, int] = dict(
                connection.execute(
                    "SELECT id, looked_at('message', id, chosen) FROM message WHERE conversation = ?",
                    (conversation,),
                )
            )
            first = self._row(
                "SELECT looked_at('conversation', id, chosen) FROM conversation WHERE id = ?", conversation
            )
            if first and first[0] is not None:
                chosen[None] = first[0]
            parents = {message.id: message.parent for message in messages}
            chosen = {above: below for above, below in chosen.items() if parents.get(below, below) == above}
            tokens, problems = {}, []
            for message in messages:
                try:
                    if message.tokens:
                        tokens[message.id] = self._tokens(message.id)
                except UserError as error:
                    problems.append(f"Message {message.id}: {error.sentence}")
        return Whole(record, messages, chosen, tokens, tuple(problems))

    def add_conversations(self, documents: Sequence[ConversationDocument]) -> tuple[Conversation, ...]:
        """Add conversations with all they hold, all of them or none; each stands in the list at its date.

        Raises:
            UserError: something in them does not fit together, or it cannot be saved.
        """
        for number, document in enumerate(documents, 1):
            _check(document, f"conversation {number}")
        with self._writing() as connection:
            added = [self._add(connection, document) for document in documents]
            _place(connection, added)
            return tuple(self._conversation(conversation) for conversation in added)

    def _add(self, connection: sqlite3.Connection, document: ConversationDocument) -> int:
        title = " ".join(one_line(storable(document.title)).split())
        said = (message.content for message in document.messages if message.role == "user")
        conversation = new_id(
            connection.execute(
                "INSERT INTO conversation (title, title_is_users, created, updated, recency, pinned, model, "
                "system_prompt, sampling) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?)",
                (
                    title or title_of(next(said, "")),
                    bool(title) and document.title_is_users,
                    document.created,
                    document.updated,
                    document.pinned,
                    optional(document.model),
                    storable(document.system_prompt),
                    stored_sampling(_sampling(document.sampling, "the conversation")),
                ),
            )
        )
        numbers: dict[int | None, int | None] = {None: None}
        for message in document.messages:
            numbers[message.id] = self._add_message(connection, conversation, message, numbers)
        connection.executemany(
            "UPDATE message SET chosen = ? WHERE id = ?",
            [(numbers[m.chosen], numbers[m.id]) for m in document.messages if m.chosen is not None],
        )
        connection.execute(
            "UPDATE conversation SET chosen = ? WHERE id = ?", (numbers[document.chosen], conversation)
        )
        return conversation

    def _add_message(
        self,
        connection: sqlite3.Connection,
        conversation: int,
        message: MessageDocument,
        numbers: dict[int | None, int | None],
    ) -> int:
        content = storable(message.content)
        timing = message.timing and msgspec.convert(message.timing, Timing, from_attributes=True)
        number = new_id(
            connection.execute(
                "INSERT INTO message (conversation, parent, role, content, created, status, model, sampling, "
                "finish, notices, timing, edited_from, forked_from, forked_at, "
                "left_out, attachments_left_out, raw_prompt, placed) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    conversation,
                    numbers[message.parent],
                    message.role,
                    content,
                    message.created,
                    message.status,
                    optional(message.model),
                    stored_sampling(_sampling(message.sampling, f"message {message.id}")),
                    optional(message.finish),
                    stored_notices(message.notices),
                    None if timing is None else msgspec.json.encode(timing).decode(),
                    numbers.get(message.edited_from),
                    numbers.get(message.forked_from),
                    message.forked_at,
                    message.left_out,
                    message.attachments_left_out,
                    marks.stored(message.raw_prompt),
                    marks.stored_ranges(message.placed),
                ),
            )
        )
        self._copy_tokens(number, [_token(token) for token in message.tokens])
        index.add(connection, number, content)
        return number


def _hung_up(messages: list[Message]) -> tuple[Message, ...]:
    """Messages of which each answers one before it, or none; another program may have edited them."""
    before: set[int] = set()
    found = []
    for message in messages:
        if message.parent is not None and message.parent not in before:
            message = msgspec.structs.replace(message, parent=None)
        before.add(message.id)
        found.append(message)
    return tuple(found)


def _place(connection: sqlite3.Connection, added: Sequence[int]) -> None:
    """Give new conversations the places in the list that their dates ask for; the others keep their order."""
    new = set(added)
    rows = connection.execute("SELECT id, updated FROM conversation ORDER BY recency, id").fetchall()
    rows = [(number, lenient.real(updated)) for number, updated in rows]
    old = [row for row in rows if row[0] not in new]
    # The order of the old ones is a count and wins over their dates, which a clock may have disturbed.
    latest = itertools.accumulate((updated for _, updated in old), max)
    settled = [(updated, id_) for (id_, _), updated in zip(old, latest, strict=True)]
    coming = sorted((updated, id_) for id_, updated in rows if id_ in new)
    merged = heapq.merge(settled, coming, key=lambda row: row[0])
    connection.executemany(
        "UPDATE conversation SET recency = ? WHERE id = ?",
        [(place, id_) for place, (_, id_) in enumerate(merged, 1)],
    )


def _check(document: ConversationDocument, where: str) -> None:
    """Refuse what the tables would not hold or what does not fit together."""

    def refuse(what: str) -> UserError:
        return UserError(f"In {where}, {what}; nothing was imported.")

    if not document.messages:
        raise refuse("there is no message")
    if not (math.isfinite(document.created) and math.isfinite(document.updated)):
        raise refuse("the date is not a number")
    parents: dict[int, int | None] = {}
    for message in document.messages:
        if message.id in parents:
            raise refuse(f"two messages have the number {message.id}")
        if message.parent is not None and message.parent not in parents:
            raise refuse(f"message {message.id} answers {message.parent}, which does not stand before it")
        if not math.isfinite(message.created):
            raise refuse(f"the date of message {message.id} is not a number")
        parents[message.id] = message.parent
        _check_tokens(message, refuse)
    if document.chosen is not None and parents.get(document.chosen, 0) is not None:
        raise refuse(f"the first message chosen, {document.chosen}, is not a first message")
    if document.chosen is None:
        raise refuse("no first message is chosen")
    for message in document.messages:
        if message.chosen is not None and parents.get(message.chosen) != message.id:
            raise refuse(f"message {message.id} chooses {message.chosen}, which does not answer it")


def _check_tokens(message: MessageDocument, refuse: Callable[[str], UserError]) -> None:
    end = 0
    for number, token in enumerate(message.tokens, 1):
        if token.start < end or not message.content.startswith(token.text, token.start):
            place = f"token {number} of message {message.id}"
            raise refuse(f"{place} does not stand in the text at {token.start}")
        end = token.start + len(token.text)
    if end > len(message.content):
        raise refuse(f"the tokens of message {message.id} are longer than its text")
    if not marks.are_sound(message.placed, len(message.tokens)):
        raise refuse(f"what was put into message {message.id} is no range of its tokens")


def _token(token: TokenDocument) -> Token:
    # not strict: numbers that are not finite are text in JSON
    return msgspec.convert(token, Token, from_attributes=True, strict=False)


def _sampling(fields: dict[str, Any] | None, where: str) -> SamplingParameters | None:
    if fields is None:
        return None
    try:
        sampling = msgspec.convert(fields, SamplingParameters, strict=False)
        stored_sampling(sampling)  # MessagePack has no integers over 64 bits
        return sampling
    except (msgspec.ValidationError, OverflowError) as error:
        raise UserError(
            f"The sampling values of {where} cannot be used: {error}; nothing was imported."
        ) from error
