"""Requests about checkpoints on disk and on the network. Only `Check` needs torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from chatterm.engine.messages import (
    AnyEvent,
    Check,
    Checked,
    Describe,
    Described,
    Discover,
    Discovered,
    Fetch,
    Fetched,
    Progress,
)
from chatterm.engine.speed import bandwidth
from chatterm.engine.supplying import unfinished
from chatterm.model.native.build import expected
from chatterm.paths import expand

Send = Callable[[AnyEvent], None]
Stopped = Callable[[], bool]


def answer(request: Discover | Fetch | Describe | Check, send: Send, stopped: Stopped) -> None:
    """Answer one request.

    Raises:
        UserError: the checkpoint cannot be found, fetched or read; the sentence says why.
    """
    match request:
        case Discover():
            send(_discover(request))
        case Fetch():
            send(Fetched(request=request.request, path=str(_find(request, send, stopped))))
        case Describe():
            send(_describe(request))
        case Check():
            send(_check(request, send, stopped))


def _discover(request: Discover) -> Discovered:
    from chatterm.checkpoint.discover import available_memory, discover

    found = discover([expand(folder) for folder in request.folders], packed=expected())
    rate, reason = bandwidth()
    return Discovered(
        request=request.request,
        checkpoints=tuple(found),
        available_bytes=available_memory(),
        unfinished=unfinished(),
        bytes_per_second=rate,
        no_speed=reason,
    )


def _find(request: Fetch, send: Send, stopped: Stopped) -> Path:
    from chatterm.checkpoint.fetch import FetchProgress, fetch
    from chatterm.checkpoint.locate import locate

    def report(progress: FetchProgress) -> None:
        send(Progress(request=request.request, unit="bytes", **asdict(progress)))

    return fetch(request.name, report, stopped) if request.download else locate(request.name)


def _describe(request: Describe) -> Described:
    from chatterm.checkpoint.describe import describe

    found, details = describe(Path(request.path), packed=expected())
    return Described(request=request.request, checkpoint=found, details=details)


def _check(request: Check, send: Send, stopped: Stopped) -> Checked:
    from chatterm.checkpoint.open import open_checkpoint
    from chatterm.errors import UserError
    from chatterm.model.check import check

    def tell(done: int, total: int) -> None:
        if stopped():
            raise UserError("The check was stopped.")
        send(Progress(request=request.request, what="checking", done=done, total=total, unit="tensors"))

    report = check(open_checkpoint(Path(request.path)), tell)
    verdict = "is whole and runs" if report.sound else "cannot be trusted"
    return Checked(
        request=request.request,
        summary=f"{report.name}: a {report.family} model in {report.quantisation} that {verdict}.",
        problems=report.problems,
        notices=report.notices,
        details={
            "path": report.path,
            "format": report.format,
            "parameters": report.parameters,
            "tensors": report.tensors,
            "file_bytes": report.file_bytes,
            "entropy": report.entropy,
            "cache_difference": report.cache_difference,
        },
    )
