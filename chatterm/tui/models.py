"""What the catalog says about models, in the words of the screen."""

from __future__ import annotations

from chatterm.checkpoint.catalog import CatalogEntry, catalog
from chatterm.engine.records import ModelInfo
from chatterm.language import _
from chatterm.tui import bars

OFFERED = 3


def entry_of(info: ModelInfo) -> CatalogEntry | None:
    """The catalog's entry for a loaded model, told by name and number of parameters."""
    name = info.name.lower()
    return next((e for e in catalog() if name.startswith(e.name.lower()) or e.name.lower() in name), None)


def download_size(entry: CatalogEntry) -> str:
    """How much a download takes."""
    size = entry.hub.bytes or (entry.wheel.wheel_bytes if entry.wheel is not None else None)
    return bars.size(size) if size else _("size unknown")


def about(info: ModelInfo | None) -> tuple[str, str]:
    """What the catalog says of the loaded model, and a line about better ones."""
    entry = entry_of(info) if info is not None else None
    parameters = info.parameters if info is not None else 0
    better = [e for e in catalog() if e.kind == "chat" and e.parameters > 1.2 * parameters]
    offers = ", ".join(
        f"{e.title} ({download_size(e)}, {e.licence})"
        for e in sorted(better, key=lambda e: e.parameters)[:OFFERED]
    )
    offers = offers if info is not None else ""
    line = "› " + (
        _("Better ones: {offers} … F3").format(offers=offers) if offers else _("Other models … F3")
    )
    return (entry.description if entry is not None else ""), line
