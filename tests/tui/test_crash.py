"""What is said of a mistake in the program: no more than is true."""

from __future__ import annotations

from functools import partial

import pytest
from textual.worker import WorkerFailed

from chatterm.chat.turns import Turn
from chatterm.errors import UserError
from chatterm.library import AsyncLibrary


async def fail() -> None:
    raise RuntimeError("on purpose")


@pytest.fixture(autouse=True)
def _own_log(monkeypatch, tmp_path):
    monkeypatch.setenv("CHATTERM_LOG", str(tmp_path / "log"))


@pytest.fixture
def told(chat, capfd):
    """What a mistake says after `before` was done in a chat whose library is opened by `library`."""

    async def say(library, before) -> str:
        with pytest.raises(WorkerFailed, match="on purpose"):
            async with chat(library=library) as it:
                await it.ready()
                await before(it)
                it.app.run_worker(fail(), exit_on_error=True)
                await it.until(lambda: not it.app.is_running)
        return " ".join(capfd.readouterr().err.split())

    return say


async def test_what_was_saved_is_said_to_be(told, tmp_path):
    says = await told(partial(AsyncLibrary.open_library, tmp_path / "library.sqlite3"), lambda it: it.ask())
    assert "on purpose')); what was said is saved. The details are in" in says


async def test_a_reply_that_was_being_written_is_saved_before_that_is_said(told, tmp_path):
    library = partial(AsyncLibrary.open_library, tmp_path / "library.sqlite3")

    async def in_the_middle(it) -> None:
        await it.hold()
        assert it.session.keeper.state == "saving"

    assert "what was said is saved" in await told(library, in_the_middle)
    async with await library() as saved:
        path = (await saved.open((await saved.last_conversation()).id)).path
    assert [message.status for message in path] == ["done", "stopped"]
    assert path[-1].content


async def test_what_nobody_saves_is_said_to_be_lost(told):
    says = await told(AsyncLibrary.in_memory, lambda it: it.ask())
    assert "on purpose')); what was not saved is lost." in says and "is saved" not in says


async def test_what_is_lost_of_another_conversation_counts_too(told, tmp_path, monkeypatch):
    add = AsyncLibrary.add_message

    async def not_the_first(self, conversation, parent, role, content, **more):
        if content == "one":
            raise UserError("The disk is full; make room.")
        return await add(self, conversation, parent, role, content, **more)

    monkeypatch.setattr(AsyncLibrary, "add_message", not_the_first)

    async def in_the_second(it) -> None:
        await it.ask("one")
        await it.press("ctrl+n")
        await it.ask("two")
        assert it.session.keeper.state == "saved"

    says = await told(partial(AsyncLibrary.open_library, tmp_path / "library.sqlite3"), in_the_second)
    assert "what was not saved is lost" in says and "what was said is saved" not in says


async def test_nothing_is_said_of_what_was_not_said(told):
    async def nothing(_it) -> Turn | None:
        return None

    says = await told(AsyncLibrary.in_memory, nothing)
    assert "on purpose')). The details" in says and "lost" not in says
