"""What a chat session is: its parts, the conversation, and what it says to the user."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

from chatterm.chat.branches import Forks
from chatterm.chat.downloads import Download, Downloads
from chatterm.chat.engines import Engines, StartEngine
from chatterm.chat.events import Events, LookChanged, StateChanged, Told, TurnAdded, TurnsReplaced
from chatterm.chat.model_host import ModelHost
from chatterm.chat.prompt_tokens import Reader
from chatterm.chat.sampling_values import SamplingValues, draw_seed
from chatterm.chat.saving import Keeper, OpenLibrary
from chatterm.chat.token_view import Lookout
from chatterm.chat.turns import Turn
from chatterm.engine.messages import LoadOptions, Progress
from chatterm.engine.protocol import EngineDiedError, EngineError, Reply
from chatterm.language import _
from chatterm.records.generation import ModelInfo, Timing
from chatterm.settings import Settings

Run = Callable[[Coroutine[Any, Any, None]], object]


class SessionState:
    """The parts of a session and what they hold.

    Args:
        settings: in force.
        start_engine: gives a new engine process.
        open_library: opens the place where conversations are kept.
        run: runs a coroutine in the background.
        draw: the seed of a reply where the user has not chosen one.

    Attributes:
        events: tell what changed.
        turns: the conversation as it is shown.
        live: the reply that is being written.
        reading: how far the prompt has been read, before the first token.
        timing: of the last reply.
        no_moment: why `ChatSession.moment` had nothing to give, one sentence.
    """

    def __init__(
        self,
        settings: Settings,
        start_engine: StartEngine,
        open_library: OpenLibrary,
        run: Run,
        draw: Callable[[], int] = draw_seed,
    ) -> None:
        self.settings = settings
        self.events = Events()
        self._post = post = self.events.tell
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
            context=settings.context or None,
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
        self.downloads = Downloads(
            self.engines, run, changed=lambda: post(StateChanged()), ended=self._download_ended
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
        self._opening = 0  # saved conversations that are on their way to the screen …
        self._later: list[str] = []  # … and what was said meanwhile, which belongs to what they bring
        self._cut: list[Turn] = []  # what a fork that has not begun yet took the place of
        self._used: int | None = None  # tokens that the next reply begins behind, where that was counted
        self._known: dict[int, Turn] = {}  # by their numbers, with the prompts that only this session knows

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

    @property
    def tokens_per_second(self) -> float | None:
        """Of the running reply, else of the last one."""
        if self.live is not None:
            spent = monotonic() - self._first_token_at
            written = len(self.live.tokens) - self._tokens_before
            return (written - 1) / spent if written > 1 and spent > 0 else None
        return self.timing.tokens_per_second if self.timing is not None else None

    async def count(self, text: str) -> int | None:
        """How many tokens a text is; None where nobody can tell now."""
        engine = self.engines.engine
        try:
            return len((await engine.tokenize(text)).tokens) if engine is not None else None
        except (EngineError, EngineDiedError):
            return None

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

    def _cut_off(self, place: int) -> None:
        """Take the turns from `place` on out of sight."""
        del self.turns[place:]
        self.lookout.forget()
        self.lookout.follow(self.last_reply)
        self._post(TurnsReplaced())

    async def _until_quiet(self) -> None:
        await self._quiet.wait()

    def _download_ended(self, download: Download) -> None:
        """A download is done or has failed: say so, and load what nobody needs to be asked about."""
        if download.state == "failed":
            self._post(Told(f"{download.title}: {download.sentence}", is_trouble=True))
            return
        alone = not self.engines.path and not self.host.is_busy  # there has been no model yet
        if alone or download.then_load:
            self._run(self.host.open(download.path))
            self._post(Told(_("{name} is here and is being loaded.").format(name=download.title)))
        else:
            self._post(Told(_("{name} is here; F3 loads it.").format(name=download.title)))

    def _model_is_ready(self, info: ModelInfo, told: bool) -> None:
        """A checkpoint answers from now on; whether the user should hear of it."""
        raise NotImplementedError
