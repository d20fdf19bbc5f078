"""Downloads from the picker: begun, paused, gone on with, given up, told when they fail."""

from __future__ import annotations

import asyncio

from picking import choose, open_picker, open_repository, toasts

from chatterm.engine.messages import Progress
from chatterm.records.supply import Unfinished
from chatterm.tui.text.downloads import line

PAUSED = Unfinished("people--Sea-3B", "people/Sea-3B-GGUF:Q4_K_M", 900_000_000, 2_000_000_000)
HALF = Progress(
    request=1,
    what="downloading",
    done=360_000_000,
    total=720_000_000,
    unit="bytes",
    per_second=5e6,
    remaining=72,
)


async def begin(it, knobs, *, then: str = "Download; go on") -> None:
    """Begin the first download of the repository, and stop it half way."""
    await it.ready()  # or the gate holds up the model the chat begins with
    knobs.fetch_gate, knobs.fetch_progress = asyncio.Event(), [HALF]
    await open_repository(it)
    await it.press("enter")
    await choose(it, then)
    await it.until(lambda: it.session.downloads.running and it.session.downloads.running[0].done)


async def test_a_download_goes_on_while_one_chats_and_says_when_it_is_done(chat, knobs):
    async with chat(size=(140, 36)) as it:
        await begin(it, knobs)
        await it.until(lambda: "50% · 5.0 MB/s · 1 min left" in it.text())
        await it.press("escape", "escape")
        assert it.app.screen is it.app.chat
        assert "↓ Sea-1B-GGUF:Q4_… 50% · 1 min left" in it.lines()[-2]
        reply = await it.ask()
        assert reply.finish == "end"
        knobs.fetch_gate.set()
        await it.until(lambda: "Sea-1B-GGUF:Q4_K_M is here; F3 loads it." in toasts(it))
        assert "↓" not in it.lines()[-2]
        assert it.session.info.name == "Scripted-135M", "nobody asked for another model"


async def test_download_and_load(chat, knobs):
    async with chat() as it:
        await begin(it, knobs, then="Download, and load")
        knobs.fetch_gate.set()
        await it.until(lambda: it.session.info is not None and "Sea-1B" in it.session.info.name)


async def test_pause_and_resume(chat, knobs):
    async with chat() as it:
        await begin(it, knobs)
        (download,) = it.session.downloads.all
        await it.press("escape")
        await choose(it, "people/Sea-1B-GGUF:Q4_K_M")
        await choose(it, "Pause it")
        await it.until(lambda: "paused · 50%" in it.text() and download.task is None)
        assert line(it.session.downloads.running) == ""
        knobs.fetch_gate.set()
        await choose(it, "people/Sea-1B-GGUF:Q4_K_M")
        await choose(it, "Go on with it")
        await it.until(lambda: download.state == "done")


async def test_a_download_of_an_earlier_start_is_listed_as_paused_and_goes_on(chat, knobs):
    knobs.unfinished = (PAUSED,)
    async with chat() as it:
        await open_picker(it)
        assert "paused · 45%" in it.text() and "900 MB of 2.0 GB" in it.text()
        await choose(it, "people/Sea-3B-GGUF:Q4_K_M")
        await choose(it, "Go on with it")
        await it.until(lambda: it.session.downloads.all[0].state == "done")


async def test_giving_up_frees_what_has_come(chat, knobs):
    knobs.unfinished = (PAUSED,)
    async with chat() as it:
        await open_picker(it)
        await choose(it, "people/Sea-3B-GGUF:Q4_K_M")
        assert "delete what has come (900 MB)" in it.text()
        await choose(it, "Give it up")
        await it.until(lambda: "900 MB are free again" in toasts(it))
        assert knobs.discarded == [PAUSED.key] and it.session.downloads.all == []


async def test_a_failure_is_told_and_can_be_tried_again(chat, knobs):
    async with chat() as it:
        await begin(it, knobs)
        knobs.fetch_error = "hub.example answers with HTTP status 500; try again later."
        knobs.fetch_gate.set()
        await it.until(lambda: "HTTP status 500" in toasts(it))
        (download,) = it.session.downloads.all
        assert download.state == "failed"
        await it.press("escape")
        knobs.fetch_error = None
        await choose(it, "people/Sea-1B-GGUF:Q4_K_M")
        await choose(it, "Go on with it")
        await it.until(lambda: download.state == "done")


async def test_only_two_at_once(chat, knobs):
    async with chat() as it:
        await it.ready()
        knobs.fetch_gate = asyncio.Event()
        downloads = it.session.downloads
        begun = [downloads.begin(f"people/model-{number}") for number in range(4)]
        assert downloads.begin("people/model-0") is begun[0], "once is enough"
        assert [one.state for one in begun] == ["running", "running", "waiting", "waiting"]
        downloads.pause(begun[0])
        assert [one.state for one in begun] == ["paused", "running", "running", "waiting"]
        knobs.fetch_gate.set()
        await it.until(lambda: [one.state for one in begun] == ["paused", "done", "done", "done"])
        await it.until(lambda: len([one for one in knobs.started if one.alive]) <= 2)


async def test_what_another_process_downloads_is_left_to_it(chat, knobs):
    knobs.unfinished = (Unfinished(PAUSED.key, PAUSED.name, PAUSED.done, PAUSED.total, True),)
    async with chat() as it:
        await open_picker(it)
        assert "another process is downloading it" in it.text()
        await choose(it, "people/Sea-3B")
        assert "Give it up" not in it.text()


async def test_leaving_in_the_middle_ends_the_downloads(chat, knobs):
    async with chat() as it:
        await begin(it, knobs)
        await it.press("escape", "escape", "ctrl+q")
        await it.until(lambda: all(engine.closed for engine in knobs.started))
