"""Loading, choosing and losing models."""

from __future__ import annotations

import asyncio
import errno
import os
from functools import partial

from scripted_model import CHINESE, HAIKU, WORDS

from chatterm.chat.branches import Branch
from chatterm.engine.client import EngineProcess
from chatterm.engine.messages import Progress
from chatterm.library import AsyncLibrary, Library
from chatterm.tui.dialogs.picker import PickerScreen
from chatterm.tui.messages import CancelWanted, ModelChosen


async def test_a_message_sent_before_the_model_is_ready_is_answered_then(chat, knobs):
    knobs.load_gate = asyncio.Event()
    async with chat() as it:
        await it.until(lambda: "Loading" in it.text())
        await it.say("early")
        assert it.session.live is None
        knobs.load_gate.set()
        await it.until(lambda: it.session.last_reply is not None and it.session.live is None)
        assert it.session.last_reply.text == "".join(HAIKU)


async def test_a_download_shows_size_speed_and_remaining_time(chat, knobs):
    knobs.fetch_gate = asyncio.Event()
    knobs.fetch_progress = [
        Progress(
            request=1,
            what="downloading model.safetensors",
            done=42_000_000,
            total=93_000_000,
            unit="bytes",
            per_second=5.2e6,
            remaining=9.8,
        )
    ]
    async with chat(model="default") as it:
        await it.until(lambda: "42 MB of 93 MB · 5.2 MB/s · 10 s left" in it.text())
        assert "Downloading model.safetensors" in it.text()
        assert "You can write meanwhile" in it.text()
        knobs.fetch_gate.set()
        await it.ready()


async def test_no_model_is_one_clear_sentence_and_no_crash(chat, knobs):
    knobs.fetch_error = "The hub cannot be reached; put a GGUF file into /models."
    async with chat(model="default") as it:
        await it.until(lambda: "The hub cannot be reached" in it.transcript())
        await it.say("hello?")
        assert it.session.info is None
        knobs.fetch_error = None
        await it.session.host.open("default")
        await it.until(lambda: it.session.last_reply is not None and it.session.live is None)


async def test_a_checkpoint_that_does_not_load_keeps_the_old_one(chat, knobs):
    async with chat() as it:
        await it.ask()
        knobs.load_error = "That file is damaged; fetch it again."
        await it.session.host.open("Scripted-1B")
        assert it.session.info.name == "Scripted-135M"
        assert "That file is damaged; fetch it again." in it.notices()
        knobs.load_error = None
        await it.ask("still there?")


async def test_an_engine_that_dies_while_it_loads_is_tried_once_more(chat, knobs):
    knobs.deaths_while_loading = 1
    async with chat() as it:
        await it.until(lambda: it.session.info is not None)
        assert any(notice.endswith("It is tried once more.") for notice in it.notices())


async def test_a_loaded_model_that_is_cancelled_while_it_waits_for_a_reply_is_closed(chat, knobs):
    async with chat() as it:
        await it.hold()
        it.app.post_message(ModelChosen("/models/Scripted-1B.gguf"))
        await it.until(lambda: any(one.info and one.info.name == "Scripted-1B" for one in knobs.started))
        await it.until(lambda: it.session.engines.step is None)
        assert it.session.host.is_busy, "it waits for the end of the reply"
        it.app.post_message(CancelWanted())
        await it.until(lambda: not it.session.host.is_busy)
        assert [one.closed for one in knobs.started if one.info] == [False, True]
        knobs.go.set()
        await it.until(lambda: it.session.live is None)
        assert it.session.info.name == "Scripted-135M"


async def test_cancelling_while_the_old_engine_ends_leaves_the_new_one_answering(chat, knobs, monkeypatch):
    async with chat() as it:
        await it.ready()
        old, ending = it.session.engines.engine, asyncio.Event()

        async def slowly():
            ending.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(old, "close", slowly)
        it.app.post_message(ModelChosen("/models/Scripted-1B.gguf"))
        await it.until(ending.is_set)
        it.app.post_message(CancelWanted())
        await it.until(lambda: not it.session.host.is_busy)
        assert it.session.info.name == it.session.keeper.model == "Scripted-1B"
        await it.ask()


class Crowded:
    """A machine that sometimes has no room for another process: the engine's own way of starting it fails."""

    def __init__(self, knobs, monkeypatch):
        self.is_full = False
        self.attempts = 0
        scripted = knobs.start

        async def no_room(*_arguments, **_more):
            self.attempts += 1
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

        monkeypatch.setattr("asyncio.create_subprocess_exec", no_room)
        monkeypatch.setattr(knobs, "start", lambda: EngineProcess.start() if self.is_full else scripted())


async def test_a_machine_without_room_for_a_process_is_a_sentence_and_no_end(chat, knobs, monkeypatch):
    machine = Crowded(knobs, monkeypatch)
    machine.is_full = True
    async with chat(model="default") as it:
        await it.until(lambda: bool(it.session.host.trouble))
        assert "could not be started" in it.session.host.trouble
        assert machine.attempts == 2 and it.session.engines.step is None
        await it.press("f3")
        await it.until(lambda: "could not be started" in it.text())
        await it.press("escape")
        download = it.session.downloads.begin("Scripted-1B")
        await it.until(lambda: download.state == "failed")
        assert "could not be started" in download.sentence
        machine.is_full = False
        await it.session.host.open("Scripted-135M")
        await it.ask()


async def test_a_restart_for_which_there_is_no_room_counts_as_one(chat, knobs, monkeypatch):
    machine = Crowded(knobs, monkeypatch)
    async with chat() as it:
        await it.ask()
        machine.is_full = True
        it.session.engines.engine.alive = False
        it.session.host.look()
        await it.until(lambda: "could not be started" in it.session.host.trouble)
        await it.until(lambda: not it.session.host.is_busy)
        assert machine.attempts == 1 and it.session.engines.engine is None
        machine.is_full = False
        await it.say("still there?")
        await it.session.host.open("Scripted-135M")
        await it.until(lambda: it.session.last_reply is it.session.turns[-1] and it.session.live is None)


async def test_an_engine_that_dies_at_every_loading_is_given_up(chat, knobs):
    knobs.deaths_while_loading = 10
    async with chat() as it:
        await it.until(lambda: bool(it.session.host.trouble))
        assert knobs.deaths_while_loading == 8
        assert it.session.info is None


async def test_the_picker_lists_what_is_found_and_what_can_be_fetched(chat):
    async with chat(size=(120, 60)) as it:
        await it.ready()
        await it.press("ctrl+o")
        await it.until(lambda: "Scripted-1B" in it.text())
        text = it.text()
        assert "● Scripted-135M" in text
        assert "llama · 135M · Q4_1 · fits (220 MB) · up to 43 tok/s · models/" in text
        assert "too large now (needs 43.0 GB)" in text
        assert "mixtral is a mixture of experts, which chatterm cannot run yet." in text
        assert "On this machine · 4.0 GB of memory free" in text
        assert "To download" in text and "Apache-2.0" in text and "Qwen3 0.6B" in text
        await it.press("escape")
        assert it.app.screen is it.app.chat


async def test_an_unloadable_checkpoint_cannot_be_chosen(chat):
    async with chat() as it:
        await it.ready()
        await it.press("f3")
        await it.until(lambda: "Scripted-1B" in it.text())
        options = it.app.screen.query_one("OptionList").options
        unloadable = [option for option in options if option.id and "mixture" in option.id]
        assert [option.disabled for option in unloadable] == [True]
        assert options[-1] is unloadable[-1], "below everything that can be chosen"


async def test_another_model_is_loaded_while_the_chat_goes_on(chat, knobs):
    async with chat() as it:
        live = await it.hold(at=4)
        knobs.load_gate = asyncio.Event()
        old = it.session.engines.engine
        await it.press("f3")
        await it.until(lambda: "Scripted-1B" in it.text())
        await it.press("enter")
        await it.until(lambda: it.app.screen is it.app.chat and it.session.engines.step is not None)
        await it.press("h", "i")
        assert it.session.engines.engine is old, "the old one goes on"
        knobs.load_gate.set()
        knobs.go.set()
        await it.until(lambda: it.session.info is not None and it.session.info.name == "Scripted-1B")
        assert live.text == "".join(HAIKU), "the running reply was finished by the old model"
        assert live.model == "Scripted-135M"
        await it.until(lambda: old.closed)
        assert "From here on Scripted-1B answers." in it.notices()
        knobs.hold_at = None
        reply = await it.ask("and you?")
        assert reply.model == "Scripted-1B"
        assert len(knobs.chats[-1].messages) == 3, "the conversation goes on"


async def test_a_model_that_does_not_fit_beside_the_old_one_replaces_it_first(chat, knobs):
    async with chat() as it:
        await it.ask()
        old = it.session.engines.engine
        knobs.available_bytes = 1_000_000_000
        knobs.load_gate = asyncio.Event()
        loading = asyncio.create_task(it.session.host.open("/models/Scripted-1B.gguf"))
        await it.until(lambda: old.closed)
        knobs.load_gate.set()
        await loading
        assert it.session.info.name == "Scripted-1B"
        assert any("Both models do not fit" in notice for notice in it.notices())


async def test_a_dead_engine_is_started_again_and_the_partial_reply_is_kept(chat, knobs):
    async with chat() as it:
        await it.ready()
        knobs.die_at = 5
        await it.say("write")
        await it.until(lambda: any("memory ran out" in notice for notice in it.notices()))
        reply = it.session.last_reply
        assert reply.text == "".join(HAIKU[:5]) and reply.finish == "broken"
        await it.until(lambda: "what was written is kept" in it.transcript())
        knobs.die_at = None
        await it.ready()
        assert len(knobs.started) >= 2
        knobs.replies = [CHINESE]
        assert (await it.ask("again")).text == "".join(CHINESE)


async def test_after_the_second_death_in_a_row_it_is_not_started_again(chat, knobs):
    async with chat() as it:
        await it.ready()
        knobs.die_at = 2
        await it.say("one")
        await it.until(lambda: it.session.live is None and len(it.notices()) == 1)
        await it.ready()
        await it.say("two")
        await it.until(lambda: any("twice in a row" in notice for notice in it.notices()))
        await it.until(lambda: it.session.info is None and not it.session.host.is_busy)
        assert "twice in a row" in it.session.host.trouble


async def test_what_a_dying_engine_left_unanswered_is_asked_again_but_once(chat, knobs):
    async with chat() as it:
        await it.ready()
        knobs.die_at = 0
        await it.say("one")
        await it.until(lambda: any("twice in a row" in notice for notice in it.notices()))
        await it.until(lambda: it.session.info is None and not it.session.host.is_busy)
        assert len(knobs.chats) == 2 and len(it.notices()) == 2
        knobs.die_at = None
        await it.session.host.open("Scripted-135M")
        await it.until(lambda: it.session.last_reply is not None and it.session.live is None)
        assert it.session.last_reply.text == "".join(HAIKU)
        assert [message.content for message in knobs.chats[-1].messages] == ["one"]


async def test_a_fork_that_finds_the_engine_dead_is_told_once(chat, knobs):
    async with chat() as it:
        reply = await it.ask()
        it.session.engines.engine.alive = False
        it.session.fork(Branch(reply, 3), (WORDS.index(" sea"),))
        await it.until(lambda: it.notices() and not it.session.host.is_busy)
        await it.ready()
        assert len(it.notices()) == 1 and "started again" in it.notices()[0]
        assert it.session.last_reply is reply


async def test_an_engine_that_dies_while_idle_is_noticed(chat, knobs):
    async with chat() as it:
        await it.ask()
        it.session.engines.engine.alive = False
        await it.until(lambda: any("memory ran out" in notice for notice in it.notices()))
        await it.ready()


async def test_context_is_warned_of_before_and_when_it_is_full(chat, knobs):
    knobs.context = 36
    async with chat() as it:
        reply = await it.ask()
        assert reply.finish == "context"
        notices = it.notices()
        assert sum("tokens of the context window are filled" in notice for notice in notices) == 1
        assert any("The context window of 36 tokens is full" in notice for notice in notices)
        await it.until(lambda: "stopped: the context window is full" in it.transcript())


async def test_a_refusal_of_the_engine_is_told(chat, knobs):
    knobs.generate_error = "The conversation has 300 tokens, the context window 256; begin a new one."
    async with chat() as it:
        await it.ready()
        await it.say("too long")
        await it.until(lambda: knobs.generate_error in it.notices())
        assert it.session.live is None


async def test_notices_of_the_engine_are_shown(chat, knobs):
    knobs.notices = ("The system prompt was folded into the first message.",)
    async with chat() as it:
        await it.ask()
        assert "folded into the first message" in it.transcript()


async def test_the_welcome_says_what_the_model_is_and_offers_better_ones(chat, knobs):
    async with chat(model="SmolLM2-135M-Instruct") as it:
        await it.ready()
        await it.until(lambda: "135M parameters" in it.text())
        text = " ".join(it.text().split())
        assert "knows little" in text
        assert "726 MB" in text and "Apache-2.0" in text
        await it.pilot.click("#better")
        await it.until(lambda: isinstance(it.app.screen, PickerScreen))


async def test_quitting_ends_all_engines(knobs, chat):
    async with chat() as it:
        await it.ready()
        await it.press("f3")
        await it.until(lambda: len(knobs.started) == 2 or it.session.engines._scout is not None)
        await it.press("escape", "ctrl+q")
        await it.until(lambda: all(engine.closed for engine in knobs.started))


async def test_quitting_in_the_middle_of_a_reply_keeps_it(chat, knobs, tmp_path):
    file = tmp_path / "library.sqlite3"
    async with chat(library=partial(AsyncLibrary.open_library, file)) as it:
        live = await it.hold(at=5)
        await it.press("ctrl+q")
        await it.until(lambda: all(engine.closed for engine in knobs.started))
        assert live.finish == "stopped"
    with Library(file) as library:
        saved = library.open(library.last_conversation().id).path[-1]
        assert (saved.content, saved.tokens, saved.status) == ("".join(HAIKU[:5]), 5, "stopped")
