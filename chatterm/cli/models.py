"""`chatterm models`: what is on this machine, what could be."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chatterm import inert
from chatterm.checkpoint.catalog import CatalogEntry, catalog
from chatterm.cli import common
from chatterm.engine.messages import Checked, Described, Discovered, FoundCheckpoint
from chatterm.settings import load_settings


@click.group("models")
def command() -> None:
    """List, fetch and look at checkpoints."""


@command.command("list")
@common.json_option
def list_(as_json: bool) -> None:
    """List the checkpoints on this machine and those of the catalog.

    What was found but cannot be loaded is listed with the reason.
    """
    discovered = common.run(_discover())
    if as_json:
        common.print_json(
            {
                "found": [msgspec.to_builtins(found) for found in discovered.checkpoints],
                "catalog": [msgspec.to_builtins(entry) for entry in catalog()],
                "available_bytes": discovered.available_bytes,
            }
        )
        return
    console = Console()
    _print_found(console, discovered)
    _print_catalog(console)


@command.command("get")
@click.argument("name")
def get(name: str) -> None:
    """Find a checkpoint, or download it into your models folder; print its path.

    NAME is a catalog name (`default` for the default model) or a hub id.
    """

    async def work() -> str:
        async with common.engine() as engine:
            with common.progress_line() as show:
                return await engine.fetch(name, show, download=True)

    path = common.run(work())
    click.echo(inert.line(path) if sys.stdout.isatty() else path)


@command.command("show")
@common.json_option
@click.argument("model")
def show(model: str, as_json: bool) -> None:
    """Say what a checkpoint is, from its headers."""

    async def work() -> Described:
        async with common.engine() as engine:
            return await engine.describe(await common.find(engine, model))

    described = common.run(work())
    facts = msgspec.to_builtins(described.checkpoint) | described.details
    if as_json:
        common.print_json(facts)
    else:
        _print_facts(facts)


@command.command("check")
@common.json_option
@click.argument("model")
def check(model: str, as_json: bool) -> None:
    """Read a whole checkpoint, verify shapes and numbers, and run it once."""

    async def work() -> Checked:
        async with common.engine() as engine:
            path = await common.find(engine, model)
            with common.progress_line() as show:
                return await engine.check(path, show)

    checked = common.run(work())
    if as_json:
        common.print_json({"summary": checked.summary, "problems": list(checked.problems)} | checked.details)
    else:
        click.echo(inert.line(checked.summary))
        _print_facts(checked.details)
        for problem in checked.problems:
            click.echo(f"problem: {inert.line(problem)}")
    if checked.problems:
        raise SystemExit(2)


async def _discover() -> Discovered:
    async with common.engine() as engine:
        return await engine.discover(load_settings().model_folders)


def _print_found(console: Console, discovered: Discovered) -> None:
    free = discovered.available_bytes
    table = Table(title="On this machine", title_justify="left")
    table.add_column("name", overflow="fold", ratio=1)
    for name in ("family", "parameters", "weights", "size", "fits", "where"):
        table.add_column(name, justify="right" if name in ("parameters", "size") else "left")
    for found in discovered.checkpoints:
        if found.problem is None:
            fits = "yes" if found.memory_bytes is None or found.memory_bytes <= free else "no"
        else:
            fits = "–"
        row = (
            found.name,
            found.family or "–",
            count(found.parameters),
            found.quantisation or "–",
            f"{found.file_bytes / 1e6:.0f} MB",
            fits,
            found.source,
        )
        table.add_row(*(Text(inert.line(cell)) for cell in row), style="dim" if found.problem else None)
    if not discovered.checkpoints:
        console.print("No checkpoint was found on this machine.")
        return
    console.print(table)
    for found in _unusable(discovered):
        console.print(Text(f"{inert.line(found.name)}: {inert.line(found.problem or '')}"), style="dim")
    console.print(f"{free / 1e9:.1f} GB of memory are free.")


def _unusable(discovered: Discovered) -> list[FoundCheckpoint]:
    return [found for found in discovered.checkpoints if found.problem is not None]


def _print_catalog(console: Console) -> None:
    console.print("\nTo be had with `chatterm models get NAME`", style="italic")
    for entry in catalog():
        facts = f"{count(entry.parameters)} parameters, {_size(entry)}, {entry.licence}"
        console.print(Text.assemble((entry.name, "bold"), f"  {entry.kind} model, {facts}"))
        console.print(Padding(Text(entry.description), (0, 0, 0, 4)))


def _size(entry: CatalogEntry) -> str:
    size = entry.hub.bytes
    return "size unknown" if size is None else f"{size / 1e6:.0f} MB"


def count(parameters: int | None) -> str:
    """Like 135M or 1.7B."""
    if parameters is None:
        return "–"
    return f"{parameters / 1e9:.1f}B" if parameters >= 999.5e6 else f"{parameters / 1e6:.0f}M"


def _print_facts(facts: dict[str, Any]) -> None:
    shown = {inert.line(name.replace("_", " ")): value for name, value in facts.items()}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        if value is not None:
            click.echo(f"{name:<{width}}  {inert.line(str(value))}")
