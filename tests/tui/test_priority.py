"""The engine gives way to the interface."""

from __future__ import annotations

import asyncio
import os
import sys

import psutil
import pytest

from chatterm.tui import app

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such numbers there")


async def test_an_engine_comes_after_the_interface():
    engine = await app._start_engine_process()
    try:
        assert os.getpriority(os.PRIO_PROCESS, engine.pid) == min(psutil.Process().nice() + app.BEHIND, 19)
    finally:
        await engine.close()


async def test_a_process_that_has_gone_or_cannot_be_nicer_hurts_nobody():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE
    )
    os.setpriority(os.PRIO_PROCESS, process.pid, 19)
    app.give_way(process.pid)
    process.kill()
    await process.wait()
    app.give_way(process.pid)
