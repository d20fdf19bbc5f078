"""Going on from another token: what a branch of a reply begins with, and continuations side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chatterm.chat.engines import Engines, LocalEngine
from chatterm.chat.prompt_tokens import Reader
from chatterm.chat.sampling_values import SamplingValues
from chatterm.chat.turns import USUAL_MARKERS, Turn, asked_for
from chatterm.engine.messages import TokenEvent
from chatterm.engine.protocol import Engine, Reply
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.library.marks import first
from chatterm.records.generation import Tokens
from chatterm.sampling import SamplingParameters

MOST_TOKENS = 256
"""Tokens that a text put into a reply may have: each one is looked up, which is a step of the model."""


@dataclass(frozen=True)
class Branch:
    """Where a reply is to go on otherwise: behind its first `at` tokens."""

    reply: Turn
    at: int


def unchanged(reply: Turn, text: str) -> int:
    """How many leading tokens of a reply still stand where they stood, in other words for it."""
    differences = (n for n, (a, b) in enumerate(zip(reply.text, text, strict=False)) if a != b)
    end = next(differences, min(len(reply.text), len(text)))
    kept = 0
    for index in range(len(reply.tokens)):
        start, stop = reply.span(index)
        if stop > end:
            break
        if stop > start:  # one without text may belong to a character that was changed
            kept = index + 1
    return kept


class Forks:
    """Prepares branches; the session writes them.

    Args:
        engines: one of them answers.
        reader: knows what stands in front of a reply.
        values: the sampling values in force.
        candidates: rows of a distribution.
        system_prompt: in front of the conversation.
    """

    def __init__(
        self,
        engines: Engines,
        reader: Reader,
        values: SamplingValues,
        candidates: int,
        system_prompt: Callable[[], str],
    ) -> None:
        self._engines = engines
        self._reader = reader
        self._values = values
        self._candidates = candidates
        self._system_prompt = system_prompt

    async def engine_for(self, branch: Branch) -> LocalEngine:
        """The engine that can go on from there.

        Raises:
            UserError: none can; the sentence says why.
        """
        reply, engine = branch.reply, self._engines.engine
        if reply.role != "assistant" or not reply.tokens:
            raise UserError(_("Only a reply can go on otherwise; choose one of its tokens."))
        if engine is None or engine.info is None:
            raise UserError(_("No model is loaded that could go on from here; ctrl+o chooses one."))
        if engine.info.name != reply.model:
            raise UserError(
                _(
                    "{writer} wrote this reply and cuts text into other tokens than {model}; "
                    "load it with ctrl+o to go on from one of them."
                ).format(writer=reply.model, model=engine.info.name)
            )
        if not await self._reader.prompt_of(reply):
            raise UserError(
                _("What stood before this reply cannot be made again, so it cannot go on from here.")
            )
        return engine

    async def check_words(self, reply: Turn, text: str) -> None:
        """See whether a reply can go on after these words in its place.

        Raises:
            UserError: it cannot; the sentence says why.
        """
        at = unchanged(reply, text)
        engine = await self.engine_for(Branch(reply, at))
        if others := text[reply.span(at - 1)[1] if at else 0 :]:
            await self.tokens_of(engine, others)

    async def tokens_of(self, engine: Engine, text: str) -> tuple[int, ...]:
        """A text as token ids.

        Raises:
            UserError: it is empty or too long, or the engine cannot say.
        """
        ids = tuple(token.id for token in (await engine.tokenize(text)).tokens)
        if not ids:
            raise UserError(_("There is no text to go on from."))
        if len(ids) > MOST_TOKENS:
            sentence = _("That is {count} tokens; at most {most} can be put into a reply.")
            raise UserError(sentence.format(count=len(ids), most=MOST_TOKENS))
        return ids

    async def records(self, engine: Engine, branch: Branch, ids: tuple[int, ...]) -> tuple[TokenEvent, ...]:
        """Tokens that are put there in place of drawn ones, with what the model made of each.

        Raises:
            UserError: the engine cannot say.
        """
        before, begun = await self._reader.prompt_of(branch.reply), branch.reply.ids(branch.at)
        sampling = self._values.sampling
        events = []
        for number, token in enumerate(ids):
            prompt = Tokens(before, begun + ids[:number])
            count = self._candidates
            answer = await engine.predict(prompt, sampling, candidates=count, also=(token,))
            row = next(c for c in answer.distribution.candidates if c.id == token)
            events.append(
                TokenEvent(
                    request=0,
                    id=token,
                    text="",  # the engine says it when it begins: it may be a part of a character
                    logprob=row.logprob,
                    rank=row.rank,
                    sampled=row.sampled,
                    distribution=answer.distribution,
                    temperature=sampling.temperature,
                )
            )
        return tuple(events)

    def turn(self, engine: LocalEngine, branch: Branch, chosen: int, seed: int | None = None) -> Turn:
        """The branch as a turn that begins with the tokens that are kept.

        Its seed is the reply's own unless the user has chosen one, so that the same choices are made wherever
        the distributions agree.
        """
        reply, at = branch.reply, branch.at
        assert engine.info is not None
        turn = Turn(
            "assistant", model=engine.info.name, live=True, markers=engine.info.thinking or USUAL_MARKERS
        )
        for token in reply.tokens[:at]:
            turn.add(token)
        turn.origin, turn.kept = reply, at
        turn.placed = (*first(reply.placed, at), *([(at, at + chosen)] if chosen else ()))
        turn.prompt, turn.raw, turn.thinking = reply.prompt, reply.raw, reply.thinking
        if seed is None and reply.sampling is not None:
            seed = reply.sampling.seed
        turn.sampling = self._values.for_reply(seed)
        return turn

    def draw(
        self,
        engine: LocalEngine,
        branch: Branch,
        turns: list[Turn],
        sampling: SamplingParameters,
        length: int,
    ) -> Reply:
        """Begin a short continuation from there."""
        reply = branch.reply
        before = turns[: turns.index(reply)]
        asked = asked_for(reply, before, self._system_prompt(), reply.ids(branch.at))
        return engine.generate(asked, sampling, max_tokens=length, candidates=self._candidates)
