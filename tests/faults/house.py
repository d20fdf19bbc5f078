"""A chat under a pilot, with real engines that can be made to die, which goes on from case to case."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from unittest import mock

from chatterm.chat.turns import Turn
from chatterm.engine.client import EngineProcess
from chatterm.library import AsyncLibrary
from chatterm.settings import Settings
from chatterm.tui.app import ChattermApp
from chatterm.tui.widgets.composer import Composer

PATIENCE = 180.0
"""Seconds after which something is said never to come; a loaded machine takes its time."""

NEVER_ENDING = {"0": -float("inf"), "2": -float("inf")}
T = TypeVar("T")


class DyingEngine(EngineProcess):
    """An engine with a fuse (`tests/faults/dying_worker.py`)."""

    COMMAND: ClassVar[tuple[str, ...]] = (
        sys.executable,
        "-P",
        str(Path(__file__).with_name("dying_worker.py")),
    )
    started: ClassVar[list[DyingEngine]]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.started.append(self)  # before it has said its first word: it may never


class House:
    """A running chat. It stands still between two calls of `run`.

    Attributes:
        folder: where everything is.
        cases: how many it has seen.
        engines: all that were ever started in it.
    """

    def __init__(self, folder: Path, variables: dict[str, str] | None = None) -> None:
        from chatterm.checkpoint.locate import locate

        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.library = folder / "library.sqlite3"
        self.cases = 0
        self.model = str(locate("default"))
        self.engines: list[DyingEngine] = []
        self._variables = {
            "CHATTERM_LOG": str(folder / "log"),
            "CHATTERM_CONFIG": str(folder / "config"),
            "CHATTERM_DATA": str(folder),
            **(variables or {}),
        }
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._tasks: set[asyncio.Future[Any]] = set()
        self.app: ChattermApp
        self.run(self._open())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Let the chat go on until `work` is done."""
        with mock.patch.dict(os.environ, self._variables):
            return self._runner.run(work)

    async def _open(self) -> None:
        self.app = ChattermApp(
            Settings(
                model=self.model, language="en", threads=1, sampling={"seed": 7, "logit_bias": NEVER_ENDING}
            ),
            start_engine=type("Engine", (DyingEngine,), {"started": self.engines}).start,
            library=partial(AsyncLibrary.open_library, self.library),
        )
        self.pilot = await self._stack.enter_async_context(self.app.run_test(size=(120, 36)))

    def close(self) -> None:
        """End it."""
        self.run(self.app.session.close())
        self.run(self._stack.aclose())
        self._runner.close()

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the interface go on until something holds."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    await self.pilot.pause(0.005)
        except TimeoutError:
            raise AssertionError(f"it never came to pass; the screen:\n{self.text()}") from None

    async def until_ready(self) -> None:
        """Until a model can answer."""
        session = self.app.session
        await self.until(
            lambda: (
                not session.host.is_busy
                and (engine := session.engines.engine) is not None
                and engine.alive
                and engine.info is not None
            )
        )

    async def stop(self) -> None:
        """Stop a reply, if one is being written."""
        session = self.app.session
        session.stop()
        await self.until(lambda: session.live is None and session._quiet.is_set())

    async def say(self, text: str) -> None:
        """Write a message and send it."""
        composer = self.app.chat.query_one(Composer)
        composer.focus()
        composer.put(text)
        await self.press("enter")
        await self.until(lambda: any(t.role == "user" and t.text == text for t in self.app.session.turns))

    async def press(self, *names: str) -> None:
        """Press keys."""
        await self.pilot.press(*names)

    def begin(self, work: Awaitable[Any]) -> None:
        """Do something beside what follows; what becomes of it is looked at elsewhere."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def notices(self) -> list[Turn]:
        """chatterm's own sentences."""
        return [turn for turn in self.app.session.turns if turn.role == "notice"]

    def text(self) -> str:
        """The screen."""
        rows = self.app.screen._compositor.render_strips()
        return "\n".join(row.text for row in rows)
