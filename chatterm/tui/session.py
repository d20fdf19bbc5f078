"""A chat session: the engine, the conversation, the sampling values, and the reply being written.

It knows no widget. It tells the screen what changed by messages (`chatterm.tui.messages`); a growing reply is
read by the screen's own clock, so that a fast engine cannot flood it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any

from textual.message import Message

from chatterm.engine.client import EngineDiedError, EngineError, Reply
from chatterm.engine.messages import Finished, LoadOptions, ModelInfo, Progress, Started, Timing, TokenEvent
from chatterm.errors import UserError
from chatterm.sampling import SamplingParameters
from chatterm.settings import Settings
from chatterm.tui.engines import Engines, LocalEngine, StartEngine
from chatterm.tui.lookout import Lookout
from chatterm.tui.messages import (
    LookChanged,
    SamplingChanged,
    StateChanged,
    TurnAdded,
    TurnChanged,
    TurnsReplaced,
)
from chatterm.tui.saving import Keeper
from chatterm.tui.turns import Turn, chat_of

Run = Callable[[Coroutine[Any, Any, None]], object]
WARN_AT = 0.85
"""The part of the context window at which the user is told, once per conversation."""

SEEDS = 10_000
"""Seeds drawn for a reply lie below this: short enough to read aloud."""

DEATHS_IN_A_ROW = 2
CONTEXT_CHECK_EVERY = 16


class ChatSession:
    """Everything that a chat screen shows, and everything that can be done to it.

    Args:
        settings: in force.
        start_engine: gives a new engine process.
        keeper: saves the conversation.
        post: takes messages for the screen.
        run: runs a coroutine in the background.
        draw_seed: the seed of a reply where the user has not chosen one.
    """

    def __init__(
        self,
        settings: Settings,
        start_engine: StartEngine,
        keeper: Keeper,
        post: Callable[[Message], object],
        run: Run,
        draw_seed: Callable[[], int] = lambda: random.randrange(1, SEEDS),  # noqa: S311
    ) -> None:
        self.settings = settings
        self.keeper = keeper
        self._post = post
        self._run = run
        self._draw_seed = draw_seed
        self.engines = Engines(
            start_engine, LoadOptions(device=settings.device), lambda: post(StateChanged())
        )
        self.lookout = Lookout(lambda: post(LookChanged()), run)
        self.turns: list[Turn] = []
        self.live: Turn | None = None
        self.reading: Progress | None = None  # the prompt, before the first token
        self.timing: Timing | None = None
        self.trouble = ""  # why there is no model, one sentence
        self.seed_is_chosen = "seed" in settings.sampling
        self.start_sampling = SamplingParameters()
        self.sampling = SamplingParameters().replace(**settings.sampling)
        self._changes: dict[str, object] = dict(settings.sampling)
        self._reply: Reply | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._first_token_at = 0.0
        self._unanswered = False
        self._warned = False
        self._deaths = 0
        self._switching = False
        self._closed = False

    # --- what is ----------------------------------------------------------------------------------------

    @property
    def info(self) -> ModelInfo | None:
        """The loaded checkpoint."""
        return self.engines.info

    @property
    def is_ready(self) -> bool:
        """Whether a message would be answered at once."""
        return self.info is not None

    @property
    def last_reply(self) -> Turn | None:
        """The newest reply."""
        return next((turn for turn in reversed(self.turns) if turn.role == "assistant"), None)

    @property
    def context_used(self) -> int:
        """Tokens of the window that the conversation fills, as far as it was last counted."""
        reply = self.last_reply
        return len(reply.prompt) + len(reply.tokens) if reply is not None else 0

    @property
    def tokens_per_second(self) -> float | None:
        """Of the running reply, else of the last one."""
        if self.live is not None:
            spent = time.monotonic() - self._first_token_at
            return (len(self.live.tokens) - 1) / spent if len(self.live.tokens) > 1 and spent > 0 else None
        return self.timing.tokens_per_second if self.timing is not None else None

    # --- loading ----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Find and load the model of the settings."""
        await self.open(self.settings.model)

    async def open(self, model: str) -> None:
        """Find a model, load it while the chat goes on, and answer with it from then on.

        Whatever goes wrong is told in the conversation, and the old model stays.
        """
        if self._switching:
            self.tell("Another model is being loaded; wait for it.")
            return
        self._switching = True
        try:
            path = await self.engines.find(model)
            await self._switch(path)
        except UserError as error:
            self.trouble = error.sentence if not self.is_ready else ""
            self.tell(error.sentence)
        finally:
            self._switching = False
            self._post(StateChanged())

    async def _switch(self, path: str) -> None:
        old = self.engines.engine
        old_path = self.engines.path
        if old is not None and await self._must_make_room(path):
            await self._reply_ended()
            self.tell("Both models do not fit into memory: the old one is unloaded first.")
            await self.engines.drop()
        try:
            engine = await self.engines.load(path)
        except UserError as error:
            if old is None or self.engines.engine is not None:
                raise
            await self._adopt(await self.engines.load(old_path), old_path)
            raise UserError(f"{error.sentence} The model from before is back.") from error
        await self._adopt(engine, path, told=old is not None)

    async def _must_make_room(self, path: str) -> bool:
        try:
            found = await (await self.engines.scout()).discover(self.settings.model_folders)
        except UserError:
            return False
        needed = next((c.memory_bytes for c in found.checkpoints if c.path == path), None)
        return needed is not None and needed > found.available_bytes

    async def _adopt(self, engine: LocalEngine, path: str, *, told: bool = False) -> None:
        await self._reply_ended()
        await self.engines.adopt(engine, path)
        info = engine.info
        assert info is not None
        self.trouble = ""
        self.start_sampling = info.sampling
        self._set_sampling(info.sampling.replace(**self._changes))
        self.keeper.model_is(info.name)
        if told and self.turns:
            self.tell(f"From here on {info.name} answers.")
        if self._unanswered:
            self._answer()

    async def _reply_ended(self) -> None:
        """Wait until nothing is being written."""
        await self._idle.wait()

    # --- talking ----------------------------------------------------------------------------------------

    def send(self, text: str) -> None:
        """Say something. Without a model, or while a reply is being written, it is answered later."""
        turn = Turn("user", text)
        self._add(turn)
        self._run(self._said(turn))

    async def _said(self, turn: Turn) -> None:
        await self.keeper.said(turn)
        self._unanswered = True
        self._answer()

    def _answer(self) -> None:
        """Begin the reply to the last message, if there is one to answer and a model to do it."""
        if not self._unanswered or self.live is not None or self.engines.engine is None or self._closed:
            return
        self._unanswered = False
        info = self.engines.engine.info
        assert info is not None
        self._begin(Turn("assistant", model=info.name, live=True))

    def _begin(self, turn: Turn) -> None:
        engine = self.engines.engine
        assert engine is not None
        if not self.seed_is_chosen:
            self._set_sampling(self.sampling.replace(seed=self._draw_seed()))
        chat = chat_of(self.turns, self.settings.system_prompt)
        self.live = turn
        self._idle.clear()
        self.timing = None
        self.lookout.release()
        self._add(turn)
        self._reply = engine.generate(chat, self.sampling, candidates=self.settings.candidates)
        self._run(self._write(turn, self._reply))

    async def _write(self, turn: Turn, reply: Reply) -> None:
        try:
            await self.keeper.began(turn, self.sampling)
            async for event in reply:
                match event:
                    case Started():
                        turn.prompt = event.prompt
                        turn.thinking = event.thinking
                        self._warn_of_context(turn)
                        for notice in event.notices:
                            self.tell(notice, before=turn)
                    case Progress():
                        self.reading = event
                        self._post(StateChanged())
                    case TokenEvent():
                        self._token(turn, event)
                    case Finished():
                        turn.text += event.text
                        turn.finish = event.reason
                        self.timing = event.timing
                        self._deaths = 0
        except EngineDiedError as error:
            turn.finish = "broken"
            self._run(self._revive(error))
        except EngineError as error:
            turn.finish = "broken"
            self.tell(error.sentence)
        finally:
            self._ended(turn)
        await self.keeper.ended(turn, self.timing)
        self._post(StateChanged())
        self._answer()

    def _token(self, turn: Turn, event: TokenEvent) -> None:
        if not turn.tokens:
            self.reading = None
            self._first_token_at = time.monotonic()
            self._post(StateChanged())
            self.lookout.follow(turn)
        turn.add(event)
        self.keeper.grew(turn)
        if len(turn.tokens) % CONTEXT_CHECK_EVERY == 0:
            self._warn_of_context(turn)

    def _ended(self, turn: Turn) -> None:
        turn.live = False
        self.live = self._reply = self.reading = None
        if turn.finish is None:
            turn.finish = "stopped"
        if not turn.text and not turn.tokens and turn in self.turns:
            self.turns.remove(turn)
            self._post(TurnsReplaced())
        self._idle.set()
        self._post(TurnChanged(turn))
        self._post(StateChanged())
        if turn.finish == "context" and self.info is not None:
            self.tell(
                f"The context window of {self.info.context} tokens is full, so the reply ends here. "
                "Begin a new conversation with ctrl+n; this one stays saved."
            )

    def stop(self) -> bool:
        """Stop the running reply and keep what was written; whether there was one."""
        if self._reply is None:
            return False
        self._reply.stop()
        return True

    def regenerate(self) -> None:
        """Write another reply to the last message, beside the one that is there."""
        if self.live is not None:
            self.tell("Stop the reply with esc before you ask for another.")
            return
        last = self.last_reply
        if last is None or self.engines.engine is None:
            return
        info = self.engines.engine.info
        assert info is not None
        turn = Turn("assistant", model=info.name, live=True, versions=last.versions)
        turn.versions.append(turn)
        del self.turns[self.turns.index(last) :]
        self._post(TurnsReplaced())
        self._begin(turn)

    def show_sibling(self, turn: Turn, step: int) -> None:
        """Go on from another of the replies to the same message."""
        if self.live is not None or turn not in self.turns:
            return
        place = turn.versions.index(turn) + step
        if 0 <= place < len(turn.versions):
            other = turn.versions[place]
            self.turns[self.turns.index(turn) :] = [other]
            self.lookout.forget()
            self.lookout.follow(other)
            self._run(self.keeper.chosen(other))
            self._post(TurnsReplaced())

    def new(self) -> None:
        """Begin another conversation. A running reply is stopped and kept in its own."""
        self.stop()
        self._unanswered = False
        self._show([])
        self.keeper.begin()

    async def resume(self, conversation: int | None = None) -> None:
        """Open a saved conversation, the last one if None."""
        self.stop()
        await self._reply_ended()
        try:
            turns = await self.keeper.open(conversation)
        except UserError as error:
            self.tell(error.sentence)
            return
        if turns is None:
            self.tell("No conversation has been saved yet.")
            return
        self._show(turns)

    def _show(self, turns: list[Turn]) -> None:
        self.turns = turns
        self.timing = None
        self._warned = False
        self.lookout.forget()
        self.lookout.follow(self.last_reply)
        self._post(TurnsReplaced())
        self._post(StateChanged())

    def tell(self, sentence: str, before: Turn | None = None) -> None:
        """Say something of chatterm's own in the conversation."""
        self._add(Turn("notice", sentence), before)

    def _add(self, turn: Turn, before: Turn | None = None) -> None:
        if before is not None and before in self.turns:
            self.turns.insert(self.turns.index(before), turn)
            self._post(TurnsReplaced())
        else:
            self.turns.append(turn)
            self._post(TurnAdded(turn))

    # --- sampling ---------------------------------------------------------------------------------------

    def change(self, **values: object) -> None:
        """Turn knobs: from the very next token of a running reply, and for the shown distribution at once."""
        self.seed_is_chosen |= "seed" in values
        self._changes |= values
        self._set_sampling(self.sampling.replace(**values))

    def draw_seeds(self) -> None:
        """Draw a new seed for each reply again."""
        self.seed_is_chosen = False
        self._changes.pop("seed", None)
        self._post(SamplingChanged())

    def reset_sampling(self) -> None:
        """Back to the values that the checkpoint starts with."""
        self._changes.clear()
        self.seed_is_chosen = False
        self._set_sampling(self.start_sampling.replace(seed=self.sampling.seed))

    def _set_sampling(self, sampling: SamplingParameters) -> None:
        self.sampling = sampling
        if self._reply is not None:
            self._reply.steer(sampling)
        self.look_again()
        self._post(SamplingChanged())

    def look_again(self) -> None:
        """Bring the shown distribution in line with the values in force."""
        self.lookout.resample(self.engines.engine, self.sampling, self.settings.candidates)

    # --- what can go wrong ------------------------------------------------------------------------------

    def _warn_of_context(self, turn: Turn) -> None:
        info = self.info
        if info is None or self._warned:
            return
        used = len(turn.prompt) + len(turn.tokens)
        if used >= WARN_AT * info.context:
            self._warned = True
            self.tell(
                f"{used} of the {info.context} tokens of the context window are filled. When it is full the "
                "reply stops; nothing is cut off silently. ctrl+n begins a new conversation.",
                before=turn,
            )

    def notice_death(self) -> None:
        """Look whether the engine has died while nothing was asked of it."""
        engine = self.engines.engine
        if engine is not None and not engine.alive and self.live is None and not self._closed:
            self._run(self._revive(EngineDiedError("The engine ended unexpectedly.")))

    async def _revive(self, error: EngineDiedError) -> None:
        path = self.engines.path
        if self._switching or self._closed or self.engines.engine is None:
            return
        self._switching = True
        self._deaths += 1
        try:
            await self.engines.drop()
            if self._deaths >= DEATHS_IN_A_ROW:
                self.trouble = (
                    f"{error.sentence} It happened twice in a row; choose another model with ctrl+o."
                )
                self.tell(self.trouble)
                return
            self.tell(f"{error.sentence} What was written is kept; the engine is being started again.")
            await self._adopt(await self.engines.load(path), path)
        except UserError as trouble:
            self.trouble = trouble.sentence
            self.tell(trouble.sentence)
        finally:
            self._switching = False
            self._post(StateChanged())

    async def close(self) -> None:
        """End the engines and finish saving."""
        self._closed = True
        self.stop()
        live = self.live
        await self.engines.close()
        if live is not None:
            await self.keeper.ended(live, None)
        await self.keeper.close()
