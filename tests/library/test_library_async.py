"""The library behind an event loop."""

from __future__ import annotations

import asyncio
import inspect
import threading
from pathlib import Path

import pytest

from chatterm.errors import UserError
from chatterm.library import AsyncLibrary, Library


async def test_it_does_what_the_library_does_in_one_other_thread(library_path: Path) -> None:
    async with await AsyncLibrary.open_library(library_path) as library:
        assert library.path == library_path and library.is_saving and library.notices == ()
        conversation = (await library.create(model="tiny")).id
        message = await library.add_message(conversation, None, "user", "hello")
        reply = await library.begin_reply(conversation, message.id, model="tiny")
        await library.extend_reply(reply.id, text="hi ")
        await library.finish_reply(reply.id, "end", text="there")
        opened = await library.open(conversation)
        assert [m.content for m in opened.path] == ["hello", "hi there"]
        threads = {await library._run(threading.get_ident) for _ in range(3)}
        assert len(threads) == 1 and threading.get_ident() not in threads
    with Library(library_path) as again:
        assert [m.content for m in again.open(conversation).path] == ["hello", "hi there"]


async def test_every_method_is_there() -> None:
    ours = {name for name, _ in inspect.getmembers(Library, inspect.isfunction) if not name.startswith("_")}
    theirs = {
        name for name, _ in inspect.getmembers(AsyncLibrary, inspect.isfunction) if not name.startswith("_")
    }
    assert ours <= theirs
    assert AsyncLibrary.select.__doc__ == Library.select.__doc__


async def test_errors_come_through_and_leave_it_usable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError):
        await AsyncLibrary.open_library(tmp_path / "file" / "library.sqlite3")
    library = await AsyncLibrary.open_library(tmp_path / "file" / "library.sqlite3", or_in_memory=True)
    assert not library.is_saving and library.notices
    with pytest.raises(UserError, match="no conversation 7"):
        await library.open(7)
    assert (await library.create()).id == 1
    await library.close()


async def test_the_loop_runs_on_while_the_library_waits() -> None:
    async with await AsyncLibrary.in_memory() as library:
        release = threading.Event()
        waiting = asyncio.create_task(library._run(lambda: release.wait(20)))
        behind = asyncio.create_task(library.create())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done() and not behind.done()
        release.set()
        assert await waiting
        assert (await behind).id == 1


async def test_closing_finishes_what_was_asked_before(library_path: Path) -> None:
    library = await AsyncLibrary.open_library(library_path)
    conversation = (await library.create()).id
    asked = [
        asyncio.create_task(library.add_message(conversation, None, "user", f"{number}"))
        for number in range(20)
    ]
    await asyncio.sleep(0)
    asked[3].cancel()
    await library.close()
    with Library(library_path) as again:
        assert again.open(conversation).path[0].siblings == 20
