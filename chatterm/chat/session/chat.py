"""The whole session of a chat: with the context window, the sampling values, a look at tokens, the model."""

from __future__ import annotations

import asyncio
import contextlib

from chatterm.chat.context_usage import Filling, fill
from chatterm.chat.events import SamplingChanged, StateChanged, TurnChanged
from chatterm.chat.position import Moment
from chatterm.chat.session.saved import SavedSession
from chatterm.chat.turns import Turn, chat_of, question_of
from chatterm.engine.messages import Rendered
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.records.generation import ModelInfo, Tokens

STOP_SECONDS = 2.0


class ChatSession(SavedSession):
    """Everything that a chat screen shows, and everything that can be done to it."""

    # --- the context window -----------------------------------------------------------------------------

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
            if last.answers_raw(engine.info.name):
                return await engine.render(Tokens(last.prompt))
            turns = turns[: turns.index(last)]
        if not any(turn.role == "user" for turn in turns):
            raise UserError(_("Nothing has been said yet, so there is nothing that the model would read."))
        return await engine.render(chat_of(turns, self.keeper.system_prompt))

    async def leave_out(self, choices: dict[Turn, tuple[bool, bool]]) -> None:
        """Send these messages to the model from now on or not: (not the message, not what is attached to it).

        They stay in the conversation and in the library, and are marked there.
        """
        for turn, (whole, quotes) in choices.items():
            turn.left_out, turn.quotes_left_out = whole, quotes
            self._post(TurnChanged(turn))
        await self.keeper.leave_out(tuple(choices))
        with contextlib.suppress(UserError):  # without a model it is counted with the next reply
            self._used = (await self.fill()).used
        self._warned = False
        self._post(StateChanged())

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
            self.no_moment = _("Nothing has been written yet; there is no token to look into.")
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
            raise UserError(_("No model is loaded that could say how probable a word is."))
        forms = [(await engine.tokenize(form)).tokens for form in dict.fromkeys((word, f" {word.lstrip()}"))]
        forms.sort(key=len)
        self.lookout.found = tuple(dict.fromkeys(tokens[0].id for tokens in forms if tokens))
        self.look_again()
        longest = max(len(tokens) for tokens in forms)
        if min(len(tokens) for tokens in forms) > 1:
            return _("The model has no single token for this; the first of its {count} is shown.").format(
                count=longest
            )
        return ""

    # --- the model --------------------------------------------------------------------------------------

    def _model_is_ready(self, info: ModelInfo, told: bool) -> None:
        self.values.begin_from(info.sampling, info.sampling_source, info.rules)
        self.keeper.values = self.values.to_keep
        self.keeper.model = info.name
        for notice in info.notices:
            self.tell(notice)
        last = next((turn for turn in reversed(self.turns) if turn.role == "assistant"), None)
        if told and last is not None and last.model != info.name:
            self.tell(_("From here on {model} answers.").format(model=info.name))
        self.look_again()
        self.count_attachments(self.turns)
        self._post(SamplingChanged())
        self._answer()

    async def close(self) -> None:
        """End the engines and finish saving; an engine that does not answer is not waited for."""
        self.host.is_closed = True
        self.stop()
        self.keeper.hurry()
        await self._quiet_or_late()
        await self.host.close()
        await self._quiet_or_late()  # a reply that only the end of its engine has ended is saved now
        await self.keeper.close()

    async def _quiet_or_late(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._until_quiet()
