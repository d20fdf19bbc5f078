"""`chatterm models`: what is on this machine, what could be."""

from __future__ import annotations

import contextlib
import sys
from typing import Literal

import click
import msgspec
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chatterm import inert
from chatterm.checkpoint.catalog import CatalogEntry, catalog
from chatterm.cli import common, supply, words
from chatterm.cli.translated import Group
from chatterm.engine.messages import Checked, Described, Discovered
from chatterm.engine.protocol import EngineError
from chatterm.language import _, mark
from chatterm.records.supply import FoundCheckpoint, HubOffered
from chatterm.settings import load_settings

COLUMNS: dict[str, Literal["left", "right"]] = {
    mark("family"): "left",
    mark("weights"): "left",
    mark("size"): "right",
    mark("fits"): "left",
    mark("tok/s ≤"): "right",
    mark("where"): "left",
}
"""Of the table of what is here, behind the name: how each is aligned."""


@click.group("models", cls=Group)
def command() -> None:
    """List, fetch and look at checkpoints."""


command.add_command(supply.search)
command.add_command(supply.verify)
command.add_command(supply.delete)


@command.command("list")
@common.json_option
def list_(as_json: bool) -> None:
    """List what is here, and the catalog.

    What was found but cannot be loaded is listed with the reason, unfinished downloads with how far they are.
    “fits” is about the memory that is free now; “tok/s ≤” is an estimate: the weights that a token reads, at
    the rate that this machine was measured to read.

    \b
    Example, the names of what was found:
      chatterm models list --json | jq -r '.found[].name'
    """
    discovered = common.run(_discover())
    if as_json:
        common.print_json(
            {
                "found": [msgspec.to_builtins(found) for found in discovered.checkpoints],
                "catalog": [msgspec.to_builtins(entry) for entry in catalog()],
                "unfinished": [msgspec.to_builtins(one) for one in discovered.unfinished],
                "available_bytes": discovered.available_bytes,
                "bytes_per_second": discovered.bytes_per_second,
            }
        )
        return
    console = Console()
    _print_found(console, discovered)
    _print_unfinished(discovered)
    _print_catalog(console)


@command.command("get")
@click.argument("name")
def get(name: str) -> None:
    """Find or download one; print its path.

    NAME is a catalog name (`default` for the default model), a hub id `organisation/name` for its
    safetensors, or `organisation/name:FILE` for one GGUF file, by name or quantisation. It goes to your
    models folder. Size and licence are said before anything is fetched. Files are checked against the
    checksums of the hub. What breaks off, or is stopped with Ctrl+C, is kept, and the same command goes on
    where it stopped.

    \b
    Examples:
      chatterm models get Qwen3-0.6B
      chatterm models get organisation/name:Q4_K_M
      chatterm ask -m "$(chatterm models get default)" "Hello"

    A repository whose licence has to be accepted needs a token: `hf auth login`, or HF_TOKEN. Exit status 2:
    it cannot be had; 130: stopped.
    """

    async def work() -> str:
        async with common.engine() as engine:
            with contextlib.suppress(EngineError):
                return await engine.fetch(name, download=False)
            await supply.tell_before(engine, name)
            with common.progress_line() as show:
                return await engine.fetch(name, show, download=True)

    path = common.run(work())
    click.echo(inert.line(path) if sys.stdout.isatty() else path)


@command.command("show")
@common.json_option
@click.argument("model")
def show(model: str, as_json: bool) -> None:
    """Say what one is, or what a hub id offers.

    Of one on this machine the headers are read. Of `organisation/name` that is not here the hub is asked: its
    licence, and each checkpoint in it with its size, the memory it needs and an estimate of its speed;
    nothing is fetched.

    \b
    Examples:
      chatterm models show default
      chatterm models show organisation/name
    """

    async def work() -> tuple[Described | HubOffered, Discovered | None]:
        async with common.engine() as engine:
            try:
                return await engine.describe(await common.find(engine, model)), None
            except EngineError:
                found = supply.HUB_ID.fullmatch(model)
                if found is None:
                    raise
            offer = await engine.look_at_hub(found["repository"])
            return offer, await engine.discover(load_settings().model_folders)

    shown, discovered = common.run(work())
    if isinstance(shown, Described):
        facts = msgspec.to_builtins(shown.checkpoint) | shown.details
        common.print_json(facts) if as_json else supply.print_facts(facts)
    elif as_json:
        facts = msgspec.to_builtins(shown)
        common.print_json({name: facts[name] for name in facts if name not in ("type", "request")})
    else:
        assert discovered is not None, "it comes with the offer"
        supply.print_offer(shown, discovered)


@command.command("check")
@common.json_option
@click.argument("model")
def check(model: str, as_json: bool) -> None:
    """Read every number, and run it once.

    Shapes and numbers of a whole checkpoint are verified, and that its tokenizer and chat template can be
    read. Exit status 2: something is wrong with it.
    """

    async def work() -> Checked:
        async with common.engine() as engine:
            path = await common.find(engine, model)
            with common.progress_line() as show:
                return await engine.check(path, show)

    checked = common.run(work())
    if as_json:
        said = {"problems": list(checked.problems), "notices": list(checked.notices)}
        common.print_json({"summary": checked.summary} | said | checked.details)
    else:
        click.echo(inert.line(words.sentence(checked.summary)))
        supply.print_facts(checked.details)
        for notice in checked.notices:
            click.echo(_("note: {notice}").format(notice=inert.line(words.sentence(notice))))
        for problem in checked.problems:
            click.echo(_("problem: {problem}").format(problem=inert.line(problem)))
    if checked.problems:
        raise SystemExit(2)


async def _discover() -> Discovered:
    async with common.engine() as engine:
        return await engine.discover(load_settings().model_folders)


def _print_found(console: Console, discovered: Discovered) -> None:
    free = discovered.available_bytes
    table = Table(title=_("On this machine"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(_("name"), overflow="fold", ratio=1)
    for name, justify in COLUMNS.items():
        table.add_column(_(name), justify=justify)
    for found in discovered.checkpoints:
        if found.problem is None:
            fits = _("yes") if found.memory_bytes is None or found.memory_bytes <= free else _("no")
        else:
            fits = "–"
        row = (
            found.name,
            found.family or "–",
            f"{supply.count(found.parameters)} {found.quantisation or '–'}",
            supply.size(found.file_bytes),
            fits,
            supply.tokens_per_second(found.step_bytes, discovered),
            _(found.source),
        )
        table.add_row(*(Text(inert.line(cell)) for cell in row), style="dim" if found.problem else None)
    if not discovered.checkpoints:
        console.print(_("No checkpoint was found on this machine."))
        return
    console.print(table)
    for found in _unusable(discovered):
        console.print(Text(f"{inert.line(found.name)}: {inert.line(found.problem or '')}"), style="dim")
    room = _("{size} of memory are free.").format(size=f"{free / 1e9:.1f} GB")
    console.print(f"{room} {supply.speed_note(discovered)}")


def _print_unfinished(discovered: Discovered) -> None:
    for one in discovered.unfinished:
        done = supply.size(one.done)
        if one.total:
            done = _("{done} of {total}").format(done=done, total=supply.size(one.total))
        running = _("Unfinished: {name}, {done}, being downloaded now.")
        paused = _("Unfinished: {name}, {done}, paused; `chatterm models get` goes on with it.")
        sentence = running if one.is_running else paused
        click.echo(sentence.format(name=inert.line(one.name or one.key), done=done))


def _unusable(discovered: Discovered) -> list[FoundCheckpoint]:
    return [found for found in discovered.checkpoints if found.problem is not None]


def _print_catalog(console: Console) -> None:
    console.print("\n" + _("To be had with `chatterm models get NAME`"), style="italic")
    for entry in catalog():
        what = _("chat model") if entry.kind == "chat" else _("base model")
        parameters = _("{count} parameters").format(count=supply.count(entry.parameters))
        facts = _(", ").join((what, parameters, _size(entry), entry.licence))
        console.print(Text.assemble((entry.name, "bold"), f"  {facts}"))
        console.print(Padding(Text(_(entry.description)), (0, 0, 0, 4)))


def _size(entry: CatalogEntry) -> str:
    size = entry.hub.bytes
    return _("size unknown") if size is None else supply.size(size)
