"""Brings saved conversations back."""

from __future__ import annotations

from chatterm.chat.saving.state import Place
from chatterm.chat.saving.writing import WritingKeeper
from chatterm.chat.stored_turns import add_records, from_stored
from chatterm.chat.turns import Turn
from chatterm.errors import UserError
from chatterm.library import AsyncLibrary, Node, OpenConversation


class Keeper(WritingKeeper):
    """Keeps the conversation, and opens others."""

    async def open(self, conversation: int | None = None) -> list[Turn] | None:
        """A saved conversation, the last one if None; None if nothing has been saved yet.

        Raises:
            UserError: there is no such conversation.
        """
        async with self._lock:
            library = await self.library()
            if conversation is None:
                last = await library.last_conversation()
                if last is None:
                    return None
                conversation = last.id
            return await self._turns(library, await library.open(conversation))

    async def sibling(self, turn: Turn, step: int) -> list[Turn] | None:
        """The conversation with the reply before or after `turn` in its place; None if there is none.

        Raises:
            UserError: it cannot be read.
        """
        if turn.number is None:
            return None
        async with self._lock:
            library = await self.library()
            siblings = await library.siblings(turn.number)
            other = siblings.previous if step < 0 else siblings.next
            return await self._turns(library, await library.select(other)) if other is not None else None

    async def select(self, message: int) -> list[Turn]:
        """The conversation of a message, led through it and on along what was looked at last.

        Raises:
            UserError: there is no such message, or it cannot be read.
        """
        async with self._lock:
            library = await self.library()
            return await self._turns(library, await library.select(message))

    async def tree(self) -> tuple[Node, ...]:
        """All messages of the conversation; none before anything was said in it.

        Raises:
            UserError: they cannot be read.
        """
        async with self._lock:
            if self.conversation is None:
                return ()
            return await (await self.library()).tree(self.conversation)

    async def _turns(self, library: AsyncLibrary, opened: OpenConversation) -> list[Turn]:
        await library.hold(opened.conversation.id)
        turns = [from_stored(message) for message in opened.path if message.role != "system"]
        last = next((turn for turn in reversed(turns) if turn.unread), None)
        if last is not None:
            await self._read(library, last)
        # Nothing is waited for behind this: what is said belongs to the conversation that is on the screen.
        if opened.conversation.id != self.conversation:
            self._here = Place(opened.conversation.id)
        self.opened = opened.conversation
        self._saved(library)
        return turns

    async def read(self, turn: Turn) -> None:
        """Bring the token records of a saved turn, if they are still unread."""
        async with self._lock:
            if turn.unread and self._library is not None:
                await self._read(self._library, turn)

    async def _read(self, library: AsyncLibrary, turn: Turn) -> None:
        assert turn.number is not None
        turn.unread = 0  # what cannot be read is not tried again
        try:
            add_records(turn, await library.tokens(turn.number))
        except UserError as error:
            self.tell_once(error)
