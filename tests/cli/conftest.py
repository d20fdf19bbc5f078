"""Commands that share one engine: a process that is there already, instead of one for each command."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

import pytest

from chatterm.cli import common
from chatterm.engine.client import EngineProcess


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the locale of who runs the tests."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


@pytest.fixture(scope="session")
def _warm_engine() -> Iterator[tuple[asyncio.AbstractEventLoop, EngineProcess]]:
    loop = asyncio.new_event_loop()
    engine = loop.run_until_complete(EngineProcess.start())
    yield loop, engine
    loop.run_until_complete(engine.close())
    loop.close()


@pytest.fixture
def warm_engine(
    _warm_engine: tuple[asyncio.AbstractEventLoop, EngineProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands that run in this process ask an engine that all of them share."""
    loop, shared = _warm_engine

    @contextlib.asynccontextmanager
    async def engine() -> AsyncIterator[EngineProcess]:
        yield shared

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return loop.run_until_complete(work)

    monkeypatch.setattr(common, "engine", engine)
    monkeypatch.setattr(common, "run", run)
