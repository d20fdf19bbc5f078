"""Which token the next-token panel looks at, and what it may say about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from chatterm.chat.turns import ReadToken, Turn
from chatterm.engine.protocol import Engine, EngineDiedError, EngineError
from chatterm.language import _, mark
from chatterm.records.generation import Distribution, Tokens
from chatterm.sampling import SamplingParameters

CONTEXT_CHARACTERS = 400
NOTHING_BEFORE = mark("Nothing stands before the first token, so nothing predicts it.")
NOT_KNOWN = mark("What stood before it cannot be made again, so the candidates cannot be computed.")


@dataclass(frozen=True)
class Look:
    """What the panel shows: one position, and what could come there."""

    turn: Turn
    index: int
    token: ReadToken
    distribution: Distribution | None  # None: it has still to be asked for
    temperature: float  # that the sampled column is computed with
    pinned: bool  # a selected token, as opposed to the latest one
    recomputed: bool  # with other sampling values than the token was drawn with

    @property
    def before(self) -> str:
        """What stands in front of the position."""
        start = self.turn.starts[self.index]
        return self.turn.text[max(0, start - CONTEXT_CHARACTERS) : start]


class Lookout:
    """Follows the latest token of the newest reply, or stays on a selected one.

    Moving a knob while nothing is being written asks the engine for the same position under the new values;
    it answers from logits that it has kept. Requests never pile up: while one is on its way only the latest
    wish is remembered.

    Attributes:
        rows: candidates to ask for, where more than usual are looked at.
        found: token ids that are to be among the candidates whatever their rank.
        trouble: why a selected token has no candidates, one sentence, or "".
    """

    def __init__(
        self,
        changed: Callable[[], object],
        run: Callable[[Coroutine[Any, Any, None]], object],
        prompt_of: Callable[[Turn], Awaitable[tuple[int, ...]]],
    ) -> None:
        """`prompt_of` gives the tokens in front of a turn, () if they are not known."""
        self._changed = changed
        self._run = run
        self._prompt_of = prompt_of
        self._turn: Turn | None = None
        self._pin: tuple[Turn, int] | None = None
        self._seen: Look | None = None
        self._wish: tuple[Engine, SamplingParameters, int] | None = None
        self._asking = False
        self.rows = 0
        self.found: tuple[int, ...] = ()
        self.trouble = ""

    @property
    def pin(self) -> tuple[Turn, int] | None:
        """The selected token."""
        return self._pin

    @property
    def place(self) -> tuple[Turn, int] | None:
        """The token that is looked at: the selected one, else the newest; None before there is one."""
        if self._pin is not None:
            return self._pin
        if self._turn is None or not self._turn.tokens:
            return None
        return self._turn, len(self._turn.tokens) - 1

    @property
    def look(self) -> Look | None:
        """What there is to show now."""
        if self.place is None:
            return None
        turn, index = self.place
        seen = self._seen
        if seen is not None and seen.turn is turn and seen.index == index:
            return replace(seen, pinned=self._pin is not None)
        pinned = self._pin is not None
        if not turn.tokens:
            return Look(turn, index, turn.given[index], None, 0.0, pinned, recomputed=False)
        token = turn.tokens[index]
        return Look(turn, index, token, token.distribution, token.temperature, pinned, recomputed=False)

    def follow(self, turn: Turn | None) -> None:
        """Look at the latest token of `turn` from now on, unless a token is selected."""
        self._turn = turn
        self._changed()

    def select(self, turn: Turn, index: int) -> None:
        """Stay on a token."""
        place = (turn, min(max(index, 0), len(turn.seen) - 1))
        if place != self._pin:
            self._forget_answers()
            self._pin = place
        self._changed()

    def release(self) -> None:
        """Follow the latest token again."""
        self._pin = None
        self._forget_answers()
        self._changed()

    def _forget_answers(self) -> None:
        self._seen = None
        self.rows = 0
        self.found = ()
        self.trouble = ""

    def forget(self) -> None:
        """Another conversation: nothing to look at."""
        self._turn = None
        self.release()

    def resample(self, engine: Engine | None, sampling: SamplingParameters, candidates: int) -> None:
        """Show the position under other values, or with more candidates.

        What another checkpoint wrote keeps what was stored.
        """
        look = self.look
        if look is None or engine is None or engine.info is None:
            return
        if engine.info.name != look.turn.model or (look.turn.live and self._pin is None):
            return
        self._wish = (engine, sampling, candidates)
        if not self._asking:
            self._asking = True
            self._run(self._ask())

    async def _ask(self) -> None:
        try:
            while self._wish is not None and (look := self.look) is not None:
                engine, sampling, candidates = self._wish
                self._wish = None
                prompt = await self._prompt_of(look.turn)
                before = prompt + look.turn.ids(look.index)
                if not before or not (prompt or look.turn.role == "context"):
                    self._fail(look, _(NOTHING_BEFORE if look.turn.role == "context" else NOT_KNOWN))
                    continue
                count = max(candidates, self.rows)
                also = tuple(dict.fromkeys((look.token.id, *self.found)))
                answer = await engine.predict(
                    Tokens(prompt, look.turn.ids(look.index)), sampling, candidates=count, also=also
                )
                now = self.look
                if now is not None and now.turn is look.turn and now.index == look.index:
                    self._seen = replace(
                        now,
                        distribution=answer.distribution,
                        temperature=sampling.temperature,
                        recomputed=True,
                    )
                    self._changed()
        except (EngineError, EngineDiedError) as error:
            self._wish = None  # a stored distribution stays; the session reports a dead engine itself
            self.trouble = error.sentence
            self._changed()
        finally:
            self._asking = False

    def _fail(self, look: Look, sentence: str) -> None:
        if look.distribution is None:
            self.trouble = sentence
            self._changed()
