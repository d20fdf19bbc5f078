"""Conversations are saved as they happen and can be gone on with."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from scripted import ScriptedEngine, ScriptedReply
from scripted_model import HAIKU

from chatterm.chat.saving import Keeper, writing
from chatterm.chat.turns import Turn
from chatterm.errors import UserError
from chatterm.library import AsyncLibrary, Library
from chatterm.sampling import SamplingParameters


async def test_the_message_is_on_disk_before_the_model_is_asked(chat, library_file, stored, knobs):
    seen = []
    start = knobs.start

    async def start_watched():
        engine = await start()
        generate = engine.generate

        def watched(*args, **more):
            seen.append([message.content for message in stored()])
            return generate(*args, **more)

        engine.generate = watched
        return engine

    knobs.start = start_watched
    async with chat(library=partial(AsyncLibrary.open_library, library_file)) as it:
        await it.ask("remember me")
        assert seen == [["remember me"]]


async def test_a_growing_reply_is_on_disk_with_its_tokens(chat, library_file, stored):
    async with chat(library=partial(AsyncLibrary.open_library, library_file)) as it:
        live = await it.hold(at=5)
        await it.until(lambda: len(stored()) == 2 and stored()[1].tokens == 5)
        assert stored()[1].content == live.text
        assert "saving" in it.text() or "saved" in it.text()
        it.knobs.go.set()
        await it.until(lambda: not live.live)
        await it.until(lambda: it.session.keeper.state == "saved")
        assert stored()[1].status == "done"
        assert stored()[1].content == "".join(HAIKU)


async def test_a_library_that_cannot_be_opened_is_told_and_the_chat_goes_on(chat, tmp_path):
    (tmp_path / "file").write_text("")
    blocked = tmp_path / "file" / "library.sqlite3"
    async with chat(library=partial(AsyncLibrary.open_library, blocked, or_in_memory=True)) as it:
        await it.ask()
        assert any("nothing is saved" in notice for notice in it.notices())
        assert it.session.keeper.state == "not saved"


async def test_a_write_that_fails_is_told_once_and_does_not_stop_the_reply(chat):
    async with chat() as it:
        await it.ready()
        await it.session.keeper.library()

        async def refuse(*_args, **_more):
            raise UserError("The disk is full; make room.")

        library = it.session.keeper._library
        library.extend_reply = library.begin_reply = refuse
        await it.ask("one")
        await it.ask("two")
        assert it.notices().count("The disk is full; make room.") == 1
        assert it.session.keeper.state == "not saved"


async def test_what_could_not_be_saved_is_saved_as_soon_as_something_can(chat, library_file):
    async with chat(library=partial(AsyncLibrary.open_library, library_file)) as it:
        await it.ask("one")

        async def refuse(*_args, **_more):
            raise UserError("The disk is full; make room.")

        library = await it.session.keeper.library()
        add_message, library.add_message = library.add_message, refuse
        await it.ask("two")
        finish_reply, library.finish_reply = library.finish_reply, refuse
        library.add_message = add_message
        await it.ask("three")
        assert it.session.keeper.state == "not saved", "the reply to “three” has no end yet"
        await it.press("ctrl+n")
        assert it.session.keeper.state == "", "nothing of the new conversation is missing"
        library.finish_reply = finish_reply
        await it.ask("elsewhere")
        assert it.session.keeper.state == "saved"
        with Library(library_file) as stored:
            first = stored.conversations()[-1].id
            path = stored.open(first).path
            said = [message.content for message in path if message.role == "user"]
            replies = [(message.content, message.status) for message in path if message.role == "assistant"]
            assert said == ["one", "two", "three"]
            assert replies == [("".join(HAIKU), "done")] * 3


async def test_what_goes_to_a_file_that_is_not_the_library_any_more_is_not_shown_as_saved(chat, library_file):
    async with chat(library=partial(AsyncLibrary.open_library, library_file)) as it:
        await it.ask("one")
        assert it.session.keeper.state == "saved"
        for file in library_file.parent.glob(f"{library_file.name}*"):
            if file.is_file():
                file.rename(file.with_name(f"old-{file.name}"))
        await it.ask("two")
        await it.ask("three")
        assert it.session.keeper.state == "not saved"
        (told,) = [notice for notice in it.notices() if "moved, deleted or replaced" in notice]
        assert "start chatterm anew" in told
        assert [turn.text for turn in it.session.turns if turn.role == "user"] == ["one", "two", "three"]
        await it.session.resume(it.session.keeper.conversation)
        assert it.session.keeper.state == "not saved", "what can be read there is not in the library"


async def test_a_conversation_that_was_deleted_elsewhere_is_back_when_one_goes_on_in_it(chat, library_file):
    async with chat(library=partial(AsyncLibrary.open_library, library_file)) as it:
        await it.ask("one")
        with Library(library_file) as stored:
            stored.delete(it.session.keeper.conversation)
            assert stored.conversations() == ()
        await it.ask("two")
        assert it.session.keeper.state == "saved"
        with Library(library_file) as stored:
            (listed,) = stored.conversations()
            assert [m.content for m in stored.open(listed.id).path if m.role == "user"] == ["one", "two"]


async def test_a_conversation_that_was_purged_elsewhere_holds_up_no_other(chat, library_file):
    async with chat(library=partial(AsyncLibrary.open_library, library_file)) as it:
        await it.ask("one")
        with Library(library_file) as stored:
            stored.delete(it.session.keeper.conversation)
            stored.purge(it.session.keeper.conversation)
        await it.ask("two")
        assert it.session.keeper.state == "not saved"
        await it.press("ctrl+n")
        await it.ask("three")
        assert it.session.keeper.state == "saved"


async def test_leaving_saves_what_an_engine_that_cannot_be_stopped_has_written(
    chat, library_file, stored, monkeypatch
):
    monkeypatch.setattr(writing, "FLUSH_SECONDS", 1e6)
    monkeypatch.setattr("chatterm.chat.session.chat.STOP_SECONDS", 0.5)
    monkeypatch.setattr(ScriptedReply, "stop", lambda _reply: None)

    async def close(engine):
        engine.alive = False
        engine.knobs.go.set()

    monkeypatch.setattr(ScriptedEngine, "close", close)
    async with chat(library=partial(AsyncLibrary.open_library, library_file)) as it:
        await it.hold(at=5)
        await it.session.close()
        assert stored()[1].content == "".join(HAIKU[:5])


async def test_what_is_not_on_disk_is_never_shown_as_saved(chat, library_file):
    async with chat(library=partial(AsyncLibrary.open_library, library_file), size=(200, 36)) as it:
        await it.ask("one")
        await it.until(lambda: it.text().splitlines()[-2].rstrip().endswith("saved"))
        library, gate = it.session.keeper._library, asyncio.Event()
        add_message, begin_reply = library.add_message, library.begin_reply

        async def late(method, *args, **more):
            await gate.wait()
            return await method(*args, **more)

        library.add_message = partial(late, add_message)
        await it.say("two")
        await it.until(lambda: "two" in it.transcript())
        assert it.session.keeper.state == "saving"
        assert " saving " in it.text().splitlines()[-2]
        library.begin_reply = partial(late, begin_reply)
        it.knobs.hold_at = 3
        gate.set()
        await it.until(lambda: it.session.live is not None and len(it.session.live.tokens) == 3)
        assert it.session.keeper.state == "saving"
        it.knobs.go.set()
        await it.until(lambda: it.session.live is None and it.session.keeper.state == "saved")


async def test_a_message_belongs_to_the_conversation_in_which_it_was_sent(chat, library_file):
    gate = asyncio.Event()

    async def late():
        await gate.wait()
        return await AsyncLibrary.open_library(library_file)

    async with chat(library=late) as it:
        await it.ready()
        await it.say("one")
        await it.press("ctrl+n")
        await it.say("two")
        gate.set()
        await it.until(lambda: it.session.last_reply is not None and it.session.keeper.state == "saved")
        with Library(library_file) as library:
            said = [
                [(m.content, m.parent) for m in library.open(c.id).path if m.role == "user"]
                for c in library.conversations()
            ]
        assert said == [[("two", None)], [("one", None)]]


async def test_two_who_need_the_library_at_once_get_one():
    opened = []

    async def open_slowly():
        await asyncio.sleep(0.01)
        opened.append(await AsyncLibrary.in_memory())
        return opened[-1]

    keeper = Keeper(open_slowly, lambda _sentence: None, asyncio.ensure_future)
    one, two = await asyncio.gather(keeper.library(), keeper.library())
    assert one is two and opened == [one]
    await keeper.close()
    with pytest.raises(UserError, match="closed"):
        await keeper.library()


async def test_the_first_token_of_a_reply_does_not_wait_for_the_second(monkeypatch):
    monkeypatch.setattr(writing, "FLUSH_SECONDS", 1e6)  # whoever waits for that waits for ever
    tasks, begun = [], asyncio.Queue()
    library = await AsyncLibrary.in_memory()
    begin_reply = library.begin_reply

    async def watched(*args, **more):
        message = await begin_reply(*args, **more)
        begun.put_nowait(message)
        return message

    async def opened():
        return library

    library.begin_reply = watched
    keeper = Keeper(opened, lambda _: None, lambda work: tasks.append(asyncio.ensure_future(work)))
    sampling = SamplingParameters()
    question = Turn("user", "one")
    await keeper.said(question, None, sampling)
    for _ in range(2):
        reply = Turn("assistant", "The", model="Scripted-135M", live=True)
        keeper.grew(reply, question, sampling)
        await begun.get()
        reply.live = False
        await keeper.ended(reply, question, sampling, None)
    for task in tasks:
        task.cancel()
    await keeper.close()
