"""A chat session: the conversation, the reply being written, and what the user does to them.

It knows no widget. It tells the screen what changed by messages (`chatterm.tui.messages`); a growing reply is
read by the screen's own clock, so that a fast engine cannot flood it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

from msgspec import structs
from textual.message import Message

from chatterm.engine.messages import Finished, LoadOptions, Progress, Rendered, Started, TokenEvent
from chatterm.engine.protocol import EngineDiedError, EngineError, Reply
from chatterm.engine.records import ModelInfo, Timing, Tokens
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.settings import Settings
from chatterm.tui.engines import Engines, LocalEngine, StartEngine
from chatterm.tui.filling import Filling, fill
from chatterm.tui.forking import Branch, Forks, unchanged
from chatterm.tui.host import ModelHost
from chatterm.tui.lookout import Lookout
from chatterm.tui.messages import (
    LookChanged,
    SamplingChanged,
    StateChanged,
    TurnAdded,
    TurnChanged,
    TurnsReplaced,
)
from chatterm.tui.moment import Moment
from chatterm.tui.reading import Reader
from chatterm.tui.saving import Keeper, OpenLibrary
from chatterm.tui.turns import USUAL_MARKERS, Turn, chat_of, question_of
from chatterm.tui.values import SamplingValues, draw_seed

Run = Callable[[Coroutine[Any, Any, None]], object]
STOP_SECONDS = 2.0
WARN_AT = 0.85
"""The part of the context window at which the user is told, once per conversation."""


class ChatSession:
    """Everything that a chat screen shows, and everything that can be done to it.

    Args:
        settings: in force.
        start_engine: gives a new engine process.
        open_library: opens the place where conversations are kept.
        post: takes messages for the screen.
        run: runs a coroutine in the background.
        draw: the seed of a reply where the user has not chosen one.
    """

    def __init__(
        self,
        settings: Settings,
        start_engine: StartEngine,
        open_library: OpenLibrary,
        post: Callable[[Message], object],
        run: Run,
        draw: Callable[[], int] = draw_seed,
    ) -> None:
        self.settings = settings
        self._post = post
        self._run = run
        self.values = SamplingValues(settings.sampling, draw)
        self.keeper = Keeper(open_library, self.tell, run)
        self.keeper.system_prompt = settings.system_prompt
        self.keeper.values = self.values.to_keep
        how = LoadOptions(
            device=settings.device,
            threads=settings.threads or None,
            exact=settings.exact,
            quantise=settings.quantise,
        )
        self.engines = Engines(start_engine, how, lambda: post(StateChanged()))
        self.reader = Reader(
            lambda: self.engines.engine, lambda: self.turns, lambda: self.keeper.system_prompt
        )
        self.lookout = Lookout(lambda: post(LookChanged()), run, self.reader.prompt_of)
        self.forks = Forks(
            self.engines, self.reader, self.values, settings.candidates, lambda: self.keeper.system_prompt
        )
        self.host = ModelHost(
            self.engines,
            settings.model_folders,
            tell=self.tell,
            ready=self._model_is_ready,
            quiet=self._until_quiet,
            changed=lambda: post(StateChanged()),
            run=run,
        )
        self.turns: list[Turn] = []
        self.live: Turn | None = None
        self.reading: Progress | None = None  # the prompt, before the first token
        self.timing: Timing | None = None  # of the last reply
        self.no_moment = ""  # why `moment` had nothing to give, one sentence
        self._reply: Reply | None = None
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._writing = 0  # replies that are being written or saved
        self._first_token_at = 0.0
        self._tokens_before = 0  # of the running reply, that it began with
        self._unanswered = False
        self._warned = False
        self._cut: list[Turn] = []  # what a fork that has not begun yet took the place of
        self._left_out: dict[int, Turn] = {}  # by their numbers, what the user chose not to send
        self._used: int | None = None  # tokens that the next reply begins behind, where that was counted
        self._known: dict[int, Turn] = {}  # by their numbers, with the prompts that only this session knows

    # --- what is ----------------------------------------------------------------------------------------

    @property
    def system_prompt(self) -> str:
        """In front of the conversation; saved with it."""
        return self.keeper.system_prompt

    @system_prompt.setter
    def system_prompt(self, text: str) -> None:
        self.keeper.system_prompt = text
        self._run(self.keeper.keep_values())
        self._post(StateChanged())

    @property
    def info(self) -> ModelInfo | None:
        """The loaded checkpoint."""
        return self.engines.info

    @property
    def last_reply(self) -> Turn | None:
        """The newest reply."""
        return next((turn for turn in reversed(self.turns) if turn.role == "assistant"), None)

    @property
    def context_used(self) -> int:
        """Tokens of the window that the conversation fills, as far as it was last counted."""
        if self._used is not None:
            return self._used
        reply = self.last_reply
        if reply is None:
            return 0
        return reply.tokens[-1].distribution.position + 1 if reply.tokens else len(reply.prompt)

    @property
    def context_left(self) -> int | None:
        """Tokens of the window that are free; None without a model."""
        return self.info.context - self.context_used if self.info is not None else None

    async def fill(self, draft: str = "") -> Filling:
        """What fills the window if `draft` is sent next.

        Raises:
            UserError: there is no model, or the engine cannot say.
        """
        engine = self.engines.engine
        if engine is None or engine.info is None:
            raise UserError(_("No model is loaded, so nothing can say how full its window is."))
        turns = [*self.turns, Turn("user", draft)] if draft.strip() else self.turns
        return await fill(engine, turns, self.keeper.system_prompt, draft=bool(draft.strip()))

    async def rendered(self, draft: str = "") -> Rendered:
        """What exactly the model is given if `draft` is sent next, or another reply is asked for.

        Raises:
            UserError: there is no model, nothing was said, or the engine cannot say.
        """
        engine = self.engines.engine
        if engine is None or engine.info is None:
            raise UserError(_("No model is loaded, so nothing can say what it would see."))
        turns = [*self.turns, Turn("user", draft)] if draft.strip() else list(self.turns)
        last = question_of(turns, Turn("notice"))
        if last is not None and last.role == "assistant":
            turns = turns[: turns.index(last)]
        if not any(turn.role == "user" for turn in turns):
            raise UserError(_("Nothing has been said yet, so there is nothing that the model would read."))
        return await engine.render(chat_of(turns, self.keeper.system_prompt))

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
        turn = Turn("assistant", model=engine.info.name, live=True, raw=True)
        turn.markers = engine.info.thinking or USUAL_MARKERS
        turn.sampling = self.values.for_reply()
        self._write_on(engine, turn, (), Tokens(ids))

    async def leave_out(self, choices: dict[Turn, tuple[bool, bool]]) -> None:
        """Send these messages to the model from now on or not: (not the message, not what is attached to it).

        They stay in the conversation and in the library, and are marked there.
        """
        for turn, (whole, quotes) in choices.items():
            turn.left_out, turn.quotes_left_out = whole, quotes
            if turn.number is not None:
                self._left_out[turn.number] = turn
            self._post(TurnChanged(turn))
        with contextlib.suppress(UserError):  # without a model it is counted with the next reply
            self._used = (await self.fill()).used
        self._warned = False
        self._post(StateChanged())

    async def count(self, text: str) -> int | None:
        """How many tokens a text is; None where nobody can tell now."""
        engine = self.engines.engine
        try:
            return len((await engine.tokenize(text)).tokens) if engine is not None else None
        except (EngineError, EngineDiedError):
            return None

    @property
    def tokens_per_second(self) -> float | None:
        """Of the running reply, else of the last one."""
        if self.live is not None:
            spent = monotonic() - self._first_token_at
            written = len(self.live.tokens) - self._tokens_before
            return (written - 1) / spent if written > 1 and spent > 0 else None
        return self.timing.tokens_per_second if self.timing is not None else None

    # --- talking ----------------------------------------------------------------------------------------

    def send(self, text: str) -> None:
        """Say something. Without a model, or while a reply is being written, it is answered later."""
        turn = Turn("user", text)
        self._add(turn)
        self._run(self._said(turn))

    def say_otherwise(self, turn: Turn, text: str) -> None:
        """Say something in place of a message, and go on from there; what followed it stays beside it."""
        new = Turn("user", text, edited=turn)
        self._cut_off(self.turns.index(turn))
        self._add(new)
        self._run(self._said(new))

    def _cut_off(self, place: int) -> None:
        """Take the turns from `place` on out of sight."""
        del self.turns[place:]
        self.lookout.forget()
        self.lookout.follow(self.last_reply)
        self._post(TurnsReplaced())

    async def _said(self, turn: Turn) -> None:
        await self.keeper.said(turn, question_of(self.turns, turn), self.values.sampling)
        if turn.siblings > 1:
            self._post(TurnChanged(turn))
        if turn in self.turns:
            self._unanswered = True
            self._post(StateChanged())
            if self.engines.engine is None and not self.host.is_busy:
                self.tell("There is no model to answer it; ctrl+o chooses one, and it is answered then.")
            self._answer()

    def _answer(self) -> None:
        """Begin the reply to the last message, if there is one to answer and a model to do it."""
        engine = self.engines.engine
        if self._unanswered and self.live is None and engine is not None and not self.host.is_closed:
            self._unanswered = False
            self._begin(engine)

    def _begin(self, engine: LocalEngine) -> None:
        assert engine.info is not None
        turn = Turn(
            "assistant", model=engine.info.name, live=True, markers=engine.info.thinking or USUAL_MARKERS
        )
        turn.sampling = self.values.for_reply()
        self._write_on(engine, turn, ())

    def _write_on(
        self,
        engine: LocalEngine,
        turn: Turn,
        begun: tuple[TokenEvent, ...],
        raw: Tokens | None = None,
    ) -> None:
        """Let the model write `turn`, behind the tokens that it has and those of `begun`."""
        sampling = turn.sampling
        assert sampling is not None
        self._post(SamplingChanged())
        question = question_of(self.turns, turn)
        chat = chat_of(self.turns, self.keeper.system_prompt)
        if turn.tokens or begun:
            chat = structs.replace(chat, begun=turn.ids() + tuple(token.id for token in begun))
        self.live = turn
        self.timing = None
        self._tokens_before = len(turn.tokens)
        self._writing += 1
        self._quiet.clear()
        self._add(turn)
        self._reply = engine.generate(raw or chat, sampling, candidates=self.settings.candidates)
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
            self.host.died(error)
        except EngineError as error:
            turn.finish = "broken"
            self.tell(error.sentence)
        finally:
            self._ended(turn)
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

    def _ended(self, turn: Turn) -> None:
        turn.live = False
        turn.finish = turn.finish or "stopped"
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
                self.tell("The model ended its reply at once, without a word; ctrl+r asks again.")
            self._post(TurnsReplaced())
        if turn.finish == "context" and self.info is not None:
            self.tell(
                f"The context window of {self.info.context} tokens is full, so the reply ends here. "
                "ctrl+n begins a new conversation; this one stays saved."
            )

    async def _until_quiet(self) -> None:
        await self._quiet.wait()

    def stop(self) -> bool:
        """Stop the running reply and keep what was written; whether there was one."""
        if self._reply is None:
            return False
        self._reply.stop()
        return True

    def regenerate(self, turn: Turn | None = None) -> None:
        """Write another reply in place of `turn`, or to it if the user said it; None: to the last message."""
        if self.live is not None:
            self.tell("Stop the reply with esc before you ask for another.")
            return
        last = turn or question_of(self.turns, Turn("notice"))
        if last is None or last not in self.turns or self.engines.engine is None:
            return
        place = self.turns.index(last) + (last.role == "user")
        if place < len(self.turns):
            self._cut_off(place)
        self._unanswered = True
        self._answer()

    # --- going on otherwise -----------------------------------------------------------------------------

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
        except UserError as error:
            self.tell(error.sentence)

    async def show_sibling(self, turn: Turn, step: int) -> None:
        """Go on from another of the replies to the same message."""
        if self.live is None:
            await self._show_saved(self.keeper.sibling(turn, step), "")

    async def jump(self, message: int) -> Turn | None:
        """Lead the conversation through a saved message, of another conversation too; its turn.

        A running reply is stopped and kept.
        """
        self.stop()
        await self._until_quiet()
        await self._show_saved(self.keeper.select(message), "")
        return next((turn for turn in self.turns if turn.number == message), None)

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
        self.stop()
        await self._until_quiet()
        await self._show_saved(self.keeper.open(conversation), "No conversation has been saved yet.")

    async def _show_saved(self, opening: Coroutine[Any, Any, list[Turn] | None], otherwise: str) -> None:
        was = self.keeper.conversation
        try:
            await self.keeper.keep_values()
            turns = await opening
        except UserError as error:
            self.tell(error.sentence)
            return
        if turns is None:
            if otherwise:
                self.tell(otherwise)
            return
        for place, turn in enumerate(turns):
            known = self._known.get(turn.number or 0)
            if known is not None:
                known.sibling, known.siblings = turn.sibling, turn.siblings
                turns[place] = known
        if self.keeper.conversation != was:
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
        for turn in turns:
            if (left_out := self._left_out.get(turn.number or 0)) is not None:
                turn.left_out, turn.quotes_left_out = left_out.left_out, left_out.quotes_left_out
        self.timing = None
        self._unanswered = False
        self._warned = False
        self.lookout.forget()
        self.lookout.follow(self.last_reply)
        self._post(TurnsReplaced())
        self._post(StateChanged())

    def read_records(self, turns: list[Turn]) -> None:
        """Bring the token records of saved turns that are shown."""
        unread = [turn for turn in turns if turn.unread]
        if unread:
            self._run(self._read_records(unread))

    async def _read_records(self, turns: list[Turn]) -> None:
        for turn in reversed(turns):
            await self.keeper.read(turn)
            self._post(TurnChanged(turn))

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
        self.values.change(**values)
        self._steer()

    def reset_sampling(self) -> None:
        """Back to the values that the checkpoint starts with."""
        self.values.reset()
        self._steer()

    def free_seed(self) -> None:
        """Draw a new seed for each reply again."""
        self.values.free_seed()
        self.keeper.values = self.values.to_keep
        self._post(SamplingChanged())

    def _steer(self) -> None:
        self.keeper.values = self.values.to_keep
        if self._reply is not None:
            self._reply.steer(self.values.sampling)
        self.look_again()
        self._post(SamplingChanged())

    def look_again(self, *, only_if_other_values: bool = False) -> None:
        """Bring the shown distribution in line with the values in force.

        With `only_if_other_values` nothing is asked of the engine where the token was drawn with just these.
        """
        look = self.lookout.look
        values = self.values.sampling
        if only_if_other_values and look is not None and look.turn.sampling is not None:
            same = look.turn.sampling.replace(seed=values.seed) == values
            if same and look.temperature == values.temperature:
                return
        self.lookout.resample(self.engines.engine, self.values.sampling, self.settings.candidates)

    # --- looking at tokens ------------------------------------------------------------------------------

    async def moment(self) -> Moment | None:
        """The step that chose the selected token, or the newest one where none is selected.

        None where it cannot be looked into; `no_moment` is then a sentence that says why.
        """
        self.no_moment = ""
        place = self.lookout.place
        if place is None:
            self.no_moment = "Nothing has been written yet; there is no token to look into."
            return None
        try:
            return await self.reader.moment(*place)
        except UserError as error:
            self.no_moment = error.sentence
            return None

    async def find(self, word: str) -> str:
        """Bring the tokens with which a word begins among the candidates; what there is to say about them.

        Raises:
            UserError: the engine cannot say.
        """
        engine = self.engines.engine
        if engine is None:
            raise UserError("No model is loaded that could say how probable a word is.")
        forms = [(await engine.tokenize(form)).tokens for form in dict.fromkeys((word, f" {word.lstrip()}"))]
        forms.sort(key=len)
        self.lookout.found = tuple(dict.fromkeys(tokens[0].id for tokens in forms if tokens))
        self.look_again()
        longest = max(len(tokens) for tokens in forms)
        if min(len(tokens) for tokens in forms) > 1:
            return f"The model has no single token for this; the first of its {longest} is shown."
        return ""

    # --- the model --------------------------------------------------------------------------------------

    def _model_is_ready(self, info: ModelInfo, told: bool) -> None:
        self.values.begin_from(info.sampling, info.sampling_source)
        self.keeper.values = self.values.to_keep
        self.keeper.model = info.name
        for notice in info.notices:
            self.tell(notice)
        last = next((turn for turn in reversed(self.turns) if turn.role == "assistant"), None)
        if told and last is not None and last.model != info.name:
            self.tell(f"From here on {info.name} answers.")
        self.look_again()
        self._post(SamplingChanged())
        self._answer()

    def _warn_of_context(self, turn: Turn) -> None:
        info = self.info
        used = len(turn.prompt) + len(turn.tokens)
        if info is None or self._warned or used < WARN_AT * info.context:
            return
        self._warned = True
        self.tell(
            f"{used} of the {info.context} tokens of the context window are filled. When it is full the "
            "reply stops; nothing is cut off silently. /context chooses what to leave out; ctrl+n begins "
            "a new conversation.",
            before=turn,
        )

    async def close(self) -> None:
        """End the engines and finish saving; an engine that does not answer is not waited for."""
        self.host.is_closed = True
        self.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._until_quiet()
        await self.host.close()
        await self.keeper.close()
