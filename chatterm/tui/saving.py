"""Saves the conversation as it happens, and brings saved ones back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Literal

from msgspec import UNSET

from chatterm.engine.records import Timing
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.library import AsyncLibrary, Conversation, Node, OpenConversation
from chatterm.library import Timing as StoredTiming
from chatterm.sampling import SamplingParameters
from chatterm.tui.behind import Behind, NotYetError
from chatterm.tui.records import FINISH, add_records, from_stored, to_stored
from chatterm.tui.turns import Turn, saved_before

FLUSH_SECONDS = 0.5
"""A growing reply is on disk at most this long after each token."""

LEAVING_SECONDS = 0.5
"""How long another program may keep the library locked when the chat is left."""

OpenLibrary = Callable[[], Awaitable[AsyncLibrary]]
Run = Callable[[Coroutine[Any, Any, None]], object]
HeldWith = tuple[int, str, str, SamplingParameters | None]
"""What a conversation, by its number, is held with: model, system prompt, sampling values."""
State = Literal["", "saved", "saving", "not saved"]


async def open_library() -> AsyncLibrary:
    """The user's library, or one in memory whose notices say why."""
    return await AsyncLibrary.open_library(or_in_memory=True)


@dataclass(eq=False, slots=True)
class _Place:
    """A conversation that is or was shown; it gets its number with its first message."""

    number: int | None = None
    marked: dict[Turn, None] = field(default_factory=dict)  # what is sent of these is still to be saved


class Keeper:
    """Where the conversation is kept. Its acts are done in the order in which they were asked for.

    Saving never stands in the way of talking: what goes wrong is told once, as a sentence.

    Args:
        open_library: opens it, off the event loop.
        tell: says a sentence to the user.
        run: runs a coroutine in the background.
    """

    def __init__(self, open_library: OpenLibrary, tell: Callable[[str], object], run: Run) -> None:
        self._open_library = open_library
        self._tell = tell
        self._run = run
        self._library: AsyncLibrary | None = None
        self._opening = asyncio.Lock()
        self._lock = asyncio.Lock()
        self._here = _Place()
        self._flushing: Turn | None = None
        self._unsaved: dict[Turn, _Place] = {}  # turns that are shown and not on disk, and where they belong
        self._behind = Behind()
        self._told: set[str] = set()
        self._failures: set[str] = set()
        self._is_closed = False
        self._held_with: HeldWith | None = None  # what was saved last
        self.model = ""
        self.system_prompt = ""
        self.values: SamplingParameters | None = None  # that the conversation is to be gone on with
        self.opened: Conversation | None = None  # as it was when it was opened
        self.lost = ""  # when the chat has been left: a sentence, if something could not be saved
        self._state: State = ""

    @property
    def state(self) -> State:
        """Whether all that is shown of the conversation is on disk; "" before there is anything."""
        if self.is_behind:
            return "not saved"
        if (self._unsaved or self._behind.of(self._here)) and self._state != "not saved":
            return "saving"
        return self._state

    @property
    def conversation(self) -> int | None:
        """The number of the conversation; None before anything was said in it."""
        return self._here.number

    @property
    def is_behind(self) -> bool:
        """Whether something of the conversation could not be saved."""
        return self._behind.has_failed(self._here)

    def begin(self) -> None:
        """What is said next belongs to a new conversation."""
        left, self._here = self._here, _Place()
        self.opened = None
        self._state = ""
        if left.number is not None:
            self._run(self._leave((left.number, self.model, self.system_prompt, self.values)))

    async def _leave(self, held_with: HeldWith) -> None:
        async with self._lock:
            try:
                library = await self.library()
                await self._configure(library, held_with)
                if self.conversation is None:
                    await library.hold(None)
            except UserError as error:
                self._failed(error)

    async def keep_values(self) -> None:
        """Save what the conversation is held with, if that changed."""
        async with self._lock:
            await self._keep_values()

    async def _keep_values(self) -> None:
        if self.conversation is None or self._library is None:
            return
        try:
            await self._configure(
                self._library, (self.conversation, self.model, self.system_prompt, self.values)
            )
        except UserError as error:
            self._failed(error)

    async def _configure(self, library: AsyncLibrary, held_with: HeldWith) -> None:
        if held_with != self._held_with:
            conversation, model, system_prompt, values = held_with
            await library.configure(
                conversation, model=model or UNSET, system_prompt=system_prompt, sampling=values or UNSET
            )
            self._held_with = held_with

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

    async def _catch_up(self) -> bool:
        """Save whatever is not saved yet; whether all of this conversation is now."""
        try:
            library = await self.library()
            for error in await self._behind.catch_up(library):
                self._failed(error)
        except UserError as error:
            self._failed(error)
        else:
            if not self._behind.of(self._here):
                self._saved(library)
        return not self._behind.of(self._here)

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
            await library.extend_reply(turn.number, to_stored(turn.tokens[turn.stored : upto]))
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

    async def open(self, conversation: int | None = None) -> list[Turn] | None:
        """A saved conversation, the last one if None; None if nothing has been saved yet.

        Raises:
            UserError: there is no such conversation.
        """
        async with self._lock:
            library = await self.library()
            if conversation is None:
                last = await library.last_conversation()
                if last is None:
                    return None
                conversation = last.id
            return await self._turns(library, await library.open(conversation))

    async def sibling(self, turn: Turn, step: int) -> list[Turn] | None:
        """The conversation with the reply before or after `turn` in its place; None if there is none.

        Raises:
            UserError: it cannot be read.
        """
        if turn.number is None:
            return None
        async with self._lock:
            library = await self.library()
            siblings = await library.siblings(turn.number)
            other = siblings.previous if step < 0 else siblings.next
            return await self._turns(library, await library.select(other)) if other is not None else None

    async def select(self, message: int) -> list[Turn]:
        """The conversation of a message, led through it and on along what was looked at last.

        Raises:
            UserError: there is no such message, or it cannot be read.
        """
        async with self._lock:
            library = await self.library()
            return await self._turns(library, await library.select(message))

    async def tree(self) -> tuple[Node, ...]:
        """All messages of the conversation; none before anything was said in it.

        Raises:
            UserError: they cannot be read.
        """
        async with self._lock:
            if self.conversation is None:
                return ()
            return await (await self.library()).tree(self.conversation)

    async def _turns(self, library: AsyncLibrary, opened: OpenConversation) -> list[Turn]:
        await library.hold(opened.conversation.id)
        turns = [from_stored(message) for message in opened.path if message.role != "system"]
        last = next((turn for turn in reversed(turns) if turn.unread), None)
        if last is not None:
            await self._read(library, last)
        # Nothing is waited for behind this: what is said belongs to the conversation that is on the screen.
        if opened.conversation.id != self.conversation:
            self._here = _Place(opened.conversation.id)
        self.opened = opened.conversation
        self._saved(library)
        return turns

    async def read(self, turn: Turn) -> None:
        """Bring the token records of a saved turn, if they are still unread."""
        async with self._lock:
            if turn.unread and self._library is not None:
                await self._read(self._library, turn)

    async def _read(self, library: AsyncLibrary, turn: Turn) -> None:
        assert turn.number is not None
        turn.unread = 0  # what cannot be read is not tried again
        try:
            add_records(turn, await library.tokens(turn.number))
        except UserError as error:
            self.tell_once(error)

    async def hurry(self) -> None:
        """The chat is being left: whoever keeps the library locked is not waited for any more."""
        if self._library is not None:
            await self._library.hurry(LEAVING_SECONDS)

    async def close(self) -> None:
        """Everything is on disk when this returns, or `lost` says why not."""
        async with self._lock, self._opening:
            late = await self._behind.catch_up(self._library) if self._library is not None else []
            if late:
                self.lost = _("Not all that was said could be saved: {why}").format(why=late[-1].sentence)
            await self._keep_values()
            library, self._library = self._library, None
            self._is_closed = True
            if library is not None:
                await library.close()

    async def library(self) -> AsyncLibrary:
        """Where conversations are kept, opened when it is first needed.

        Raises:
            UserError: it cannot be opened, or the chat is being left.
        """
        async with self._opening:
            if self._is_closed:
                raise UserError("The library is closed.")
            if self._library is None:
                self._library = await self._open_library()
                for notice in self._library.notices:
                    self._tell(notice)
            return self._library

    def _saved(self, library: AsyncLibrary) -> None:
        self._state = "saved" if library.is_saving else "not saved"
        self._failures.clear()

    def _failed(self, error: UserError) -> None:
        self._state = "not saved"
        if error.sentence not in self._failures:  # once, until something can be saved again
            self._failures.add(error.sentence)
            if error.sentence not in self._told:
                self._tell(error.sentence)

    def tell_once(self, error: UserError) -> None:
        """Say why something cannot be read, if that has not been said: it is tried again and again."""
        if error.sentence not in self._told | self._failures and not self._is_closed:
            self._told.add(error.sentence)
            self._tell(error.sentence)


def _stored_timing(timing: Timing | None) -> StoredTiming | None:
    if timing is None:
        return None
    return StoredTiming(**{name: getattr(timing, name) for name in StoredTiming.__struct_fields__})
