"""Replies while they grow: beginning, extending, ending, and finding those that a crash cut off."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from chatterm.errors import UserError
from chatterm.library import index, lenient
from chatterm.library.owners import Owner, forget_dead, is_alive
from chatterm.library.records import Finish, Message, Status, Timing, Token
from chatterm.library.rows import stored_notices
from chatterm.library.text import storable
from chatterm.library.titles import title_from, title_of
from chatterm.library.tree import Tree, unchanged
from chatterm.sampling import SamplingParameters

_IN_MEMORY = "memory"
_STATUS: dict[Finish, Status] = {
    "end": "done",
    "stop": "done",
    "stopped": "stopped",
    "length": "length",
    "context": "context",
    "failed": "failed",
}


class Replies(Tree):
    """The part of the library that knows how a reply comes to be.

    A reply that is being written belongs to the library that began it; others can read it.
    """

    def begin_reply(
        self,
        conversation: int,
        parent: int | None,
        *,
        model: str,
        sampling: SamplingParameters | None = None,
        content: str = "",
        edited_from: int | None = None,
        notices: Sequence[str] = (),
        raw_prompt: tuple[int, ...] | None = None,
    ) -> Message:
        """Begin a reply below `parent`, at the end of the active path.

        `content` is what it begins with without being the model's (words put into its mouth); when those are
        changed words of another reply, `edited_from`, the tokens of what is still the same are kept.
        `raw_prompt` are the tokens that it answers, where they are not the conversation but were edited.

        Raises:
            UserError: there is no such conversation or message, or it cannot be saved.
        """
        content = storable(content)
        with self._writing():
            message = self._insert(
                conversation,
                parent,
                "assistant",
                content,
                status="writing",
                owner=self._name(),
                model=model,
                sampling=sampling,
                edited_from=edited_from,
                notices=tuple(notices),
                raw_prompt=raw_prompt,
            )
            if edited_from is not None:
                old = self._message(edited_from)
                self._copy_beginning(message, old, unchanged(self._tokens(old.id), old.content, content))
            return self._message(message)

    def fork_reply(
        self,
        reply: int,
        at: int,
        *,
        model: str,
        sampling: SamplingParameters | None = None,
        placed: int = 0,
    ) -> Message:
        """Begin a sibling of a reply with the reply's first `at` tokens; `extend_reply` adds what comes next.

        The first `placed` tokens of what comes next are the user's choice, and are marked so.

        Raises:
            UserError: there is no such reply, it has not so many tokens, or it cannot be saved.
        """
        with self._writing():
            old = self._message(reply)
            tokens = self._tokens(reply)
            if not 0 <= at <= len(tokens):
                raise UserError(f"Reply {reply} has {len(tokens)} tokens; it cannot be forked at token {at}.")
            return self._begin_copy(old, tokens, at, model, sampling, placed)

    def continue_reply(
        self, reply: int, kept: int, *, model: str, sampling: SamplingParameters | None = None
    ) -> Message:
        """Let a reply that has ended go on after its first `kept` tokens, which are those that are shown.

        The message to extend is the one that is returned. It is the same message where that changes nothing
        that was said. Where it has been answered, another model wrote it, or another window has let it go on
        meanwhile, it is a sibling that begins with a copy.

        Raises:
            UserError: there is no such reply, it has not so many tokens, it is still being written here, or
                it cannot be saved.
        """
        with self._writing() as connection:
            old = self._message(reply)
            if old.role != "assistant" or self._is_writing_here(reply):
                raise UserError(f"Message {reply} is not a reply that has ended; it cannot be continued.")
            tokens = self._tokens(reply)
            if not 0 <= kept <= len(tokens):
                raise UserError(f"Reply {reply} has {len(tokens)} tokens; it cannot go on after {kept}.")
            answered = self._row("SELECT 1 FROM message WHERE parent = ?", reply)
            if answered or old.model != model or old.is_writing or kept < len(tokens):
                return self._begin_copy(old, tokens, kept, model, sampling)
            connection.execute(
                "UPDATE message SET content = ?, status = 'writing', owner = ?, finish = NULL WHERE id = ?",
                (_beginning(old.content, tokens, kept), self._name(), reply),
            )
            index.remove(connection, reply)
            self._choices.choose(reply)
            self._touch(old.conversation)
            return self._message(reply)

    def extend_reply(self, reply: int, tokens: Sequence[Token] = (), text: str = "") -> None:
        """Append tokens, whose own texts are the reply's text, and after them text that has none.

        When this returns, it survives a power cut. If it fails nothing was appended: it can be tried again.

        Raises:
            UserError: there is no such reply, this library is not writing it, or it cannot be saved.
        """
        with self._writing():
            self._extend(reply, tokens, text)

    def finish_reply(
        self,
        reply: int,
        finish: Finish,
        *,
        tokens: Sequence[Token] = (),
        text: str = "",
        timing: Timing | None = None,
        notices: Sequence[str] = (),
    ) -> Message:
        """End a reply, appending what is still to be appended; `notices` are added to those it has.

        Raises:
            UserError: there is no such reply, this library is not writing it, or it cannot be saved.
        """
        with self._writing() as connection:
            self._extend(reply, tokens, text)
            old = self._message(reply)
            connection.execute(
                "UPDATE message SET status = ?, owner = NULL, finish = ?, timing = ?, notices = ? "
                "WHERE id = ?",
                (
                    _STATUS[finish],
                    finish,
                    None if timing is None else msgspec.json.encode(timing).decode(),
                    stored_notices((*old.notices, *notices)),
                    reply,
                ),
            )
            index.add(connection, reply, old.content)
            self._touch(old.conversation)
            self._name_after(old)
            return self._message(reply)

    def _name_after(self, reply: Message) -> None:
        """Let the first reply speak in a title where the message that it answers says little."""
        row = self._row(
            "SELECT c.title, m.content FROM conversation c JOIN message m ON m.conversation = c.id "
            "WHERE m.id = ? AND m.role = 'user' AND NOT c.title_is_users "
            "AND NOT EXISTS (SELECT 1 FROM message a WHERE a.id = m.parent AND a.role != 'system')",
            reply.parent,
        )
        if row is not None and lenient.text(row[0]) == title_of(lenient.text(row[1])):
            title = title_from(lenient.text(row[1]), reply.content)
            self._connection.execute(
                "UPDATE conversation SET title = ? WHERE id = ?", (title, reply.conversation)
            )

    def recover(self) -> int:
        """Mark the replies of programs that have died as interrupted; how many there were.

        Opening a library does this by itself.

        Raises:
            UserError: it cannot be saved.
        """
        if self.path is None or self.is_read_only:
            return 0
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT owner FROM message WHERE status = 'writing'"
            ).fetchall()
        mine = self._owner.name if self._owner else None
        dead = [
            name for (name,) in rows if name != mine and not is_alive(self._owners_folder, lenient.text(name))
        ]
        forget_dead(self._owners_folder)
        if not dead:
            return 0
        with self._writing():
            return sum(self._interrupt(name) for name in dead)

    def _release(self) -> None:
        """Let go of the replies that this library has not finished."""
        if self._owner is not None:
            with self._writing():
                self._interrupt(self._owner.name)

    @property
    def _owners_folder(self) -> Path:
        assert self.path is not None
        return self.path.with_name(self.path.name + ".owners")

    def _name(self) -> str:
        """The name under which this library writes replies."""
        if self.path is None:
            return _IN_MEMORY
        if self._owner is None:
            try:
                self._owner = Owner(self._owners_folder)
            except OSError as error:
                raise UserError(
                    f"Nothing can be saved to {self.path.parent} ({error.strerror or error})."
                ) from error
        return self._owner.name

    def _is_writing_here(self, reply: int) -> bool:
        row = self._row("SELECT owner FROM message WHERE id = ? AND status = 'writing'", reply)
        return row is not None and row[0] == self._name()

    def _begin_copy(
        self,
        old: Message,
        tokens: Sequence[Token],
        at: int,
        model: str,
        sampling: SamplingParameters | None,
        placed: int = 0,
    ) -> Message:
        """Begin a sibling of a reply with the first `at` of its tokens."""
        message = self._insert(
            old.conversation,
            old.parent,
            "assistant",
            _beginning(old.content, tokens, at),
            status="writing",
            owner=self._name(),
            model=model,
            sampling=sampling,
            forked_from=old.id,
            forked_at=at,
        )
        self._copy_beginning(message, old, tokens[:at], placed)
        return self._message(message)

    def _extend(self, reply: int, tokens: Sequence[Token], text: str) -> None:
        row = self._row("SELECT content, owner FROM message WHERE id = ?", reply)
        if row is None or row[1] != self._name():
            raise UserError(f"Reply {reply} is not being written here; it cannot grow.")
        content = lenient.text(row[0])
        added = storable("".join(token.text for token in tokens)) + storable(text)
        if tokens:
            self._append_tokens(reply, tokens, len(content))
        if added:
            self._connection.execute("UPDATE message SET content = ? WHERE id = ?", (content + added, reply))

    def _interrupt(self, owner: str) -> int:
        rows = self._connection.execute(
            "UPDATE message SET status = 'interrupted', owner = NULL WHERE status = 'writing' AND owner = ? "
            "RETURNING id, content",
            (owner,),
        ).fetchall()
        for message, content in rows:
            index.add(self._connection, message, content)
        return len(rows)


def _beginning(content: str, tokens: Sequence[Token], at: int) -> str:
    """What a reply says up to the end of its first `at` tokens.

    Text that no token stands for, as it comes with the end of a reply that was stopped within a character or
    a stop string, is not part of what the model goes on from: it writes it again, or something else.
    """
    if at:
        return content[: tokens[at - 1].start + len(tokens[at - 1].text)]
    return content[: tokens[0].start] if tokens else content
