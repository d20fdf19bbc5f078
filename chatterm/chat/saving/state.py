"""Where the conversation is kept, what of it is not saved yet, and what the user is told of that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import UNSET

from chatterm.chat.saving.behind import Behind
from chatterm.chat.turns import Turn
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.library import AsyncLibrary, Conversation
from chatterm.sampling import SamplingParameters

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
class Place:
    """A conversation that is or was shown; it gets its number with its first message."""

    number: int | None = None
    marked: dict[Turn, None] = field(default_factory=dict)  # what is sent of these is still to be saved


class KeeperState:
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
        self._here = Place()
        self._flushing: Turn | None = None
        self._unsaved: dict[Turn, Place] = {}  # turns that are shown and not on disk, and where they belong
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
        left, self._here = self._here, Place()
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
        is_read_only = library.path is not None and not library.is_saving  # which has been told
        if held_with != self._held_with and not is_read_only:
            conversation, model, system_prompt, values = held_with
            await library.configure(
                conversation, model=model or UNSET, system_prompt=system_prompt, sampling=values or UNSET
            )
            self._held_with = held_with

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

    def hurry(self) -> None:
        """The chat is being left: whoever keeps the library locked is not waited for any more."""
        if self._library is not None:
            self._library.hurry(LEAVING_SECONDS)

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
