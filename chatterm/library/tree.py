"""The messages of a conversation as a tree: adding, walking, choosing branches.

Nothing that was said is ever changed: to edit or to ask again is to add a sibling. A message remembers which
of its children was looked at last, so the active path is a walk from the first message along the chosen ones.
"""

# ruff: noqa: S608 - what is put into SQL here are constants of this module

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chatterm.errors import UserError
from chatterm.library import chunks, index, lenient, marks
from chatterm.library.choices import ACTIVE, Choices
from chatterm.library.conversations import Conversations, new_id, optional, stored_sampling
from chatterm.library.records import Message, Node, OpenConversation, Role, Siblings, Status, Token
from chatterm.library.rows import MESSAGE, message_record, stored_notices
from chatterm.library.text import one_line, shortened, storable
from chatterm.library.titles import title_of
from chatterm.sampling import SamplingParameters

PREVIEW_CELLS = 80
TOKENS_IN_A_CHUNK = 512


class Tree(Conversations):
    """The part of the library that knows messages."""

    def _begin(self, path: Path | None, busy_seconds: float) -> None:
        super()._begin(path, busy_seconds)
        self._choices = Choices(self._connection)

    def open(self, conversation: int) -> OpenConversation:
        """A conversation and its active path.

        Raises:
            UserError: there is no such conversation.
        """
        with self._reading() as connection:
            record = self._conversation(conversation)
            rows = connection.execute(
                f"{ACTIVE} {MESSAGE} JOIN active ON active.id = m.id ORDER BY active.depth", (conversation,)
            )
            return OpenConversation(record, tuple(message_record(row) for row in rows))

    def message(self, message: int) -> Message:
        """One message.

        Raises:
            UserError: there is none of this number.
        """
        with self._reading():
            return self._message(message)

    def add_message(
        self,
        conversation: int,
        parent: int | None,
        role: Role,
        content: str,
        *,
        edited_from: int | None = None,
    ) -> Message:
        """Save a message below `parent` (None: at the beginning) and make it the end of the active path.

        When this returns, the message survives a power cut. The first user message gives the conversation its
        title, unless the user has given one; other words for it (`edited_from`) give it another. A deleted
        conversation is back with it.

        Raises:
            UserError: there is no such conversation or parent, or it cannot be saved.
        """
        content = storable(content)
        with self._writing() as connection:
            record = self._conversation(conversation)
            message = self._insert(
                conversation, parent, role, content, status="done", model=None, edited_from=edited_from
            )
            self._bring_back(conversation)
            index.add(connection, message, content)
            if role == "user" and (
                not record.title or (edited_from is not None and self._begins(edited_from))
            ):
                self._entitle(conversation, content)
            return self._message(message)

    def edit(self, message: int, content: str) -> Message:
        """Save other words for a message as a new sibling of it, at the end of the active path.

        What a changed reply still begins with keeps its tokens.

        Raises:
            UserError: there is no such message, or it cannot be saved.
        """
        content = storable(content)
        with self._writing() as connection:
            old = self._message(message)
            new = self._insert(
                old.conversation,
                old.parent,
                old.role,
                content,
                status="done",
                model=old.model,
                sampling=old.sampling,
                edited_from=old.id,
            )
            self._copy_beginning(new, old, unchanged(self._tokens(old.id), old.content, content))
            self._bring_back(old.conversation)
            index.add(connection, new, content)
            if old.role == "user" and self._begins(old.id):
                self._entitle(old.conversation, content)
            return self._message(new)

    def _entitle(self, conversation: int, message: str) -> None:
        """Give a conversation the title that its first message makes, unless it has the user's own."""
        self._connection.execute(
            "UPDATE conversation SET title = ? WHERE id = ? AND NOT title_is_users",
            (title_of(message), conversation),
        )

    def _begins(self, message: int) -> bool:
        """Whether nothing was said before a message."""
        above = self._row(
            "SELECT a.role FROM message m JOIN message a ON a.id = m.parent WHERE m.id = ?", message
        )
        return above is None or above[0] == "system"

    def leave_out(self, messages: Mapping[int, tuple[bool, bool]]) -> None:
        """Mark messages as not to be sent to the model, or as to be sent again; all of them or none.

        Args:
            messages: by number, whether the message is left out, and whether what is attached to it is.

        Raises:
            UserError: there is no such message, or it cannot be saved.
        """
        with self._writing() as connection:
            for message, (whole, attachments) in messages.items():
                self._message(message)
                connection.execute(
                    "UPDATE message SET left_out = ?, attachments_left_out = ? WHERE id = ?",
                    (whole, attachments, message),
                )

    def siblings(self, message: int) -> Siblings:
        """The messages with the same parent as this one.

        Raises:
            UserError: there is no such message.
        """
        with self._reading() as connection:
            record = self._message(message)
            rows = connection.execute(
                "SELECT id FROM message WHERE conversation = ? AND parent IS ? ORDER BY id",
                (record.conversation, record.parent),
            )
            ids = tuple(row[0] for row in rows)
            return Siblings(ids, ids.index(message))

    def select(self, message: int) -> OpenConversation:
        """Lead the active path through this message, and below it along what was active there before.

        In a library that can only be read this lasts until it is closed.

        Raises:
            UserError: there is no such message, or it cannot be saved.
        """
        with self._reading() if self.is_read_only else self._writing():
            record = self._message(message)
            if self.is_read_only:
                self._choices.look_at(message)
            else:
                self._choices.choose(message)
        return self.open(record.conversation)

    def tree(self, conversation: int) -> tuple[Node, ...]:
        """All messages of a conversation, parents before children, siblings oldest first, depth first.

        Raises:
            UserError: there is no such conversation.
        """
        with self._reading() as connection:
            self._conversation(conversation)
            active = {
                row[0] for row in connection.execute(f"{ACTIVE} SELECT id FROM active", (conversation,))
            }
            rows = connection.execute(
                "SELECT id, parent, role, status, created, model, substr(content, 1, 400) FROM message "
                "WHERE conversation = ? ORDER BY id DESC",
                (conversation,),
            ).fetchall()
        children: dict[int | None, list[tuple[Any, ...]]] = {}
        numbers = {row[0] for row in rows}
        for row in rows:
            hangs = row[1] in numbers and row[1] < row[0]  # else another program has edited it
            children.setdefault(row[1] if hangs else None, []).append(row)
        nodes = []
        waiting = [(row, 0) for row in children.get(None, ())]
        while waiting:
            (id_, parent, role, status, created, model, beginning), depth = waiting.pop()
            below = children.get(id_, [])
            preview = shortened(" ".join(one_line(lenient.text(beginning)).split()), PREVIEW_CELLS)
            nodes.append(
                Node(
                    id=id_,
                    parent=parent if depth else None,
                    depth=depth,
                    role=lenient.role(role),
                    status=lenient.status(status),
                    created=lenient.real(created),
                    model=lenient.optional_text(model),
                    preview=preview,
                    children=len(below),
                    active=id_ in active,
                )
            )
            waiting += [(row, depth + 1) for row in below]
        return tuple(nodes)

    def tokens(self, message: int) -> tuple[Token, ...]:
        """The tokens of a reply, as they were when it was written; () for a message without any.

        Raises:
            UserError: there is no such message, or its tokens are damaged.
        """
        with self._reading():
            self._message(message)
            return self._tokens(message)

    # --- inside a transaction ---------------------------------------------------------------------------

    def _message(self, message: int) -> Message:
        row = self._row(f"{MESSAGE} WHERE m.id = ?", message)
        if row is None:
            raise UserError(f"There is no message {message}; it may have been purged in another window.")
        return message_record(row)

    def _insert(
        self,
        conversation: int,
        parent: int | None,
        role: Role,
        content: str,
        *,
        status: Status,
        model: str | None,
        owner: str | None = None,
        sampling: SamplingParameters | None = None,
        edited_from: int | None = None,
        forked_from: int | None = None,
        forked_at: int | None = None,
        notices: tuple[str, ...] = (),
        raw_prompt: tuple[int, ...] | None = None,
    ) -> int:
        self._conversation(conversation)
        if parent is not None:
            above = self._row("SELECT conversation FROM message WHERE id = ?", parent)
            if above is None or above[0] != conversation:
                raise UserError(f"There is no message {parent} in conversation {conversation} to answer to.")
        cursor = self._connection.execute(
            "INSERT INTO message (conversation, parent, role, content, created, status, owner, model, "
            "sampling, edited_from, forked_from, forked_at, notices, raw_prompt) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                conversation,
                parent,
                role,
                content,
                time.time(),
                status,
                owner,
                optional(model),
                stored_sampling(sampling),
                edited_from,
                forked_from,
                forked_at,
                stored_notices(notices),
                marks.stored(raw_prompt),
            ),
        )
        message = new_id(cursor)
        self._choices.choose(message)
        self._touch(conversation)
        return message

    def _tokens(self, message: int) -> tuple[Token, ...]:
        rows = self._connection.execute(
            "SELECT data, start FROM chunk WHERE message = ? ORDER BY first", (message,)
        )
        return tuple(token for data, start in rows for token in chunks.decode(data, lenient.natural(start)))

    def _append_tokens(self, message: int, tokens: Sequence[Token], start: int) -> None:
        """Store tokens after those that a message has; the text of the first begins at character `start`."""
        row = self._row(
            "SELECT first + count FROM chunk WHERE message = ? ORDER BY first DESC LIMIT 1", message
        )
        first = row[0] if row else 0
        for offset in range(0, len(tokens), TOKENS_IN_A_CHUNK):
            part = tokens[offset : offset + TOKENS_IN_A_CHUNK]
            self._connection.execute(
                "INSERT INTO chunk (message, first, count, start, data) VALUES (?, ?, ?, ?, ?)",
                (message, first + offset, len(part), start, chunks.encode(part)),
            )
            start += sum(len(token.text) for token in part)

    def _copy_beginning(self, message: int, old: Message, tokens: Sequence[Token], placed: int = 0) -> None:
        """Let a new message begin with tokens that another one begins with, behind the same prompt.

        Behind them come `placed` tokens that the user puts there.
        """
        self._copy_tokens(message, tokens)
        kept = len(tokens)
        ranges = marks.first(old.placed, kept)
        if placed:
            ranges = (*ranges, (kept, kept + placed))
        self._connection.execute(
            "UPDATE message SET raw_prompt = ?, placed = ? WHERE id = ?",
            (marks.stored(old.raw_prompt), marks.stored_ranges(ranges), message),
        )

    def _copy_tokens(self, message: int, tokens: Sequence[Token]) -> None:
        """Give a new message tokens of another one, at the same places in its text."""
        run: list[Token] = []
        for token in tokens:
            if run and token.start != run[-1].start + len(run[-1].text):  # words without tokens between them
                self._append_tokens(message, run, run[0].start)
                run = []
            run.append(token)
        if run:
            self._append_tokens(message, run, run[0].start)


def unchanged(tokens: Sequence[Token], old: str, new: str) -> Sequence[Token]:
    """The leading tokens of a reply `old` that still stand where they stood in `new`."""
    if old == new:
        return tokens
    differences = (place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    end = next(differences, min(len(old), len(new)))
    kept = 0
    for number, token in enumerate(tokens, 1):
        if token.start + len(token.text) > end:
            break
        if token.text:  # one without text may belong to a character that was changed
            kept = number
    return tokens[:kept]
