"""The interface under a pilot, on the scripted engine and a library in memory."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from scripted import Knobs

from chatterm.chat.turns import Turn
from chatterm.library import AsyncLibrary, Library
from chatterm.settings import Settings
from chatterm.tui.app import ChattermApp
from chatterm.tui.widgets.composer import Composer
from chatterm.tui.widgets.next_token import NextTokenPanel
from chatterm.tui.widgets.transcript import Transcript
from chatterm.tui.widgets.welcome import Welcome

PATIENCE = 60.0  # seconds after which a test gives up; never how long it takes


class Chat:
    """A running interface and what a test does with it."""

    def __init__(self, app: ChattermApp, pilot, knobs: Knobs) -> None:
        self.app = app
        self.pilot = pilot
        self.knobs = knobs
        self.session = app.session

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the interface go on until something holds."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    await self.pilot.pause(0.01)
        except TimeoutError:
            raise AssertionError(f"it never came to pass; the screen:\n{self.text()}") from None
        await self.pilot.pause()

    async def ready(self) -> None:
        await self.until(lambda: self.session.info is not None and not self.session.host.is_busy)

    async def say(self, text: str) -> None:
        composer = self.app.chat.query_one(Composer)
        composer.focus()
        composer.put(text)
        await self.pilot.press("enter")
        await self.until(
            lambda: any(turn.role == "user" and turn.text == text for turn in self.session.turns)
        )

    async def ask(self, text: str = "Write a haiku about the sea.") -> Turn:
        """Say something and wait for the end of the reply."""
        await self.ready()
        before = self.session.last_reply
        await self.say(text)
        await self.until(lambda: self.session.last_reply not in (before, None) and self.session.live is None)
        await self.until(lambda: self.session.keeper.state != "saving")
        reply = self.session.last_reply
        assert reply is not None
        return reply

    async def hold(self, text: str = "Write a haiku about the sea.", at: int = 4) -> Turn:
        """Say something and stop in the middle of the reply, after `at` tokens."""
        await self.ready()
        self.knobs.go.clear()
        self.knobs.hold_at = at
        await self.say(text)
        await self.until(lambda: self.session.live is not None and len(self.session.live.tokens) == at)
        await self.pilot.pause(0.05)
        live = self.session.live
        assert live is not None
        return live

    async def press(self, *names: str) -> None:
        await self.pilot.press(*names)
        await self.pilot.pause()

    def lines(self) -> list[str]:
        """The rows of the screen as text."""
        rows = self.app.screen._compositor.render_strips()
        return [row.text for row in rows][: self.app.size.height]

    def text(self) -> str:
        return "\n".join(self.lines())

    def transcript(self) -> str:
        widget = self.app.chat.query_one(Transcript)
        return "\n".join(widget.render_line(y).text.rstrip() for y in range(widget.size.height))

    def panel(self) -> list[str]:
        widget = self.app.chat.query_one(NextTokenPanel)
        return [widget.render_line(y).text.rstrip() for y in range(widget.size.height)]

    def welcome(self) -> str:
        return "\n".join(str(w.render()) for w in self.app.chat.query_one(Welcome).query("Static"))

    def notices(self) -> list[str]:
        return [turn.text for turn in self.session.turns if turn.role == "notice"]


@pytest.fixture
def knobs() -> Knobs:
    return Knobs()


@pytest.fixture
def chat(knobs):
    """`async with chat(size=…) as running:` a running interface."""

    @asynccontextmanager
    async def run(
        size=(120, 36), *, library=AsyncLibrary.in_memory, resume=False, **settings
    ) -> AsyncIterator[Chat]:
        app = make_app(knobs, library=library, resume=resume, **settings)
        async with app.run_test(size=size) as pilot:
            running = Chat(app, pilot, knobs)
            await pilot.pause()
            yield running
            await app.session.close()

    return run


def make_app(
    knobs: Knobs, *, library=AsyncLibrary.in_memory, resume=False, layout_file=None, **settings
) -> ChattermApp:
    settings = {"model": "Scripted-135M", "language": "en", **settings}
    return ChattermApp(
        Settings(**settings),
        start_engine=knobs.start,
        library=library,
        resume=resume,
        draw=lambda: 4711,
        layout_file=layout_file,
    )


@pytest.fixture
def library_file(tmp_path):
    return tmp_path / "library.sqlite3"


@pytest.fixture
def stored(library_file):
    """What another program sees on disk."""

    def read():
        with Library(library_file) as library:
            last = library.last_conversation()
            return [] if last is None else list(library.open(last.id).path)

    return read
