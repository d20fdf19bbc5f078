"""Work in the background that ends without a word, also if it never began."""

from __future__ import annotations

import inspect
from typing import Any

from textual.worker import Worker
from textual.worker_manager import WorkerManager


class Workers(WorkerManager):
    """Closes the coroutine of a worker that was cancelled before its first step.

    By itself Textual leaves it to the garbage collector, which then writes a warning into the terminal.
    """

    def add_worker(self, worker: Worker[Any], start: bool = True, exclusive: bool = True) -> None:
        """As Textual's; see there."""
        super().add_worker(worker, start, exclusive)
        if worker._task is not None:
            worker._task.add_done_callback(lambda _: _close_unbegun(worker._work))


def _close_unbegun(work: object) -> None:
    if inspect.iscoroutine(work) and inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
        work.close()
