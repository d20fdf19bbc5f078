"""A real engine process with the real default model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from chatterm.engine.client import EngineProcess
from chatterm.engine.messages import LoadOptions

CONTEXT = 128


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(default_model_path: Path) -> AsyncIterator[EngineProcess]:
    async with await EngineProcess.start() as process:
        await process.load(str(default_model_path), LoadOptions(context=CONTEXT))
        yield process
