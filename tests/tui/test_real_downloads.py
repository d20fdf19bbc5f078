"""Downloads of the interface with real engine processes, from a hub on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from chatterm.chat.downloads import Download, Downloads
from chatterm.chat.engines import Engines
from chatterm.engine.client import EngineProcess
from chatterm.engine.messages import LoadOptions
from tests.fakehub import FakeHub, running_hub, serving

NAME = "organisation/tiny"
PATIENCE = 60.0  # seconds after which a test gives up; never how long it takes
STALLS = (600_000, *[0] * 50)
"""Bytes after which the hub falls silent, time and again: a download waits until it is stopped."""


@pytest.fixture
def hub(monkeypatch, tmp_path):
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("CHATTERM_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("CHATTERM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    with serving() as serve, running_hub(serve) as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.endpoint)
        yield fake


class Program:
    """One start of the interface, as far as downloads are concerned."""

    def __init__(self) -> None:
        self.engines = Engines(EngineProcess.start, LoadOptions(), lambda: None)
        self.ended: list[Download] = []
        self.downloads = Downloads(self.engines, self._run, changed=lambda: None, ended=self.ended.append)
        self._tasks: list[asyncio.Task[None]] = []

    def _run(self, work):
        self._tasks.append(asyncio.create_task(work))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - a download has no event for it
                await asyncio.sleep(0.02)

    async def look(self) -> None:
        self.downloads.learn((await (await self.engines.scout()).discover()).unfinished)

    async def leave(self) -> None:
        for download in self.downloads.running:
            self.downloads.pause(download)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.engines.close()


@pytest_asyncio.fixture
async def program() -> AsyncIterator[Program]:
    running = Program()
    yield running
    await running.leave()


async def test_pause_another_start_resume(hub: FakeHub, program, tmp_path):
    hub.stall_after = list(STALLS)
    download = program.downloads.begin(NAME)
    await program.until(lambda: download.done > 600_000)
    assert download.total is not None and download.progress is not None
    program.downloads.pause(download)
    await program.until(lambda: download.task is None)
    assert download.state == "paused" and not (tmp_path / "models" / NAME).exists()
    await program.leave()
    hub.stall_after = []

    second = Program()
    try:
        await second.look()
        (found,) = second.downloads.all
        assert (found.name, found.state, found.total) == (NAME, "paused", download.total)
        assert found.done >= 600_000
        second.downloads.resume(found)
        await second.until(lambda: second.ended)
        assert second.ended == [found] and found.state == "done"
        assert (tmp_path / "models" / NAME / "model.safetensors").read_bytes() == hub.repositories[NAME][
            "model.safetensors"
        ]
        assert hub.requests_for("model.safetensors")[-1].range == "bytes=600000-"
        await second.look()
        assert second.downloads.all == [found], "nothing is left over"
    finally:
        await second.leave()


async def test_the_scout_looks_around_while_something_is_downloaded(hub, program):
    hub.stall_after = list(STALLS)
    download = program.downloads.begin(NAME)
    await program.until(lambda: download.done > 600_000)
    scout = await program.engines.scout()
    found = await asyncio.wait_for(scout.discover(), PATIENCE)
    assert [one.is_running for one in found.unfinished] == [True]
    searched = await asyncio.wait_for(scout.search_hub("tiny"), PATIENCE)
    assert [one.repository for one in searched.repositories] == [NAME]


async def test_giving_up_leaves_nothing(hub, program, tmp_path):
    hub.stall_after = list(STALLS)
    download = program.downloads.begin(NAME)
    await program.until(lambda: download.done > 600_000)
    assert await program.downloads.cancel(download) >= 600_000
    assert program.downloads.all == []
    left = [path for path in (tmp_path / "models").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []


async def test_a_failure_has_a_sentence_and_is_told(hub, program):
    hub.refusals["resolve"] = (401, "GatedRepo")
    download = program.downloads.begin(NAME)
    await program.until(lambda: program.ended)
    assert download.state == "failed" and "accept its licence first" in download.sentence


async def test_verify_and_delete(hub, program, tmp_path):
    download = program.downloads.begin(NAME)
    await program.until(lambda: program.ended)
    scout = await program.engines.scout()
    progress = []
    verdict = await scout.verify(download.path, progress.append)
    assert (verdict.checked, verdict.problems) == (6, ()) and progress[-1].done == progress[-1].total
    asked = await scout.delete(download.path, really=False)
    assert asked.size == verdict.size
    done = await scout.delete(download.path, really=True)
    assert (done.size, done.files) == (asked.size, asked.files)
    assert not (tmp_path / "models" / NAME).exists()
