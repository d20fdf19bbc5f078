"""Two models that answer the same conversation, with the same seed and the same sampling values."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

from chatterm import inert
from chatterm.chat.engines import LocalEngine
from chatterm.chat.session import ChatSession
from chatterm.chat.turns import USUAL_MARKERS, Turn, chat_of, question_of
from chatterm.engine.messages import Finished, Progress, Started, TokenEvent
from chatterm.engine.protocol import EngineDiedError, Reply
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.records.generation import Chat, Timing
from chatterm.sampling import SamplingParameters

Result = TypeVar("Result")


@dataclass(eq=False)
class Side:
    """One of the models and its reply. `state` is what there is to say about it, in words, or ""."""

    turn: Turn
    state: str = ""
    timing: Timing | None = None
    reply: Reply | None = None
    first_token_at: float = 0.0

    @property
    def tokens_per_second(self) -> float | None:
        """Of the reply as far as it has come."""
        if self.timing is not None:
            return self.timing.tokens_per_second or None
        spent, written = monotonic() - self.first_token_at, len(self.turn.tokens)
        return (written - 1) / spent if written > 1 and spent > 0 else None


class Comparison:
    """The loaded model on the left, another one in an engine of its own on the right.

    Where memory does not hold both, the loaded one writes first and is unloaded for the other.

    Args:
        session: whose conversation is answered; its last message is the question.
        model: the other one: a path, a name of the catalog or a hub id.

    Attributes:
        note: a sentence about how it is done.

    Raises:
        UserError: there is no model, nothing to answer, or a reply is being written.
    """

    def __init__(self, session: ChatSession, model: str) -> None:
        engine = session.engines.engine
        if engine is None or engine.info is None:
            raise UserError(_("No model is loaded that another one could be compared with."))
        if session.live is not None:
            raise UserError(_("The reply is still being written; esc stops it."))
        turns = session.turns
        last = question_of(turns, Turn("notice"))
        if last is not None and last.role == "assistant":
            turns = turns[: turns.index(last)]
        if not any(turn.role == "user" and turn.sent.strip() for turn in turns):
            raise UserError(_("Send a message first: both models answer the last one."))
        self._session = session
        self._engine: LocalEngine = engine
        self._model = model
        self._chat: Chat = chat_of(turns, session.system_prompt)
        self._other: LocalEngine | None = None
        self._unloaded = ""  # the path of the first model, while it is not in memory
        self._long: asyncio.Future[Any] | None = None
        self._left = False
        self._ended = asyncio.Event()
        self.sampling: SamplingParameters = session.values.for_reply()
        self.note = ""
        self.sides = (
            Side(self._turn(engine.info.name)),
            Side(self._turn(model.rsplit("/", 1)[-1]), state=_("waiting")),
        )

    def _turn(self, model: str) -> Turn:
        return Turn("assistant", model=model, live=True, sampling=self.sampling)

    @property
    def parted(self) -> int | None:
        """The first character in which the replies differ; None while they do not."""
        one, other = (side.turn for side in self.sides)
        shorter = min(len(one.text), len(other.text))
        for place in range(shorter):
            if one.text[place] != other.text[place]:
                return place
        shortest = min(self.sides, key=lambda side: len(side.turn.text)).turn
        ended = not shortest.live and bool(shortest.tokens)
        return shorter if ended and len(one.text) != len(other.text) else None

    async def run(self) -> None:
        """Let both write, to their ends or until `leave`."""
        try:
            await self._run()
        except asyncio.CancelledError:
            if not self._left:
                raise
        except UserError as error:
            self._failed(self.sides[1], error)
        finally:
            self._ended.set()

    async def _run(self) -> None:
        first, second = self.sides
        path = await self._leavable(self._session.engines.find(self._model))
        if await self._session.host.must_make_room(path):
            self.note = _("Memory does not hold both, so they write one after the other.")
            await self._write(first, self._engine)
            if not self._left:
                self._unloaded = self._session.engines.path
                await self._session.engines.drop()
                await self._load_and_write(second, path)
            return
        self.note = _("Both write at once, so each is slower than alone.")
        both = (self._write(first, self._engine), self._load_and_write(second, path))
        for outcome in await asyncio.gather(*both, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def _leavable(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Wait for something long, which `leave` cancels."""
        self._long = future = asyncio.ensure_future(work)
        return await future

    async def _load_and_write(self, side: Side, path: str) -> None:
        side.state = _("loading the model")
        self._other = await self._leavable(self._session.engines.beside(path))
        await self._write(side, self._other)

    async def _write(self, side: Side, engine: LocalEngine) -> None:
        turn = side.turn
        assert engine.info is not None
        turn.model, turn.markers = engine.info.name, engine.info.thinking or USUAL_MARKERS
        candidates = self._session.settings.candidates
        side.reply = engine.generate(self._chat, self.sampling, candidates=candidates)
        side.state = _("reading the prompt")
        if self._left:
            side.reply.stop()
        try:
            async for event in side.reply:
                self._take(side, event)
        except EngineDiedError as error:
            self._failed(side, error)
            if engine is self._engine:
                self._session.host.died(error)
        except UserError as error:
            self._failed(side, error)
        finally:
            turn.live = False

    def _take(self, side: Side, event: object) -> None:
        turn = side.turn
        match event:
            case Started():
                turn.prompt, turn.thinking = event.prompt, event.thinking
            case Progress():
                share = f" {event.done / event.total:.0%}" if event.total else ""
                side.state = _("reading the prompt") + share
            case TokenEvent():
                if not turn.tokens:
                    side.first_token_at = monotonic()
                    side.state = _("writing")
                turn.add(event)
            case Finished():
                turn.text += event.text
                turn.finish, side.timing, side.state = event.reason, event.timing, ""

    def _failed(self, side: Side, error: UserError) -> None:
        side.turn.live, side.turn.finish = False, "broken"
        side.state = inert.line(error.sentence)

    def stop(self) -> None:
        """Stop both replies; what was written stays."""
        for side in self.sides:
            if side.reply is not None and side.turn.live:
                side.reply.stop()

    async def leave(self, kept: Side | None = None) -> None:
        """Stop, end the second engine, bring back what was unloaded, and keep one reply as a branch."""
        self._left = True
        self.stop()
        if self._long is not None:
            self._long.cancel()
        await self._ended.wait()
        if self._other is not None:
            await self._session.engines.close_spare(self._other)
        if kept is not None and kept.turn.tokens:
            await self._session.take_over(kept.turn, kept.timing)
        if self._unloaded and self._session.engines.engine is None:
            await self._session.host.open(self._unloaded)
