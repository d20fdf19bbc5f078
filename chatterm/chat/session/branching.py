"""Going on otherwise: forks, other words for a reply, and replies that go on where they ended."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from chatterm.chat.branches import Branch, unchanged
from chatterm.chat.engines import LocalEngine
from chatterm.chat.events import StateChanged, TurnChanged, TurnsReplaced
from chatterm.chat.session.writing import WritingSession
from chatterm.chat.turns import Turn, question_of
from chatterm.engine.messages import TokenEvent
from chatterm.engine.protocol import EngineDiedError
from chatterm.errors import UserError
from chatterm.records.generation import Timing


class BranchingSession(WritingSession):
    """Writes branches of a reply; the reply itself stays beside them."""

    def fork(self, branch: Branch, ids: tuple[int, ...] = (), text: str = "") -> None:
        """Go on from another token, or from a text of the user's own; the reply stays as a sibling.

        A running reply is stopped first.
        """
        self._run(self._told(self._fork(branch, ids, text)))

    async def _fork(self, branch: Branch, ids: tuple[int, ...], text: str) -> None:
        engine = await self.settle(branch)
        ids = ids or (await self.forks.tokens_of(engine, text) if text else ())
        begun = await self.forks.records(engine, branch, ids)
        self._branch(engine, branch, self.forks.turn(engine, branch, len(begun)), begun)

    def edit_reply(self, reply: Turn, text: str) -> None:
        """Put other words into a reply and let it go on after them, as a branch."""
        at = unchanged(reply, text)
        kept = reply.span(at - 1)[1] if at else 0
        self.fork(Branch(reply, at), text=text[kept:])

    def continue_reply(self, reply: Turn) -> None:
        """Let a reply that has ended go on where it ended; one that has been answered goes on as a branch."""
        self._run(self._told(self._continue(Branch(reply, len(reply.tokens)))))

    async def _continue(self, branch: Branch) -> None:
        engine = await self.settle(branch)
        turn = self.forks.turn(engine, branch, 0)
        turn.goes_on = True
        self._branch(engine, branch, turn, ())

    def adopt(self, branch: Branch, tokens: tuple[TokenEvent, ...], seed: int) -> None:
        """Make a drawn continuation a branch, and let it go on with the seed that it was drawn with."""
        self._run(self._told(self._adopt(branch, tokens, seed)))

    async def _adopt(self, branch: Branch, tokens: tuple[TokenEvent, ...], seed: int) -> None:
        engine = await self.settle(branch)
        self._branch(engine, branch, self.forks.turn(engine, branch, 0, seed), tokens)

    async def take_over(self, turn: Turn, timing: Timing | None) -> None:
        """Put a reply that was written beside the conversation below its last message, as a branch."""
        last = question_of(self.turns, Turn("notice"))
        if last is None or self.live is not None:
            return
        if last.role == "assistant":
            self._cut_off(self.turns.index(last))
        self._unanswered = False
        turn.live = False
        turn.finish = turn.finish or "stopped"
        question, sampling = question_of(self.turns, turn), turn.sampling or self.values.sampling
        self._add_unsaved(turn)
        await self.keeper.ended(turn, question, sampling, timing)
        if turn.number is not None:
            self._known[turn.number] = turn
        self.lookout.follow(turn)
        self._post(TurnChanged(turn))
        self._post(StateChanged())

    def _branch(self, engine: LocalEngine, branch: Branch, turn: Turn, begun: tuple[TokenEvent, ...]) -> None:
        if branch.reply not in self.turns or self.live is not None:
            return  # another conversation was opened, or another reply began
        place = self.turns.index(branch.reply)
        self._cut, self.turns[place:] = self.turns[place:], []
        self._unanswered = False
        self.lookout.forget()
        self._post(TurnsReplaced())
        self._write_on(engine, turn, begun)

    async def settle(self, branch: Branch) -> LocalEngine:
        """Stop the running reply, and wait until the engine can go on from a branch.

        Raises:
            UserError: it cannot; the sentence says why.
        """
        engine = await self.forks.engine_for(branch)
        if self.stop():
            await self._until_quiet()
        return engine

    async def _told(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except EngineDiedError as error:
            self.host.died(error)
        except UserError as error:
            self.tell(error.sentence)
