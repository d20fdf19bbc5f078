"""What was saved is gone on with: tokens, branches, replies that were broken off, long conversations."""

from __future__ import annotations

from functools import partial

import pytest
from msgspec import structs
from scripted import ScriptedReply
from scripted_model import CHINESE, HAIKU

from chatterm.engine.messages import Finished
from chatterm.library import AsyncLibrary, Library, Token


async def test_the_last_conversation_is_resumed_with_its_token_records(chat, library_file, knobs):
    opened = partial(AsyncLibrary.open_library, library_file)
    async with chat(library=opened) as it:
        first = await it.ask("one")
        tokens = first.tokens
        await it.press("escape")
    knobs.hold_at = None
    async with chat(library=opened, resume=True) as it:
        await it.until(lambda: it.session.last_reply is not None)
        reply = it.session.last_reply
        assert reply.text == first.text
        assert [t.id for t in reply.tokens] == [t.id for t in tokens]
        assert reply.tokens[3].distribution.candidates[0].text == tokens[3].distribution.candidates[0].text
        await it.ready()
        await it.until(lambda: any(line.startswith("▶ .") for line in it.panel()))
        knobs.replies = [CHINESE]
        await it.ask("two")
        assert [m.content for m in knobs.chats[-1].messages] == ["one", "".join(HAIKU), "two"]


async def test_siblings_of_an_earlier_session_can_be_walked(chat, library_file, knobs):
    opened = partial(AsyncLibrary.open_library, library_file)
    knobs.replies = [HAIKU, CHINESE]
    async with chat(library=opened) as it:
        first = await it.ask("one")
        await it.press("ctrl+r")
        await it.until(lambda: it.session.last_reply is not first and it.session.live is None)
        await it.until(lambda: it.session.keeper.state == "saved")
    async with chat(library=opened, resume=True) as it:
        await it.until(lambda: "‹ 2/2 ›" in it.transcript())
        await it.press("alt+left")
        await it.until(lambda: it.session.last_reply.text == "".join(HAIKU))


async def test_the_branches_of_a_library_that_can_only_be_read_can_be_walked(chat, library_file):
    async with chat(library=partial(AsyncLibrary.open_library, library_file)) as it:
        await it.ask()
        it.knobs.replies = [CHINESE]
        await it.press("ctrl+r")
        await it.until(lambda: it.session.last_reply.text == "".join(CHINESE) and it.session.live is None)
        await it.until(lambda: it.session.keeper.state == "saved")

    async def read_only():
        library = await AsyncLibrary.open_library(library_file)
        library._library.is_read_only = True
        await library._run(lambda: library._library._connection.execute("PRAGMA query_only = ON"))
        return library

    async with chat(library=read_only, resume=True) as it:
        await it.until(lambda: len(it.session.turns) == 2)
        chinese = it.session.last_reply
        await it.session.show_sibling(chinese, -1)
        assert it.session.last_reply.text == "".join(HAIKU)
        assert await it.session.jump(chinese.number) is it.session.last_reply
        assert it.session.last_reply.text == "".join(CHINESE)
        assert it.session.keeper.state == "not saved"
    with Library(library_file) as library:
        assert library.open(1).path[-1].id == chinese.number


async def test_a_reply_that_the_death_of_the_program_broke_off_says_so(chat, library_file):
    with Library(library_file) as library:
        conversation = library.create().id
        question = library.add_message(conversation, None, "user", "one")
        reply = library.begin_reply(conversation, question.id, model="Scripted-135M")
        library.extend_reply(reply.id, text="The sea")
    async with chat(library=partial(AsyncLibrary.open_library, library_file), resume=True) as it:
        await it.until(lambda: "chatterm was ended in the middle" in it.transcript())


@pytest.mark.parametrize("answered", [False, True])
async def test_a_reply_that_was_stopped_within_a_character_goes_on_as_it_is_shown(
    chat, library_file, stored, monkeypatch, answered
):
    events = ScriptedReply.__aiter__

    async def with_half_a_character(self):
        async for event in events(self):
            if isinstance(event, Finished) and event.reason == "stopped":
                event = structs.replace(event, text="\ufffd")
            yield event

    monkeypatch.setattr(ScriptedReply, "__aiter__", with_half_a_character)
    async with chat(library=partial(AsyncLibrary.open_library, library_file)) as it:
        await it.hold(at=3)
        it.session.stop()
        await it.until(lambda: it.session.live is None and it.session.keeper.state == "saved")
        it.knobs.hold_at = None
        reply = it.session.last_reply
        assert reply.text == stored()[1].content == "".join(HAIKU[:3]) + "\ufffd"
        if answered:
            await it.ask("and?")
        it.session.continue_reply(reply)
        await it.until(lambda: it.session.last_reply.origin is reply and it.session.live is None)
        await it.until(lambda: it.session.keeper.state == "saved")
        assert it.session.last_reply.text == stored()[1].content == "".join(HAIKU)


async def test_records_of_a_long_conversation_come_when_their_turns_are_shown(chat, library_file):
    opened = partial(AsyncLibrary.open_library, library_file)
    token = Token(
        id=4,
        text="The sea",
        position=20,
        logprob=-1.0,
        rank=1,
        sampled=0.5,
        entropy=1.0,
        temperature=0.8,
        kept=3,
    )
    with Library(library_file) as library:
        conversation, parent = library.create().id, None
        for number in range(60):
            parent = library.add_message(conversation, parent, "user", f"question {number}").id
            parent = library.begin_reply(conversation, parent, model="Scripted-135M").id
            library.finish_reply(parent, "end", tokens=[token])
    async with chat(library=opened, resume=True) as it:
        await it.until(lambda: len(it.session.turns) == 120)
        replies = it.session.turns[1::2]
        assert replies[-1].tokens, "the newest reply can be looked at at once"
        await it.until(lambda: replies[-20].tokens)
        assert not replies[0].tokens and replies[0].unread == 1, "nobody has seen it yet"
        for shown in (40, 20, 0):
            await it.press("ctrl+home")
            await it.until(lambda first=shown: replies[first // 2].tokens)
        assert [reply.tokens[0].text for reply in replies] == ["The sea"] * 60
        assert not any(reply.unread for reply in replies)


async def test_earlier_conversations_can_be_chosen(chat):
    async with chat() as it:
        await it.ask("about cats")
        await it.press("ctrl+n")
        await it.ask("about [red]dogs[/red]")
        await it.press("f9")
        await it.until(lambda: "about cats" in it.text())
        assert "about [red]dogs[/red]" in it.text()
        await it.press("down", "enter")
        await it.until(lambda: it.session.turns and it.session.turns[0].text == "about cats")


async def test_an_unknown_conversation_is_one_sentence(chat, knobs):
    async with chat() as it:
        await it.session.resume(99)
        assert any("no conversation 99" in notice for notice in it.notices())
