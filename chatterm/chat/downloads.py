"""Downloads that go on while one chats: each in an engine process of its own, so that nothing waits for it.

A download that is paused, breaks off or outlives the program is kept on disk and goes on where it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from chatterm import inert
from chatterm.chat.engines import Engines
from chatterm.checkpoint.catalog import find_entry
from chatterm.engine.messages import Progress
from chatterm.errors import UserError
from chatterm.records.supply import Unfinished

AT_ONCE = 2
"""Downloads that run side by side; more would only share the same line."""

State = Literal["waiting", "running", "paused", "failed", "done", "elsewhere"]
"""`elsewhere`: another process works on it."""


ACTIVE: tuple[State, ...] = ("waiting", "running")


@dataclass(eq=False)
class Download:
    """One download, from the wish to the file."""

    name: str  # to fetch it with
    state: State = "waiting"
    then_load: bool = False
    progress: Progress | None = None
    done: int = 0  # bytes, as they were last known
    total: int | None = None
    key: str = ""  # of what has come, on disk
    path: str = ""  # where it lies once it is done
    sentence: str = ""  # why it failed
    task: asyncio.Task[Any] | None = field(default=None, repr=False)

    @property
    def title(self) -> str:
        """What to call it in a line."""
        return inert.line(self.name.rsplit("/", 1)[-1] or self.key)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.state in ("done", "failed")

    @property
    def share(self) -> float | None:
        """How much of it is here, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else None


class Downloads:
    """All downloads that this program knows of.

    Args:
        engines: starts the processes.
        run: runs a coroutine in the background.
        changed: is called when there is something new to show.
        ended: is called with a download that is done or has failed.
    """

    def __init__(
        self,
        engines: Engines,
        run: Callable[[Coroutine[Any, Any, None]], object],
        *,
        changed: Callable[[], object],
        ended: Callable[[Download], object],
    ) -> None:
        self._engines = engines
        self._run = run
        self._changed = changed
        self._ended = ended
        self.all: list[Download] = []

    # --- what there is ----------------------------------------------------------------------------------

    @property
    def running(self) -> list[Download]:
        """Those that are on their way now."""
        return [download for download in self.all if download.state == "running"]

    def find(self, name: str) -> Download | None:
        """The download of what `name` fetches."""
        return next((one for one in self.all if one.name and _same(one.name, name)), None)

    def learn(self, found: Iterable[Unfinished]) -> None:
        """Take in what lies unfinished on the disk: of an earlier start, or of another process."""
        found = tuple(found)
        keys = {one.key for one in found}
        kept = (*ACTIVE, "done")
        self.all = [one for one in self.all if one.state in kept or not one.key or one.key in keys]
        for one in found:
            known = next((mine for mine in self.all if mine.key == one.key), None)
            known = known or (self.find(one.name) if one.name else None)
            if known is None:
                known = Download(one.name, "paused")
                self.all.append(known)
            known.key = one.key
            if known.state not in ACTIVE:
                known.done, known.total = one.done, one.total
            if known.state in ("paused", "elsewhere"):
                known.state = "elsewhere" if one.is_running else "paused"
        self._changed()

    # --- what can be done -------------------------------------------------------------------------------

    def begin(self, name: str, *, then_load: bool = False) -> Download:
        """Fetch what `name` names, or go on with it."""
        download = self.find(name)
        if download is None:
            download = Download(name)
            self.all.append(download)
        download.then_load = then_load
        self.resume(download)
        return download

    def resume(self, download: Download) -> None:
        """Begin it, or go on with it, as soon as there is room."""
        if download.state not in ACTIVE:
            download.state, download.sentence = "waiting", ""
        self._start_waiting()

    def pause(self, download: Download) -> None:
        """Stop it and keep what has come."""
        if download.state in ACTIVE:
            download.state = "paused"
            if download.task is not None:
                download.task.cancel()
        self._start_waiting()

    async def cancel(self, download: Download) -> int:
        """Stop it and throw away what has come; the bytes that this frees.

        Raises:
            UserError: what has come cannot be deleted.
        """
        task = download.task
        self.pause(download)
        if task is not None:
            await asyncio.wait([task])
        scout = await self._engines.scout()
        left = (await scout.discover()).unfinished
        keys = {one.key for one in left if one.key == download.key or _same(one.name, download.name)}
        freed = sum([(await scout.discard(key)).size for key in keys])
        self.forget(download)
        return freed

    def forget(self, download: Download) -> None:
        """Show it no longer."""
        if download in self.all:
            self.all.remove(download)
        self._changed()

    # --- how it is done ---------------------------------------------------------------------------------

    def _start_waiting(self) -> None:
        for download in self.all:
            if len(self.running) >= AT_ONCE:
                break
            if download.state == "waiting" and download.task is None:
                download.state = "running"
                self._run(self._work(download))
        self._changed()

    async def _work(self, download: Download) -> None:
        if download.state != "running":
            return  # paused before it began
        download.task = asyncio.current_task()
        try:
            await self._fetch(download)
        finally:
            download.task = download.progress = None
            self._start_waiting()
        if download.has_ended:
            self._ended(download)

    async def _fetch(self, download: Download) -> None:
        engine = None
        try:
            engine = await self._engines.spare()
            download.path = await engine.fetch(download.name, lambda news: self._report(download, news))
            download.state = "done"
        except UserError as error:
            if download.state == "running":
                download.state, download.sentence = "failed", error.sentence
        finally:
            if engine is not None:
                await self._engines.close_spare(engine)

    def _report(self, download: Download, progress: Progress) -> None:
        download.progress = progress
        if progress.total is not None:
            download.done, download.total = progress.done, progress.total
        self._changed()


def _same(one: str, other: str) -> bool:
    """Whether two names fetch the same; an entry of the catalog is also called by its repository."""
    return _canonical(one) == _canonical(other)


def _canonical(name: str) -> str:
    entry = find_entry(name)
    return (entry.hub.repository if entry is not None else name).lower()
