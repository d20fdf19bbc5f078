"""Conversations that were saved: opening them, and walking through their branches."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from chatterm import quoting
from chatterm.chat.events import SamplingChanged, StateChanged, TurnChanged, TurnsReplaced
from chatterm.chat.session.branching import BranchingSession
from chatterm.chat.turns import Turn
from chatterm.errors import UserError
from chatterm.language import _


class SavedSession(BranchingSession):
    """Shows one walk through a saved conversation, and another when it is asked for."""

    def new(self) -> None:
        """Begin another conversation. A running reply is stopped and kept in its own."""
        self.stop()
        self.keeper.begin()
        self.keeper.system_prompt = self.settings.system_prompt
        self.values.leave()
        self.keeper.values = self.values.to_keep
        self._known.clear()
        self._show([])
        self._post(SamplingChanged())

    async def resume(self, conversation: int | None = None) -> None:
        """Open a saved conversation, the last one if None."""
        with self._bringing():
            self.stop()
            await self._until_quiet()
            await self._show_saved(self.keeper.open(conversation), _("No conversation has been saved yet."))

    async def jump(self, message: int) -> Turn | None:
        """Lead the conversation through a saved message, of another conversation too; its turn.

        A running reply is stopped and kept.
        """
        with self._bringing():
            self.stop()
            await self._until_quiet()
            await self._show_saved(self.keeper.select(message), "")
        return next((turn for turn in self.turns if turn.number == message), None)

    async def show_sibling(self, turn: Turn, step: int) -> None:
        """Go on from another of the replies to the same message."""
        if self.live is None:
            with self._bringing():
                await self._show_saved(self.keeper.sibling(turn, step), "")

    def count_attachments(self, turns: list[Turn]) -> None:
        """Count the tokens of what is attached to messages, where there is a model to do it."""
        asked = [turn for turn in turns if turn.role == "user" and not turn.quote_tokens]
        asked = [turn for turn in asked if quoting.split(turn.text)[0]]
        if asked and self.info is not None:
            self._run(self._count_attachments(asked))

    async def _count_attachments(self, turns: list[Turn]) -> None:
        for turn in reversed(turns):
            counts = [await self.count(quoting.quoted(quote)) for quote in quoting.split(turn.text)[0]]
            if None not in counts:
                turn.quote_tokens = tuple(count for count in counts if count is not None)
                self._post(TurnChanged(turn))

    def read_records(self, turns: list[Turn]) -> None:
        """Bring the token records of saved turns that are shown."""
        unread = [turn for turn in turns if turn.unread]
        if unread:
            self._run(self._read_records(unread))

    async def _read_records(self, turns: list[Turn]) -> None:
        for turn in reversed(turns):
            await self.keeper.read(turn)
            self._post(TurnChanged(turn))

    async def _show_saved(self, opening: Coroutine[Any, Any, list[Turn] | None], otherwise: str) -> None:
        try:
            await self.keeper.keep_values()
            was = self.keeper.conversation
            turns = await opening
        except UserError as error:
            self.tell(error.sentence)
            return
        if turns is not None:
            self._show_opened(turns, is_other=self.keeper.conversation != was)
        elif otherwise:
            self.tell(otherwise)

    @contextmanager
    def _bringing(self) -> Iterator[None]:
        """What is said until the conversation is there is said in it."""
        self._opening += 1
        try:
            yield
        finally:
            self._opening -= 1
            if not self._opening:
                said, self._later = self._later, []
                for text in said:
                    self.send(text)

    def _show_opened(self, turns: list[Turn], *, is_other: bool) -> None:
        for place, turn in enumerate(turns):
            known = self._known.get(turn.number or 0)
            if known is not None:
                known.sibling, known.siblings = turn.sibling, turn.siblings
                known.left_out, known.quotes_left_out = turn.left_out, turn.quotes_left_out
                turns[place] = known
        if is_other:
            self._restore()
        self._show(turns)

    def _restore(self) -> None:
        """Go on with what the saved conversation was held with."""
        opened = self.keeper.opened
        if opened is None:
            return
        self.keeper.system_prompt = opened.system_prompt
        if opened.sampling is not None:
            self.values.restore(opened.sampling)
        self.keeper.values = self.values.to_keep
        self._post(SamplingChanged())

    def _show(self, turns: list[Turn]) -> None:
        self.turns = turns
        self._used = None
        self.timing = None
        self._unanswered = False
        self._warned = False
        self.lookout.forget()
        self.lookout.follow(self.last_reply)
        self._post(TurnsReplaced())
        self._post(StateChanged())
