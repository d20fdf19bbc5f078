"""Saying something, and the reply that the model writes to it."""

from __future__ import annotations

import asyncio
from time import monotonic

from msgspec import structs

from chatterm.chat.engines import LocalEngine
from chatterm.chat.events import SamplingChanged, StateChanged, TurnChanged, TurnsReplaced
from chatterm.chat.session.state import SessionState
from chatterm.chat.turns import USUAL_MARKERS, Turn, asked_for, question_of
from chatterm.engine.messages import Finished, Progress, Started, TokenEvent
from chatterm.engine.protocol import EngineDiedError, EngineError, Reply
from chatterm.errors import UserError
from chatterm.language import _

WARN_AT = 0.85
"""The part of the context window at which the user is told, once per conversation."""


SAVE_SECONDS = 1.0
"""A message is on disk before the model is asked, but a disk that keeps one waiting holds up no answer."""


class WritingSession(SessionState):
    """Lets the model answer, and takes down what it writes; one reply at a time."""

    def send(self, text: str) -> None:
        """Say something. Without a model, or while a reply is being written, it is answered later."""
        if self._opening:
            self._later.append(text)
        else:
            self._say(Turn("user", text))

    def say_otherwise(self, turn: Turn, text: str) -> None:
        """Say something in place of a message, and go on from there; what followed it stays beside it."""
        new = Turn("user", text, edited=turn)
        self._cut_off(self.turns.index(turn))
        self._say(new)

    def regenerate(self, turn: Turn | None = None) -> None:
        """Write another reply in place of `turn`, or to it if the user said it; None: to the last message."""
        if self.live is not None:
            self.tell(_("Stop the reply with esc before you ask for another."))
            return
        last = turn or question_of(self.turns, Turn("notice"))
        if last is None or last not in self.turns or self.engines.engine is None:
            return
        place = self.turns.index(last) + (last.role == "user")
        if place < len(self.turns):
            self._cut_off(place)
        info = self.engines.info
        if last.role == "assistant" and info is not None and last.answers_raw(info.name):
            self.answer_raw(last.prompt)
            return
        self._unanswered = True
        self._answer()

    def answer_raw(self, ids: tuple[int, ...]) -> None:
        """Write a reply to exactly these tokens, beside those that there are to the last message."""
        if self.live is not None:
            raise UserError(_("Stop the reply with esc before you ask for another."))
        engine, last = self.engines.engine, question_of(self.turns, Turn("notice"))
        if engine is None or engine.info is None or last is None:
            raise UserError(_("Send a message first: what the model makes of raw text stands below one."))
        if last.role == "assistant":
            self._cut_off(self.turns.index(last))
        self._unanswered = False
        turn = Turn("assistant", model=engine.info.name, live=True, raw=True, prompt=ids)
        turn.markers = engine.info.thinking or USUAL_MARKERS
        turn.sampling = self.values.for_reply()
        self._write_on(engine, turn, ())

    def stop(self) -> bool:
        """Stop the running reply and keep what was written; whether there was one."""
        if self._reply is None:
            return False
        self._reply.stop()
        return True

    def _say(self, turn: Turn) -> None:
        after = question_of(self.turns, turn)
        self._add_unsaved(turn)
        self._run(self._said(turn, after))

    def _add_unsaved(self, turn: Turn) -> None:
        """Show a turn that is not on disk; the status line says so before the turn is drawn."""
        self.keeper.expect(turn)
        self._post(StateChanged())
        self._add(turn)

    async def _said(self, turn: Turn, after: Turn | None) -> None:
        saving = asyncio.ensure_future(self.keeper.said(turn, after, self.values.sampling))
        await asyncio.wait([saving], timeout=SAVE_SECONDS)
        if turn in self.turns:
            self._unanswered = True
            self._post(StateChanged())
            if self.engines.engine is None and not self.host.is_busy and not self.host.is_closed:
                self.tell(_("There is no model to answer it; ctrl+o chooses one, and it is answered then."))
            self._answer()
        await saving
        self._post(TurnChanged(turn) if turn.siblings > 1 else StateChanged())

    def _answer(self) -> None:
        """Begin the reply to the last message, if there is one to answer and a model to do it."""
        engine = self.engines.engine
        if engine is None or not engine.alive or self.host.is_closed:
            return  # it is answered as soon as there is one
        if self._unanswered and self.live is None:
            self._unanswered = False
            self._begin(engine)

    def _begin(self, engine: LocalEngine) -> None:
        assert engine.info is not None
        turn = Turn(
            "assistant", model=engine.info.name, live=True, markers=engine.info.thinking or USUAL_MARKERS
        )
        turn.sampling = self.values.for_reply()
        self._write_on(engine, turn, ())

    def _write_on(self, engine: LocalEngine, turn: Turn, begun: tuple[TokenEvent, ...]) -> None:
        """Let the model write `turn`, behind the tokens that it has and those of `begun`."""
        sampling = turn.sampling
        assert sampling is not None
        self._post(SamplingChanged())
        question = question_of(self.turns, turn)
        beginning = turn.ids() + tuple(token.id for token in begun)
        asked = asked_for(turn, self.turns, self.keeper.system_prompt, beginning)
        self.live = turn
        self.timing = None
        self._tokens_before = len(turn.tokens)
        self._writing += 1
        self._quiet.clear()
        self._add_unsaved(turn)
        self._reply = engine.generate(asked, sampling, candidates=self.settings.candidates)
        self._run(self._write(turn, question, self._reply, begun))

    async def _write(
        self, turn: Turn, question: Turn | None, reply: Reply, begun: tuple[TokenEvent, ...]
    ) -> None:
        sampling = self.values.sampling
        try:
            async for event in reply:
                match event:
                    case Started():
                        self._started(turn, event, begun)
                    case Progress():
                        self.reading = event
                        self._post(StateChanged())
                    case TokenEvent():
                        self._token(turn, event)
                        self.keeper.grew(turn, question, sampling)
                    case Finished():
                        turn.text += event.text
                        turn.finish = event.reason
                        self.timing = event.timing
                        self.host.finished()
        except EngineDiedError as error:
            turn.finish = "broken"
            if turn in self.turns and not turn.tokens and not begun and not turn.raw:
                self._unanswered = True  # nothing has come of it: the next engine is asked again
            self.host.died(error)
        except EngineError as error:
            turn.finish = "broken"
            self.tell(error.sentence)
        finally:
            self._ended(turn, question)
            await self.keeper.ended(turn, question, sampling, self.timing)
            if turn.number is not None:
                self._known[turn.number] = turn
            self._post(TurnChanged(turn))
            self._post(StateChanged())
            self._writing -= 1
            if not self._writing:
                self._quiet.set()
        self._answer()

    def _started(self, turn: Turn, event: Started, begun: tuple[TokenEvent, ...]) -> None:
        self._used = None
        turn.prompt = event.prompt[: len(event.prompt) - len(event.begun)]
        turn.thinking = event.thinking
        for token, text in zip(begun, event.begun[len(turn.tokens) :], strict=True):
            turn.add(structs.replace(token, text=text))
        self._tokens_before = len(turn.tokens)
        if turn.tokens:
            self.lookout.follow(turn)  # it may end without another one
        self._cut = []
        for notice in event.notices:
            self.tell(notice, before=turn)
        self._warn_of_context(turn)

    def _token(self, turn: Turn, event: TokenEvent) -> None:
        first = len(turn.tokens) == self._tokens_before
        turn.add(event)
        if first:
            self.reading = None
            self._first_token_at = monotonic()
            self.lookout.follow(turn)
            self._post(StateChanged())
        self._warn_of_context(turn)

    def _warn_of_context(self, turn: Turn) -> None:
        info = self.info
        used = len(turn.prompt) + len(turn.tokens)
        if info is None or self._warned or used < WARN_AT * info.context:
            return
        self._warned = True
        self.tell(
            _(
                "{used} of the {context} tokens of the context window are filled. When it is full the "
                "reply stops; nothing is cut off silently. /context chooses what to leave out; ctrl+n begins "
                "a new conversation."
            ).format(used=used, context=info.context),
            before=turn,
        )

    def _ended(self, turn: Turn, question: Turn | None) -> None:
        turn.live = False
        turn.finish = turn.finish or "stopped"
        if self._cut or not turn.text:
            turn.instead = question_of(self._cut, Turn("notice")) or question
        self.live = self._reply = self.reading = None
        if self._cut and turn in self.turns:  # the branch never began: the reply it was to grow from stays
            place = self.turns.index(turn)
            self.turns[place : place + 1], self._cut = self._cut, []
            turn.text = ""  # and nothing of it is saved
            self.lookout.forget()
            self.lookout.follow(self.last_reply)
            self._post(TurnsReplaced())
        elif not turn.text and turn in self.turns:
            self.turns.remove(turn)
            if turn.finish in ("end", "stop"):
                self.tell(_("The model ended its reply at once, without a word; ctrl+r asks again."))
            self._post(TurnsReplaced())
        if turn.finish == "context" and self.info is not None:
            self.tell(
                _(
                    "The context window of {context} tokens is full, so the reply ends here. "
                    "ctrl+n begins a new conversation; this one stays saved."
                ).format(context=self.info.context)
            )
