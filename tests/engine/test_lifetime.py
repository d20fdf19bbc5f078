"""No process is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from chatterm.engine.client import EngineProcess
from chatterm.engine.protocol import EngineDiedError, EngineError


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


class Dying(EngineProcess):
    """The real worker with a fuse."""

    COMMAND = (sys.executable, "-P", str(Path(__file__).parents[1] / "faults" / "dying_worker.py"))


async def test_an_engine_killed_before_its_first_word_is_said_to_be_killed() -> None:
    class Stillborn(Dying):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            os.kill(self.pid, signal.SIGKILL)

    with pytest.raises(EngineDiedError, match="was killed") as caught:
        await Stillborn.start()
    assert "Reinstall" not in caught.value.sentence


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2], ids=["status 137", "MemoryError"])
async def test_an_idle_engine_without_memory_ends_and_says_so(number: signal.Signals) -> None:
    async with await Dying.start() as engine:
        os.kill(engine.pid, number)
        with pytest.raises(EngineDiedError, match="memory ran out"):
            while True:
                with contextlib.suppress(EngineError):  # no model is loaded
                    await engine.tokenize("Are you there?")


async def test_an_engine_starts_where_no_temporary_folder_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    async with await EngineProcess.start() as engine:
        assert engine.alive
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(EngineDiedError, match="memory ran out"):
            while True:
                with contextlib.suppress(EngineError):
                    await engine.tokenize("Are you there?")


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EAGAIN, errno.EMFILE])
async def test_a_process_that_cannot_be_begun_is_a_sentence(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_arguments: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("asyncio.create_subprocess_exec", refused)
    with pytest.raises(EngineDiedError, match=os.strerror(number)):
        await EngineProcess.start()


async def test_a_program_that_is_gone_is_a_sentence() -> None:
    class Gone(EngineProcess):
        COMMAND = ("/no/such/python",)

    with pytest.raises(EngineDiedError, match="No such file"):
        await Gone.start()


async def test_a_start_that_is_cancelled_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Silent(EngineProcess):
        COMMAND = (sys.executable, "-c", "import sys; sys.stdin.read()")

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            started.append(self)

    monkeypatch.setattr("chatterm.engine.client.SHUTDOWN_SECONDS", 0.01)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await Silent.start()
    assert all(engine._process.returncode is not None for engine in started)


async def test_what_a_dead_engine_wrote_is_kept_without_what_acts_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Loud(EngineProcess):
        COMMAND = (
            *(sys.executable, "-c"),
            r"import os; os.write(2, b'first \x1b]0;owned\x07\n\xe2\x80\xaelast \xff\n')",
        )

    monkeypatch.setenv("CHATTERM_LOG", str(tmp_path))
    with pytest.raises(EngineDiedError, match="The engine did not start"):
        await Loud.start()
    assert (tmp_path / "engine.log").read_text("utf-8") == "first ␛]0;owned␇\n\ufffdlast \ufffd\n"


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False
