"""What was shown and not on disk: it is saved when it can be, told once, and never called saved before."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from contextlib import closing
from functools import partial

import pytest

from chatterm.chat.branches import Branch
from chatterm.chat.saving import state
from chatterm.chat.session import writing
from chatterm.errors import UserError
from chatterm.library import AsyncLibrary, Library, store
from chatterm.tui.commands import acts


@pytest.fixture
def kept(chat, library_file):
    """A chat that is saved in `library_file`."""
    return lambda **more: chat(library=partial(AsyncLibrary.open_library, library_file), **more)


def said_in(library_file):
    """What the user said in each conversation, the oldest first."""
    with Library(library_file) as library:
        return [
            [message.content for message in library.open(conversation.id).path if message.role == "user"]
            for conversation in reversed(library.conversations())
        ]


async def refuse(*_args, **_more):
    raise UserError("The disk is full; make room.")


async def test_what_follows_a_reply_that_came_to_nothing_is_saved(kept, knobs, library_file):
    """It was said before the reply had its first token, and the reply was stopped there."""
    async with kept() as it:
        await it.ask("one")
        knobs.hold_at = 0
        knobs.go.clear()
        await it.say("two")
        await it.until(lambda: it.session.live is not None)
        await it.say("three")
        await it.until(lambda: it.session.keeper.state == "saving")
        assert it.session.stop()
        knobs.hold_at = None
        knobs.go.set()
        await it.until(lambda: it.session.live is None and it.session.keeper.state == "saved")
        await it.ask("four")
        assert it.session.keeper.state == "saved" and it.notices() == []
    assert said_in(library_file) == [["one", "two", "three", "four"]]


async def test_what_follows_a_fork_that_never_began_is_saved(kept, knobs, library_file):
    async with kept() as it:
        await it.ask("one")
        knobs.hold_at = 0
        knobs.go.clear()
        it.session.fork(Branch(it.session.last_reply, 3))
        await it.until(lambda: it.session.live is not None)
        await it.say("two")
        it.session.new()  # nor is it on the screen any more when it ends
        knobs.hold_at = None
        knobs.go.set()
        await it.until(lambda: it.session.live is None)
        await it.ask("elsewhere")
    assert sorted(said_in(library_file)) == [["elsewhere"], ["one", "two"]]


async def test_what_is_said_while_a_conversation_is_opened_is_said_in_it(kept, library_file, monkeypatch):
    async with kept() as it:
        await it.ask("first")
        first = it.session.keeper.conversation
        await it.press("ctrl+n")
        await it.ask("second")
        it.session._known.clear()
        library = await it.session.keeper.library()
        reading = asyncio.Event()
        tokens = library.tokens

        async def slowly(message):
            reading.set()
            await asyncio.sleep(0.2)
            return await tokens(message)

        monkeypatch.setattr(library, "tokens", slowly)
        opening = asyncio.ensure_future(it.session.resume(first))
        await reading.wait()
        it.session.send("quickly")
        await opening
        await it.until(lambda: it.session.live is None and it.session.keeper.state == "saved")
        assert [turn.text for turn in it.session.turns if turn.role == "user"] == ["first", "quickly"]
    assert sorted(said_in(library_file)) == [["first", "quickly"], ["second"]]


async def test_a_list_that_cannot_be_read_is_told_once(kept):
    """It is looked at again whenever a sentence appears, so its own must not."""
    async with kept(size=(170, 36)) as it:
        await it.ask("one")
        library = await it.session.keeper.library()
        library.conversations = refuse
        looks = 0
        fetch = it.app.chat.widgets.sidebar._fetch

        async def counted(**more):
            nonlocal looks
            looks += 1
            await fetch(**more)

        it.app.chat.widgets.sidebar._fetch = counted
        for _ in range(3):
            it.app.chat.widgets.sidebar.look_again()
            await it.until(lambda: it.app.chat.widgets.sidebar.is_settled)
        assert looks >= 3
        assert it.notices() == ["The disk is full; make room."]


async def test_a_disk_that_is_full_again_is_told_again(kept):
    async with kept() as it:
        await it.ask("one")
        library = await it.session.keeper.library()
        add_message = library.add_message
        for _ in range(2):
            library.add_message = refuse
            await it.ask("not saved")
            assert it.session.keeper.state == "not saved"
            library.add_message = add_message
            await it.ask("saved")
            assert it.session.keeper.state == "saved"
        assert it.notices() == ["The disk is full; make room."] * 2


async def test_what_was_left_out_while_the_disk_was_full_is_left_out_afterwards(kept, library_file):
    async with kept() as it:
        await it.ask("one")
        await it.ask("two")
        library = await it.session.keeper.library()
        leave_out, library.leave_out = library.leave_out, refuse
        await it.session.leave_out({it.session.turns[0]: (True, False)})
        await it.session.leave_out({it.session.turns[2]: (True, False)})
        assert it.session.keeper.state == "not saved"
        library.leave_out = leave_out
        await it.ask("three")
        assert it.session.keeper.state == "saved"
    with Library(library_file) as library:
        path = library.open(1).path
        assert [m.content for m in path if m.left_out] == ["one", "two"]


async def test_what_could_not_be_saved_is_in_an_export(kept, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with kept() as it:
        library = await it.session.keeper.library()
        create, library.create = library.create, refuse
        await it.ask("never saved")
        await acts.export(it.app.chat, "text nothing.txt")
        assert "never saved" in (tmp_path / "nothing.txt").read_text()
        library.create = create
        await it.ask("saved")
        library.add_message = refuse
        await it.ask("the last words")
        await acts.export(it.app.chat, "json all.json")
        written = (tmp_path / "all.json").read_text()
        assert all(words in written for words in ("never saved", "saved", "the last words", "mirror"))
        assert written.count('"candidates"') > 3, "tokens are in it too"


async def test_values_turned_after_the_last_reply_are_kept_with_the_conversation(kept, library_file):
    async with kept() as it:
        await it.ask("one")
        it.session.change(temperature=1.3)
        await it.press("ctrl+n")
        await it.ask("two")
    with Library(library_file) as library:
        assert library.conversation(1).sampling.temperature == 1.3


async def test_a_locked_library_holds_up_neither_the_answer_nor_the_way_out(kept, library_file, monkeypatch):
    monkeypatch.setattr(writing, "SAVE_SECONDS", 0.05)
    monkeypatch.setattr(state, "LEAVING_SECONDS", 0.0)
    monkeypatch.setattr(store.Store.__init__, "__kwdefaults__", {"busy_seconds": 3600.0})
    async with kept() as it:
        await it.ask("one")
        with closing(sqlite3.connect(library_file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await it.say("two")
            await it.until(lambda: it.session.live is None and len(it.session.turns) >= 4)
            assert it.session.turns[-1].text or it.session.turns[-2].text, "it was answered"
            assert it.session.keeper.state != "saved"
            await it.session.close()
            assert "could be saved: Another program has kept" in it.session.keeper.lost
            assert not any("no model" in notice for notice in it.notices())


async def test_that_it_is_saved_is_shown_also_where_not_everything_fits(kept):
    async with kept(size=(112, 36)) as it:
        await it.ask("one")
        await it.until(lambda: it.lines()[-2].rstrip().endswith("saved"))
        assert "cpu" not in it.lines()[-2]


async def test_a_writing_that_is_cancelled_is_not_written_twice(kept, library_file):
    """As when a mistake in the program ends what goes on in the background."""
    async with kept() as it:
        live = await it.hold(at=5)
        keeper = it.session.keeper
        await it.until(lambda: live.stored == 5)
        library = await keeper.library()
        live.stored = 3  # as if the last two were still to be written
        extend_reply, begun = library.extend_reply, asyncio.Event()
        written = []

        async def slowly(number, tokens):
            begun.set()
            await asyncio.sleep(0.1)
            written.append(len(tokens))

        library.extend_reply = slowly
        question = it.session.turns[0]
        flushing = asyncio.ensure_future(keeper._flush(live, question, it.session.values.sampling))
        await begun.wait()
        flushing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await flushing
        library.extend_reply = extend_reply
        assert written == [2] and live.stored == 5


async def test_walking_through_a_library_that_is_only_read_says_nothing_of_saving(kept, monkeypatch):
    async with kept() as it:
        await it.ask("one")
        monkeypatch.setattr(AsyncLibrary, "is_saving", property(lambda _library: False))
        library = await it.session.keeper.library()
        library.configure = refuse
        it.session.change(temperature=1.3)
        await it.session.resume(1)
        assert it.notices() == []
