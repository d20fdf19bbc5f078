"""Asking the engine what the open panel wants to know: one question at a time, nothing for closed ones."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol, TypeVar, cast

from chatterm.chat.position import Moment
from chatterm.engine.protocol import Engine, EngineDiedError, EngineError
from chatterm.errors import UserError
from chatterm.records.generation import ModelInfo, Tokens
from chatterm.records.inspection import AnyEdit, Question

A = TypeVar("A")

KEPT = 64
"""Answers that are remembered; walking back to a token asks nothing again."""

FOLLOW_SECONDS = 1.0
"""A panel that follows a reply looks at most this often …"""

FOLLOW_REST = 24
"""… and rests so many times as long as looking took, so that it costs under 5 % of the reply's speed."""

WAITING_SECONDS = 0.3
"""After this time a panel says that it is waiting."""


@dataclass(frozen=True)
class Scene:
    """What the panels look at: a token of the conversation and the model that reads it.

    Without a moment, `why` is the sentence for the empty place.
    """

    moment: Moment | None = None
    before: str = ""  # the words in front of the token
    info: ModelInfo | None = None
    edits: tuple[AnyEdit, ...] = ()  # in force
    why: str = ""

    @property
    def prompt(self) -> Tokens:
        """What had been read before the token came."""
        return Tokens(self.moment.before if self.moment is not None else ())


class Answers:
    """What the engine has answered, and the questions it could not."""

    def __init__(self) -> None:
        self._known: OrderedDict[Question[Any], object] = OrderedDict()
        self._troubles: dict[Question[Any], str] = {}

    def get(self, question: Question[A]) -> A | None:
        """The answer, if there is one."""
        return cast("A | None", self._known.get(question))

    def trouble(self, question: Question[Any]) -> str:
        """Why there is no answer; "" where none was tried."""
        return self._troubles.get(question, "")

    def settled(self, question: Question[Any]) -> bool:
        """Whether asking again would bring nothing."""
        return question in self._known or question in self._troubles

    def keep(self, question: Question[A], answer: A) -> None:
        """Remember an answer."""
        self._known[question] = answer
        while len(self._known) > KEPT:
            self._known.popitem(last=False)

    def fail(self, question: Question[Any], sentence: str) -> None:
        """Remember why there is none."""
        self._troubles[question] = sentence

    def forgive(self) -> None:
        """What failed may be tried again."""
        self._troubles.clear()

    def forget(self) -> None:
        """Another model, or other edits: nothing known holds any more."""
        self._known.clear()
        self._troubles.clear()


class Panel(Protocol):
    """A panel that looks inside the model. Closed ones are never asked."""

    def questions(self, scene: Scene, answers: Answers) -> list[Question[Any]]:
        """What it needs, the most important first; may grow with the answers."""
        ...

    def show(self, scene: Scene, answers: Answers) -> None:
        """Draw what is known about `scene`."""
        ...

    def wait(self, waiting: bool) -> None:
        """Say that an answer takes its time, or no longer."""
        ...


class Inspecting:
    """Keeps the open panel in line with the token that is looked at.

    Args:
        engine: that answers now.
        scene: what to look at; it may ask the engine, and raises `UserError`.
        panel: the open panel that looks inside; None while none is.
        follows: whether a reply is being written and the panel follows its newest token.
        run: runs a coroutine in the background.
        clock: seconds.
    """

    def __init__(
        self,
        engine: Callable[[], Engine | None],
        scene: Callable[[], Awaitable[Scene]],
        panel: Callable[[], Panel | None],
        follows: Callable[[], bool],
        run: Callable[[Coroutine[Any, Any, None]], object],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.answers = Answers()
        self._engine = engine
        self._scene = scene
        self._panel = panel
        self._follows = follows
        self._run = run
        self._clock = clock
        self._answering: Engine | None = None  # whose answers are kept
        self._wanted = False
        self._working = False
        self._not_before = 0.0

    @property
    def idle(self) -> bool:
        """Whether nothing is being asked."""
        return not self._working

    def look(self) -> None:
        """Another token, panel or question: find out what is missing, after what is being asked."""
        self.answers.forgive()
        self._begin()

    def follow(self) -> None:
        """To be called often: looks at the newest token of a growing reply, at a gentle rate."""
        if self._follows() and self._clock() >= self._not_before:
            self._begin()

    def forget(self) -> None:
        """The model computes differently from now on."""
        self.answers.forget()
        self._begin()

    def _begin(self) -> None:
        self._wanted = True
        if not self._working and self._panel() is not None:
            self._working = True
            self._run(self._work())

    async def _work(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                began = self._clock()
                await self._look_once()
                took = self._clock() - began
                self._not_before = self._clock() + max(FOLLOW_SECONDS, FOLLOW_REST * took)
        finally:
            self._working = False
            panel = self._panel()
            if panel is not None:
                panel.wait(False)

    async def _look_once(self) -> None:
        if (engine := self._engine()) is not self._answering:
            self._answering = engine
            self.answers.forget()
        try:
            scene = await self._scene()
        except UserError as error:
            scene = Scene(why=error.sentence)
        while not self._wanted and (panel := self._panel()) is not None:
            questions = panel.questions(scene, self.answers)
            missing = next((q for q in questions if not self.answers.settled(q)), None)
            if not questions or self.answers.settled(questions[0]):
                panel.show(scene, self.answers)
            if missing is None:
                return
            if engine is None or engine is not self._engine():
                self._wanted = engine is not self._engine()
                return
            await self._ask(engine, missing, panel)

    async def _ask(self, engine: Engine, question: Question[Any], panel: Panel) -> None:
        asking = asyncio.ensure_future(engine.inspect(question))
        known = self.answers
        try:
            await asyncio.wait({asking}, timeout=WAITING_SECONDS)
            if not asking.done():
                panel.wait(True)
            answer = await asking
        except (EngineError, EngineDiedError) as error:
            known.fail(question, error.sentence)
        else:
            if engine is self._engine():
                known.keep(question, answer)
        finally:
            asking.cancel()
            panel.wait(False)
