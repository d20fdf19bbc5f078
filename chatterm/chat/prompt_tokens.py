"""What the model reads of the conversation: tokens of prompts, messages and template, and their scores."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from chatterm import inert
from chatterm.chat.position import Moment
from chatterm.chat.turns import Turn, chat_of, read_by_model
from chatterm.engine.protocol import Engine, EngineError
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.records.generation import PromptToken, Tokens
from chatterm.records.inspection import Score, ScoredToken

CONTROL = re.compile(r"<\|[^|\s]{1,60}\|>|</?[A-Za-z_]{1,40}>|\[/?[A-Z_]{2,40}\]")
"""What control tokens are called in the vocabularies of today; only their look depends on it."""

FRAGMENT = re.compile(r"(<0x[0-9A-Fa-f]{2}>)+")


class Reader:
    """Asks the engine how the conversation is cut into tokens.

    Args:
        engine: that answers now, or None.
        turns: the conversation.
        system_prompt: in front of it.
    """

    def __init__(
        self,
        engine: Callable[[], Engine | None],
        turns: Callable[[], list[Turn]],
        system_prompt: Callable[[], str],
    ) -> None:
        self._engine = engine
        self._turns = turns
        self._system_prompt = system_prompt

    async def prompt_of(self, turn: Turn) -> tuple[int, ...]:
        """The tokens in front of a turn. Those of an older reply are made again, and believed if they fit.

        Raises:
            UserError: the engine cannot say.
        """
        engine, turns = self._engine(), self._turns()
        if not turn.prompt and engine is not None and turn in turns and turn.tokens:
            chat = chat_of(turns[: turns.index(turn)], self._system_prompt())
            ids = tuple(token.id for token in (await engine.render(chat)).tokens)
            if len(ids) == turn.tokens[0].distribution.position:
                turn.prompt = ids
        return turn.prompt

    async def moment(self, turn: Turn, index: int) -> Moment:
        """The step that chose a token.

        Raises:
            UserError: it cannot be looked into; the sentence says why.
        """
        engine = self._engine()
        info = engine.info if engine is not None else None
        if info is None:
            sentence = _("No model is loaded; with {model} loaded one can look inside.")
            raise UserError(sentence.format(model=turn.model or _("one")))
        if turn.model != info.name:
            sentence = _("{writer} wrote this and {model} is loaded; ctrl+o chooses.")
            raise UserError(sentence.format(writer=turn.model or _("Another model"), model=info.name))
        prompt = await self.prompt_of(turn)
        if not prompt and turn.role != "context":
            raise UserError(_("What stood before this cannot be made again, so one cannot look inside."))
        before = prompt + turn.ids(index)
        if not before:
            raise UserError(_("Nothing stands before the first token, so nothing predicts it."))
        return Moment(before, turn.seen[index].id, turn.piece(index), len(before), info.name)

    async def cut(self, *, score: bool = False) -> None:
        """Give the messages of the user their tokens, with scores if they are wanted.

        Raises:
            UserError: the engine cannot say.
        """
        engine = self._engine()
        if engine is None or engine.info is None:
            return
        model = engine.info.name
        turns = self._answered(model)
        asked = [turn for turn in turns if turn.role == "user" and turn.sent.strip()]
        if all(turn.given and turn.model == model and (not score or _is_scored(turn)) for turn in asked):
            return
        rendered = await engine.render(chat_of(turns, self._system_prompt()))
        tokens = await self._scored(engine, rendered.tokens, score)
        place = 0
        for turn in read_by_model(turns):
            content = turn.sent.strip()
            found = rendered.text.find(content, place)
            if found >= 0:
                place = found + len(content)
                if turn.role == "user":
                    turn.model = model
                    _fill(turn, rendered.tokens, tokens, found, place)

    async def context(self) -> Turn | None:
        """All that the model has read, as one turn; None where there is nothing.

        Raises:
            UserError: there is no model, or the engine cannot say.
        """
        engine = self._engine()
        if engine is None or engine.info is None:
            raise UserError(
                _("No model is loaded, so nothing can say how the conversation is cut into tokens.")
            )
        model = engine.info.name
        turns = self._answered(model)
        if not any(turn.role == "user" for turn in turns):
            return None
        reply = self._reply_after(turns, model)
        rendered = await engine.render(chat_of(turns, self._system_prompt()))
        given = await self._scored(engine, rendered.tokens, reply is None or not reply.live)
        turn = Turn("context", model=model)
        for token in given:
            add_shown(turn, token)
        if reply is not None and len(await self.prompt_of(reply)) == len(given):
            turn.origin, turn.kept = reply, len(given)
            catch_up(turn)
        return turn

    def _answered(self, model: str) -> list[Turn]:
        """The turns in front of the newest reply that this model wrote, or all of them."""
        turns = self._turns()
        places = [n for n, turn in enumerate(turns) if turn.tokens and turn.model == model]
        return turns[: places[-1]] if places else list(turns)

    def _reply_after(self, turns: list[Turn], model: str) -> Turn | None:
        here = self._turns()
        reply = here[len(turns)] if len(here) > len(turns) else None
        return reply if reply is not None and reply.tokens and reply.model == model else None

    async def _scored(
        self, engine: Engine, tokens: Sequence[PromptToken], wanted: bool
    ) -> tuple[ScoredToken, ...]:
        if wanted and tokens:
            try:
                scored = await engine.inspect(Score(Tokens(tuple(token.id for token in tokens))))
            except EngineError:
                pass  # an engine that cannot score: the tokens are shown without numbers
            else:
                if len(scored.tokens) == len(tokens):
                    return tuple(
                        ScoredToken(token.id, token.text, score.logprob, score.rank, score.entropy)
                        for token, score in zip(tokens, scored.tokens, strict=True)
                    )
        return tuple(ScoredToken(token.id, token.text, None, None, None) for token in tokens)


def add_shown(turn: Turn, token: ScoredToken) -> None:
    """One token more of a `context` turn: its text as it is shown, a new line after each line break."""
    turn.starts.append(len(turn.text))
    turn.given.append(token)
    turn.text += inert.token(token.text)
    turn.ends.append(len(turn.text))
    if token.text.endswith("\n"):
        turn.text += "\n"


def catch_up(turn: Turn) -> None:
    """Add the tokens of the reply at the end of a `context` turn that were written since."""
    reply = turn.origin
    assert reply is not None
    for index in range(len(turn.given) - turn.kept, len(reply.tokens)):
        event, text = reply.tokens[index], reply.piece(index)
        add_shown(turn, ScoredToken(event.id, text, event.logprob, event.rank, event.entropy))


def _is_scored(turn: Turn) -> bool:
    return turn.given[-1].logprob is not None


def _fill(
    turn: Turn, tokens: Sequence[PromptToken], scored: Sequence[ScoredToken], start: int, end: int
) -> None:
    """Give a turn the tokens that stand from `start` to `end` of the text that was cut."""
    inside = [n for n, token in enumerate(tokens) if token.end > start and token.start < end]
    lead = len(turn.text.rstrip()) - (end - start)  # what is left out of a message stands at its head
    turn.given = [scored[n] for n in inside]
    turn.starts = [max(tokens[n].start, start) - start + lead for n in inside]
    turn.ends = [min(tokens[n].end, end) - start + lead for n in inside]
    turn.prompt = tuple(token.id for token in tokens[: inside[0]]) if inside else ()
