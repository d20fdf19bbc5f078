"""The engines of a session: the one that answers, its loading and its deaths, and the scout beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from chatterm import inert
from chatterm.engine.messages import Discovered, LoadOptions, Progress
from chatterm.engine.protocol import Engine, OnProgress
from chatterm.language import mark
from chatterm.paths import expand
from chatterm.records.generation import ModelInfo
from chatterm.records.supply import Deleted, Format, HubOffered, HubSearched, Verified


class LocalEngine(Engine, Protocol):
    """An engine that also knows what lies on this machine."""

    @property
    def alive(self) -> bool:
        """Whether it can still be asked something."""
        ...

    async def discover(self, folders: tuple[str, ...] = ()) -> Discovered:
        """The checkpoints on this machine."""
        ...

    async def fetch(self, name: str, on_progress: OnProgress | None = None) -> str:
        """Find or download a checkpoint; its path."""
        ...

    async def search_hub(self, words: str, more: dict[Format, str] | None = None) -> HubSearched:
        """Repositories of the hub whose names hold these words."""
        ...

    async def look_at_hub(self, repository: str) -> HubOffered:
        """What a repository of the hub offers."""
        ...

    async def verify(self, path: str, on_progress: OnProgress | None = None) -> Verified:
        """Hold the files of a checkpoint against their checksums."""
        ...

    async def delete(self, path: str, *, really: bool) -> Deleted:
        """Delete a checkpoint that chatterm downloaded, or only say what that would free."""
        ...

    async def discard(self, key: str) -> Deleted:
        """Delete what has come of an unfinished download."""
        ...


StartEngine = Callable[[], Awaitable[LocalEngine]]


@dataclass(frozen=True)
class Step:
    """What the engines are busy with, in words, and how far it is."""

    what: str
    progress: Progress | None = None


class Engines:
    """Owns the engine processes.

    `engine` is the one that answers, None while none can. A checkpoint is loaded into a new process while the
    old one goes on; `adopt` makes the new one the engine and closes the old.
    """

    def __init__(self, start: StartEngine, options: LoadOptions, changed: Callable[[], object]) -> None:
        self._start = start
        self._options = options
        self._changed = changed
        self._scout: LocalEngine | None = None
        self._scout_lock = asyncio.Lock()
        self._loading: LocalEngine | None = None
        self._spare: list[LocalEngine] = []
        self.engine: LocalEngine | None = None
        self.path = ""
        self.step: Step | None = None

    @property
    def info(self) -> ModelInfo | None:
        """What the engine has loaded."""
        return self.engine.info if self.engine is not None else None

    async def find(self, model: str) -> str:
        """The path of a model given as a path, a catalog name or a hub id; downloads it if need be.

        Raises:
            UserError: it cannot be had; the sentence says what to do.
        """
        self._say(f"Finding {model}")
        if (path := await asyncio.to_thread(_on_disk, model)) is not None:
            return path
        engine = None
        try:
            engine = await self.spare()  # a download must not keep the scout from looking around
            return await engine.fetch(model, lambda progress: self._say("Fetching the model", progress))
        finally:
            self._say(None)
            if engine is not None:
                await self.close_spare(engine)

    async def load(self, path: str) -> LocalEngine:
        """A new engine with the checkpoint at `path`.

        Raises:
            UserError: it cannot be loaded.
        """
        self._say(mark("Starting the engine"))
        try:
            self._loading = engine = await self._start()
            self._say(mark("Loading the model"))
            await engine.load(
                path, self._options, lambda progress: self._say(mark("Loading the model"), progress)
            )
        except BaseException:
            if self._loading is not None:
                await self._loading.close()
            raise
        finally:
            self._loading = None
            self._say(None)
        return engine

    async def adopt(self, engine: LocalEngine, path: str) -> None:
        """Let `engine` answer from now on."""
        old, self.engine, self.path = self.engine, engine, path
        self._changed()
        if old is not None:
            await old.close()

    async def drop(self) -> None:
        """Close the engine, to make room for another."""
        old, self.engine = self.engine, None
        self._changed()
        if old is not None:
            await old.close()

    async def scout(self) -> LocalEngine:
        """A second engine, without a model, that looks around and downloads."""
        async with self._scout_lock:
            if self._scout is None or not self._scout.alive:
                self._scout = await self._start()
            return self._scout

    async def spare(self) -> LocalEngine:
        """An engine of its own for something long, without a model; `close_spare` ends it."""
        engine = await self._start()
        self._spare.append(engine)
        return engine

    async def beside(self, path: str) -> LocalEngine:
        """A further engine with the checkpoint at `path`, beside the one that answers; `close_spare` ends it.

        Raises:
            UserError: it cannot be loaded.
        """
        engine = await self.load(path)
        self._spare.append(engine)
        return engine

    async def close_spare(self, engine: LocalEngine) -> None:
        """End an engine that did something long."""
        if engine in self._spare:
            self._spare.remove(engine)
        await engine.close()

    async def close(self) -> None:
        """End all of them."""
        for engine in (self.engine, self._scout, self._loading, *self._spare):
            if engine is not None:
                await engine.close()
        self.engine = self._scout = None

    def _say(self, what: str | None, progress: Progress | None = None) -> None:
        self.step = Step(inert.line(what), progress) if what else None
        self._changed()


def _on_disk(model: str) -> str | None:
    path = expand(model)
    try:
        return str(path) if path.exists() else None
    except (OSError, ValueError):  # no name that a file could have
        return None
