"""No process is left behind."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest


def test_no_engine_outlives_its_client() -> None:
    code = textwrap.dedent("""
        import asyncio, os, signal
        from chatterm.engine.client import EngineProcess
        async def main():
            engine = await EngineProcess.start()
            print(engine.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        asyncio.run(main())
    """)
    client = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pid = int(client.stdout)
    for _ in range(100):
        if not _runs(pid):
            return
        time.sleep(0.1)
    pytest.fail(f"engine {pid} still runs")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False
