"""Saves what is said and what is written, as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic

from chatterm.chat.saving.behind import NotYetError
from chatterm.chat.saving.state import KeeperState
from chatterm.chat.stored_turns import FINISH, to_stored
from chatterm.chat.turns import Turn, saved_before
from chatterm.errors import UserError
from chatterm.library import AsyncLibrary
from chatterm.library import Timing as StoredTiming
from chatterm.records.generation import Timing
from chatterm.sampling import SamplingParameters

FLUSH_SECONDS = 0.5
"""A growing reply is on disk at most this long after each token."""


class WritingKeeper(KeeperState):
    """Saves the conversation; a growing reply every half second."""

    def expect(self, turn: Turn) -> None:
        """A turn will be shown that is not on disk: "saved" waits for `said` or `ended`.

        It belongs to the conversation of now, whichever is shown when its turn to be saved comes.
        """
        self._unsaved[turn] = self._here

    async def said(self, turn: Turn, after: Turn | None, sampling: SamplingParameters) -> None:
        """Save what the user said; it is on disk when this returns."""
        place = self._unsaved.get(turn, self._here)
        model, system_prompt = self.model, self.system_prompt

        async def save(library: AsyncLibrary) -> None:
            before = saved_before(after)
            if before is not None and before.number is None:
                raise NotYetError("The message before it is not saved.")
            if place.number is None:
                conversation = await library.create(
                    model=model or None, system_prompt=system_prompt, sampling=sampling
                )
                place.number = conversation.id
                if place is self._here:
                    await library.hold(conversation.id)
            parent = before.number if before is not None else None
            edited = turn.edited.number if turn.edited is not None else None
            message = await library.add_message(place.number, parent, "user", turn.text, edited_from=edited)
            turn.number, turn.conversation = message.id, message.conversation
            turn.sibling, turn.siblings = message.sibling, message.siblings

        try:
            async with self._lock:
                self._behind.add(turn, place, save)
                if await self._catch_up():
                    await self._keep_values()
        finally:
            self._unsaved.pop(turn, None)

    def grew(self, turn: Turn, question: Turn | None, sampling: SamplingParameters) -> None:
        """A reply has more tokens; they are on disk soon."""
        if self._flushing is not turn:
            self._flushing = turn
            self._run(self._flush_soon(turn, question, sampling))

    async def _flush_soon(self, turn: Turn, question: Turn | None, sampling: SamplingParameters) -> None:
        try:
            while turn.live:
                began = monotonic()
                async with self._lock:
                    if turn.live:
                        await self._flush(turn, question, sampling)
                # What came meanwhile has waited already: on a busy machine writing takes its time.
                await asyncio.sleep(max(0.0, FLUSH_SECONDS - (monotonic() - began)))
        finally:
            if self._flushing is turn:
                self._flushing = None

    async def _flush(self, turn: Turn, question: Turn | None, sampling: SamplingParameters) -> None:
        try:
            if self._behind:
                await self._catch_up()
            await self._store(await self.library(), turn, question, sampling)
            if self._behind:  # what was said behind this reply
                await self._catch_up()
        except NotYetError:
            return
        except UserError as error:
            self._failed(error)

    async def _store(
        self, library: AsyncLibrary, turn: Turn, question: Turn | None, sampling: SamplingParameters
    ) -> None:
        if turn.number is None:
            await self._begin_reply(library, turn, question, sampling)
        upto = len(turn.tokens)
        if upto > turn.stored and turn.number is not None:
            tokens = to_stored(turn.tokens[turn.stored : upto])
            extending = asyncio.ensure_future(library.extend_reply(turn.number, tokens))
            try:
                await asyncio.shield(extending)
            except asyncio.CancelledError:
                await extending  # it is carried out all the same, and must not be written twice
                raise
            finally:
                if extending.done() and not extending.cancelled() and extending.exception() is None:
                    turn.stored = upto

    async def _begin_reply(
        self, library: AsyncLibrary, turn: Turn, question: Turn | None, sampling: SamplingParameters
    ) -> None:
        if question is None or question.number is None or question.conversation is None:
            raise NotYetError("The message that it answers is not saved.")
        origin = turn.origin
        if origin is not None and origin.number is not None and turn.goes_on:
            message = await library.continue_reply(
                origin.number, turn.kept, model=turn.model, sampling=sampling
            )
            turn.stored = turn.kept
        elif origin is not None and origin.number is not None:
            message = await library.fork_reply(
                origin.number, turn.kept, model=turn.model, sampling=sampling, placed=turn.chosen
            )
            turn.stored = turn.kept
        else:
            message = await library.begin_reply(
                question.conversation,
                question.number,
                model=turn.model,
                sampling=sampling,
                raw_prompt=turn.prompt if turn.raw else None,
            )
            turn.stored = 0
        turn.conversation = message.conversation
        turn.number, turn.sibling, turn.siblings = message.id, message.sibling, message.siblings

    async def ended(
        self, turn: Turn, question: Turn | None, sampling: SamplingParameters, timing: Timing | None
    ) -> None:
        """Save the end of a reply."""

        async def save(library: AsyncLibrary) -> None:
            await self._store(library, turn, question, sampling)
            assert turn.number is not None
            spoken = turn.span(len(turn.tokens) - 1)[1] if turn.tokens else 0
            await library.finish_reply(
                turn.number,
                FINISH[turn.finish or "stopped"],
                text=turn.text[spoken:],
                timing=_stored_timing(timing),
            )

        try:
            async with self._lock:
                if turn.text or turn.number is not None:
                    self._behind.add(turn, self._unsaved.get(turn, self._here), save)
                if self._behind:  # also what was said behind a reply of which nothing came
                    await self._catch_up()
        finally:
            self._unsaved.pop(turn, None)

    async def leave_out(self, turns: Sequence[Turn]) -> None:
        """Save what of these is sent to the model."""
        place = self._here
        place.marked |= dict.fromkeys(turns)

        async def save(library: AsyncLibrary) -> None:
            known = {turn: turn.number for turn in place.marked if turn.number is not None}
            await library.leave_out(
                {number: (turn.left_out, turn.quotes_left_out) for turn, number in known.items()}
            )
            place.marked = {turn: None for turn in place.marked if turn not in known}
            if place.marked:
                raise NotYetError("A marked message is not saved.")

        async with self._lock:
            self._behind.add((place, "left out"), place, save)
            await self._catch_up()


def _stored_timing(timing: Timing | None) -> StoredTiming | None:
    if timing is None:
        return None
    return StoredTiming(**{name: getattr(timing, name) for name in StoredTiming.__struct_fields__})
