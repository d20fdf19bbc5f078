"""Answers to the requests about getting and keeping checkpoints. Nothing here needs torch."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from chatterm.engine.messages import AnyEvent, Progress
from chatterm.errors import UserError
from chatterm.model.native.build import expected
from chatterm.paths import user_models_folder
from chatterm.records.supply import (
    Delete,
    Deleted,
    Discard,
    HubOffered,
    HubSearched,
    LookAtHub,
    SearchHub,
    SupplyRequest,
    Unfinished,
    Verified,
    Verify,
)

Send = Callable[[AnyEvent], None]
Stopped = Callable[[], bool]


def answer(request: SupplyRequest, send: Send, stopped: Stopped) -> None:
    """Answer one request.

    Raises:
        UserError: it cannot be done; the sentence says why.
    """
    match request:
        case SearchHub():
            send(_search(request, stopped))
        case LookAtHub():
            send(_look(request, stopped))
        case Verify():
            send(_verify(request, send, stopped))
        case Delete():
            from chatterm.checkpoint.fetch.keeping import remove

            freed = remove(Path(request.path), really=request.really)
            send(Deleted(request=request.request, size=freed.size, files=freed.files))
        case Discard():
            from chatterm.checkpoint.fetch.unfinished import discard

            send(Deleted(request=request.request, size=discard(user_models_folder(), request.key), files=1))


def unfinished() -> tuple[Unfinished, ...]:
    """Downloads that began and did not end."""
    from chatterm.checkpoint.fetch.unfinished import unfinished

    return tuple(unfinished(user_models_folder()))


def _search(request: SearchHub, stopped: Stopped) -> HubSearched:
    from chatterm.checkpoint.fetch.search import search

    page = search(request.words, request.formats, request.more, check=_checking(stopped))
    return HubSearched(
        request=request.request,
        repositories=page.repositories,
        more=page.more,
    )


def _look(request: LookAtHub, stopped: Stopped) -> HubOffered:
    from chatterm.checkpoint.fetch.choices import look

    offer = look(request.repository, expected(), check=_checking(stopped))
    folder = user_models_folder()
    return HubOffered(
        request=request.request,
        repository=offer.facts,
        choices=offer.choices,
        page=offer.page,
        has_token=offer.has_token,
        folder=str(folder),
        free_bytes=_free(folder),
    )


def _free(folder: Path) -> int | None:
    """Bytes free on the disk on which a folder lies, or will lie."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None


def _checking(stopped: Stopped) -> Callable[[], None]:
    def check() -> None:
        if stopped():
            raise UserError("The search was stopped.")

    return check


def _verify(request: Verify, send: Send, stopped: Stopped) -> Verified:
    from chatterm.checkpoint.fetch.keeping import verify
    from chatterm.checkpoint.fetch.progress import FetchProgress, FetchStoppedError, Meter

    def report(progress: FetchProgress) -> None:
        send(Progress(request=request.request, unit="bytes", **asdict(progress)))

    try:
        verdict = verify(Path(request.path), Meter(report, stopped))
    except FetchStoppedError:
        raise UserError("Verifying was stopped; nothing was changed.") from None
    return Verified(request=request.request, **asdict(verdict))
