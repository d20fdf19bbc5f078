"""Models in the words of the screen: what the catalog says, what fits, how fast it would be."""

from __future__ import annotations

from chatterm.checkpoint.catalog import CatalogEntry, catalog
from chatterm.engine.messages import Discovered
from chatterm.language import _, mark
from chatterm.records.generation import ModelInfo
from chatterm.records.supply import HubRepository
from chatterm.tui.text import bars

OFFERED = 3
NO_SPEED = {
    "": "",
    "unmeasured": mark("no estimate of speed: this machine is measured when a model is first loaded"),
    "gpu": mark("no estimate of speed: only the processor's memory has been measured, and there is a GPU"),
}
"""Why there is no estimate, by `Discovered.no_speed`."""


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


# --- this machine ---------------------------------------------------------------------------------------


def fit(needed: int | None, machine: Discovered | None) -> str:
    """Whether it fits into the memory that is free; "" where that is not known."""
    if needed is None or machine is None:
        return ""
    size = bars.size(needed)
    if needed <= machine.available_bytes:
        return _("fits ({size})").format(size=size)
    return _("too large now (needs {size})").format(size=size)


def speed(step_bytes: int | None, machine: Discovered | None) -> str:
    """The most tokens per second that this machine's memory allows; "" where nothing was measured."""
    rate = machine.bytes_per_second if machine is not None else None
    if not step_bytes or not rate:
        return ""
    estimate = rate / step_bytes
    shown = f"{estimate:.1f}" if estimate < 9.95 else f"{estimate:.0f}"
    return _("up to {rate} tok/s").format(rate=shown)


def speed_reason(step_bytes: int | None, machine: Discovered | None) -> str:
    """How the estimate was made, or why there is none."""
    if machine is None:
        return ""
    if machine.bytes_per_second is None:
        return _(NO_SPEED[machine.no_speed])
    if not step_bytes:
        return ""
    return _("{speed}, an estimate: each token reads {size}, this machine reads {rate}/s").format(
        speed=speed(step_bytes, machine),
        size=bars.size(step_bytes),
        rate=bars.size(machine.bytes_per_second),
    )


# --- the hub --------------------------------------------------------------------------------------------


def count(number: int) -> str:
    """A count that need not be exact: `950`, `12.4k`, `3.1M`."""
    if number < 1000:
        return str(number)
    return f"{number / 1000:.1f}k" if number < 999_950 else f"{number / 1e6:.1f}M"


def repository_facts(found: HubRepository) -> list[str]:
    """What the hub says, in the order in which one wants to know it."""
    facts = ["+".join("GGUF" if kind == "gguf" else kind for kind in found.formats)]
    if found.parameters:
        facts.append(bars.parameters(found.parameters))
    facts += [found.family, found.licence or _("licence not stated")]
    if found.gated:
        facts.append(_("its licence must be accepted on the hub first"))
    facts.append(found.modified)
    return [fact for fact in facts if fact]


def popularity(found: HubRepository) -> str:
    """How often it was fetched in the last month, and how many people like it."""
    parts = [f"↓{count(found.downloads)}"] if found.downloads is not None else []
    parts += [f"♥{count(found.likes)}"] if found.likes is not None else []
    return " ".join(parts)


def gate(found: HubRepository, page: str, *, has_token: bool) -> str:
    """What has to be done before a gated repository can be fetched; "" for the others."""
    if not found.gated:
        return ""
    if has_token:
        return _(
            "Its licence has to be accepted first: at {page}, with the account that your token belongs to."
        ).format(page=page)
    return _(
        "Its licence has to be accepted first, at {page}; then log in with `hf auth login`, or set HF_TOKEN."
    ).format(page=page)
