"""Conversations as a list: making, finding, naming, pinning, deleting."""

# ruff: noqa: S608 - what is put into SQL here are constants of this module and names of parameters

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from chatterm.errors import UserError
from chatterm.library import index, lenient
from chatterm.library.records import Conversation
from chatterm.library.store import Store
from chatterm.library.text import folded, one_line, storable
from chatterm.library.titles import title_of
from chatterm.sampling import SamplingParameters

_COLUMNS = "id, title, title_is_users, created, updated, pinned, deleted, model, system_prompt, sampling"


class Conversations(Store):
    """The part of the library that knows conversations without their messages."""

    def create(
        self, *, model: str | None = None, system_prompt: str = "", sampling: SamplingParameters | None = None
    ) -> Conversation:
        """Begin a conversation. It is listed once it has a message.

        Raises:
            UserError: it cannot be saved.
        """
        now = time.time()
        with self._writing() as connection:
            cursor = connection.execute(
                "INSERT INTO conversation "
                "(title, title_is_users, created, updated, recency, pinned, model, system_prompt, sampling) "
                "VALUES ('', 0, ?, ?, (SELECT coalesce(max(recency), 0) + 1 FROM conversation), 0, ?, ?, ?)",
                (now, now, optional(model), storable(system_prompt), stored_sampling(sampling)),
            )
            return self._conversation(new_id(cursor))

    def conversation(self, conversation: int) -> Conversation:
        """One conversation, deleted or not.

        Raises:
            UserError: there is none of this number.
        """
        with self._reading():
            return self._conversation(conversation)

    def conversations(
        self, *, limit: int = 100, offset: int = 0, matching: str = "", deleted: bool = False
    ) -> tuple[Conversation, ...]:
        """The conversations that have messages, pinned ones first, then by the latest message.

        Args:
            limit: at most so many …
            offset: … after so many.
            matching: only those whose title contains this, whatever its case.
            deleted: those that were deleted, in place of those that were not.
        """
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM conversation "
                f"WHERE chosen IS NOT NULL AND deleted IS {'NOT ' if deleted else ''}NULL "
                "AND (:matching = '' OR instr(folded(title), :matching)) "
                "ORDER BY pinned DESC, recency DESC LIMIT :limit OFFSET :offset",
                {"matching": folded(storable(matching)), "limit": limit, "offset": offset},
            )
            return tuple(_record(row) for row in rows)

    def last_conversation(self) -> Conversation | None:
        """The one that was talked in last, or None when there is none yet."""
        with self._reading():
            row = self._row(
                f"SELECT {_COLUMNS} FROM conversation WHERE chosen IS NOT NULL AND deleted IS NULL "
                "ORDER BY recency DESC LIMIT 1"
            )
            return None if row is None else _record(row)

    def rename(self, conversation: int, title: str) -> Conversation:
        """Give it the user's own title; an empty one asks for a title from the first message again.

        Raises:
            UserError: there is no such conversation, or it cannot be saved.
        """
        title = " ".join(one_line(storable(title)).split())
        if title:
            return self._change(conversation, title=title, title_is_users=True)
        with self._reading():
            first = self._row(
                "SELECT content FROM message WHERE conversation = ? AND role = 'user' ORDER BY id LIMIT 1",
                conversation,
            )
        return self._change(
            conversation, title=title_of(lenient.text(first[0])) if first else "", title_is_users=False
        )

    def pin(self, conversation: int, pinned: bool = True) -> Conversation:
        """Keep it at the head of the list, or no longer.

        Raises:
            UserError: there is no such conversation, or it cannot be saved.
        """
        return self._change(conversation, pinned=pinned)

    def configure(
        self,
        conversation: int,
        *,
        model: str | UnsetType | None = UNSET,
        system_prompt: str | UnsetType = UNSET,
        sampling: SamplingParameters | UnsetType | None = UNSET,
    ) -> Conversation:
        """Change what the conversation is held with; what is not given stays.

        Raises:
            UserError: there is no such conversation, or it cannot be saved.
        """
        changes: dict[str, object] = {}
        if model is not UNSET:
            changes["model"] = optional(model)
        if system_prompt is not UNSET:
            changes["system_prompt"] = storable(system_prompt)
        if sampling is not UNSET:
            changes["sampling"] = stored_sampling(sampling)
        return self._change(conversation, **changes)

    def delete(self, conversation: int) -> Conversation:
        """Take it off the list. `undelete`, or what the user says in it, brings it back until it is purged.

        Raises:
            UserError: there is no such conversation, or it cannot be saved.
        """
        return self._change(conversation, deleted=time.time())

    def undelete(self, conversation: int) -> Conversation:
        """Put a deleted one back on the list, where it was.

        Raises:
            UserError: there is no such conversation any more, or it cannot be saved.
        """
        return self._change(conversation, deleted=None)

    def purge(self, conversation: int) -> None:
        """Remove a deleted conversation for ever, with all its messages.

        Raises:
            UserError: it was not deleted before, or it cannot be saved.
        """
        with self._writing() as connection:
            if self._conversation(conversation).deleted is None:
                raise UserError(f"Conversation {conversation} is not deleted: delete it before it is purged.")
            _remove(connection, [conversation])

    def purge_deleted(self, older_than: float) -> int:
        """Remove for ever what was deleted more than `older_than` seconds ago; how many conversations.

        Raises:
            UserError: it cannot be saved.
        """
        with self._writing() as connection:
            rows = connection.execute(
                "SELECT id FROM conversation WHERE deleted < ?", (time.time() - older_than,)
            )
            ids = [row[0] for row in rows]
            _remove(connection, ids)
            return len(ids)

    def _conversation(self, conversation: int) -> Conversation:
        row = self._row(f"SELECT {_COLUMNS} FROM conversation WHERE id = ?", conversation)
        if row is None:
            raise UserError(
                f"There is no conversation {conversation}; it may have been purged in another window."
            )
        return _record(row)

    def _change(self, conversation: int, **changes: object) -> Conversation:
        with self._writing() as connection:
            before = self._conversation(conversation)
            if changes:
                connection.execute(
                    f"UPDATE conversation SET {', '.join(f'{name} = ?' for name in changes)} WHERE id = ?",
                    (*changes.values(), before.id),
                )
            return self._conversation(conversation)

    def _bring_back(self, conversation: int) -> None:
        """Put it back on the list if it was deleted: the user goes on talking in it."""
        self._connection.execute(
            "UPDATE conversation SET deleted = NULL WHERE id = ? AND deleted IS NOT NULL", (conversation,)
        )

    def _touch(self, conversation: int) -> None:
        """Note that something was said in it."""
        self._connection.execute(
            "UPDATE conversation SET updated = ?, recency = (SELECT max(recency) + 1 FROM conversation) "
            "WHERE id = ?",
            (time.time(), conversation),
        )


def _remove(connection: sqlite3.Connection, conversations: list[int]) -> None:
    for conversation in conversations:
        rows = connection.execute("SELECT id FROM message WHERE conversation = ?", (conversation,)).fetchall()
        for (message,) in rows:
            index.remove(connection, message)
        connection.execute("DELETE FROM conversation WHERE id = ?", (conversation,))


def _record(row: tuple[Any, ...]) -> Conversation:
    id_, title, is_users, created, updated, pinned, deleted, model, system_prompt, sampling = row
    return Conversation(
        id=id_,
        title=lenient.text(title),
        title_is_users=bool(is_users),
        created=lenient.real(created),
        updated=lenient.real(updated),
        pinned=bool(pinned),
        deleted=lenient.optional_real(deleted),
        model=lenient.optional_text(model),
        system_prompt=lenient.text(system_prompt),
        sampling=read_sampling(sampling),
    )


def stored_sampling(sampling: SamplingParameters | None) -> bytes | None:
    """Parameters as they are stored: MessagePack, since JSON has no infinite logit bias."""
    return None if sampling is None else msgspec.msgpack.encode(sampling)


def read_sampling(stored: bytes | None) -> SamplingParameters | None:
    """Stored parameters. A field that this version does not know or does not allow is at its default."""
    if stored is None:
        return None
    try:
        return msgspec.msgpack.decode(stored, type=SamplingParameters)
    except (ValueError, TypeError, RecursionError):
        pass
    try:
        fields = msgspec.msgpack.decode(stored, type=dict[str, object])
    except (ValueError, TypeError, RecursionError):
        return None
    sampling = SamplingParameters()
    for name, value in fields.items():
        with suppress(msgspec.ValidationError):
            sampling = sampling.replace(**{name: value})
    return sampling


def optional(text: str | None) -> str | None:
    """`storable` for a text that may be missing."""
    return None if text is None else storable(text)


def new_id(cursor: sqlite3.Cursor) -> int:
    """The id of the row that was just inserted."""
    assert cursor.lastrowid is not None
    return cursor.lastrowid
