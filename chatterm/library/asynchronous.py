"""The library for an event loop: the same methods, run one after the other in one thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from chatterm.library.library import Library

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _in_thread(
    method: Callable[Concatenate[Library, Arguments], Result],
) -> Callable[Concatenate[AsyncLibrary, Arguments], Coroutine[Any, Any, Result]]:
    async def run(self: AsyncLibrary, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return await self._run(lambda: method(self._library, *args, **kwargs))

    run.__name__, run.__doc__ = method.__name__, method.__doc__
    return run


class AsyncLibrary:
    """A `Library` in a thread of its own. Calls are done in the order in which they were made.

    A call that has been made is carried out even if the task that awaits it is cancelled.
    """

    def __init__(self, library: Library, thread: ThreadPoolExecutor) -> None:
        """Use `open_library` or `in_memory`; `library` belongs to `thread`."""
        self._library = library
        self._thread = thread

    @classmethod
    async def open_library(cls, path: Path | None = None, *, or_in_memory: bool = False) -> Self:
        """`Library(path)`, or with `or_in_memory` `Library.open_or_in_memory(path)`.

        Raises:
            UserError: it cannot be opened.
        """
        return await cls._start(lambda: Library.open_or_in_memory(path) if or_in_memory else Library(path))

    @classmethod
    async def in_memory(cls, *notices: str) -> Self:
        """`Library.in_memory()`."""
        return await cls._start(lambda: Library.in_memory(*notices))

    @classmethod
    async def _start(cls, begin: Callable[[], Library]) -> Self:
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="library")
        try:
            library = await asyncio.get_running_loop().run_in_executor(thread, begin)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(library, thread)

    @property
    def path(self) -> Path | None:
        """The file, or None when nothing is saved."""
        return self._library.path

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences for the user about what happened on opening."""
        return self._library.notices

    @property
    def is_saving(self) -> bool:
        """Whether what is said now outlives this process."""
        return self._library.is_saving

    def hurry(self, seconds: float) -> None:
        """Wait at most `seconds` longer for other programs, also in a call that waits already."""
        self._library.hurry(seconds)

    async def close(self) -> None:
        """Wait for all calls made before, and close the library."""
        await self._run(self._library.close)
        self._thread.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, function: Callable[[], Result]) -> Result:
        future = asyncio.get_running_loop().run_in_executor(self._thread, function)
        return await asyncio.shield(future)

    create = _in_thread(Library.create)
    conversation = _in_thread(Library.conversation)
    conversations = _in_thread(Library.conversations)
    last_conversation = _in_thread(Library.last_conversation)
    rename = _in_thread(Library.rename)
    pin = _in_thread(Library.pin)
    configure = _in_thread(Library.configure)
    delete = _in_thread(Library.delete)
    undelete = _in_thread(Library.undelete)
    purge = _in_thread(Library.purge)
    purge_deleted = _in_thread(Library.purge_deleted)
    open = _in_thread(Library.open)
    message = _in_thread(Library.message)
    add_message = _in_thread(Library.add_message)
    edit = _in_thread(Library.edit)
    leave_out = _in_thread(Library.leave_out)
    siblings = _in_thread(Library.siblings)
    select = _in_thread(Library.select)
    tree = _in_thread(Library.tree)
    tokens = _in_thread(Library.tokens)
    begin_reply = _in_thread(Library.begin_reply)
    fork_reply = _in_thread(Library.fork_reply)
    continue_reply = _in_thread(Library.continue_reply)
    extend_reply = _in_thread(Library.extend_reply)
    finish_reply = _in_thread(Library.finish_reply)
    recover = _in_thread(Library.recover)
    hold = _in_thread(Library.hold)
    open_elsewhere = _in_thread(Library.open_elsewhere)
    search = _in_thread(Library.search)
    whole = _in_thread(Library.whole)
    add_conversations = _in_thread(Library.add_conversations)
