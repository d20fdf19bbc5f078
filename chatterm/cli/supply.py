"""`chatterm models search`, `verify` and `delete`, and what the hub says of a repository."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import click
from rich.cells import cell_len, set_cell_size

from chatterm import inert
from chatterm.cli import common, words
from chatterm.cli.translated import Command
from chatterm.errors import UserError
from chatterm.language import _, several

if TYPE_CHECKING:
    from chatterm.engine.client import EngineProcess
    from chatterm.engine.messages import Discovered
    from chatterm.records.supply import Deleted, HubChoice, HubOffered, HubRepository, Verified

HUB_ID = re.compile(r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(:(?P<choice>[^:]+))?", re.ASCII)


@click.command("search", cls=Command)
@common.json_option
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.argument("words", nargs=-1, required=True)
def search(as_json: bool, limit: int, words: tuple[str, ...]) -> None:
    """Search the Hugging Face hub.

    WORDS are parts of a name, or `organisation/name`. What holds no weights in GGUF or safetensors is left
    out; the most downloaded come first. Nothing is fetched: `chatterm models show ORGANISATION/NAME` lists
    the files of one with their sizes, and `get` fetches one.

    \b
    Examples:
      chatterm models search qwen3 gguf
      chatterm models search --json --limit 100 smollm2 | jq -r '.[].repository'

    The address of the hub is HF_ENDPOINT, where that is set. Exit status 2: it cannot be reached, or refuses.
    """

    async def work() -> list[HubRepository]:
        async with common.engine() as engine:
            page = await engine.search_hub(" ".join(words))
            found = list(page.repositories)
            while page.more is not None and len(found) < limit:
                page = await engine.search_hub(" ".join(words), page.more)
                known = {one.repository for one in found}
                found += [one for one in page.repositories if one.repository not in known]
            return found[:limit]

    found = common.run(work())
    if as_json:
        import msgspec

        common.print_json([msgspec.to_builtins(one) for one in found])
    elif not found:
        click.echo(_("The hub has nothing of that name with weights in GGUF or safetensors."), err=True)
    else:
        _print_repositories(found)


@click.command("verify", cls=Command)
@common.json_option
@click.argument("model")
def verify(as_json: bool, model: str) -> None:
    """Hold files against their checksums.

    The checksums are those of the download, of the catalog, or of the stores of Hugging Face and Ollama,
    which name files by them; nothing is asked over the network. MODEL is a name, a hub id or a path.
    `chatterm models check` reads the numbers themselves and runs the model once.

    Exit status 2: a file is damaged or missing, or no checksum is known.
    """

    async def work() -> Verified:
        async with common.engine() as engine:
            path = await common.find(engine, model)
            with common.progress_line() as show:
                return await engine.verify(path, show)

    verdict = common.run(work())
    if as_json:
        import msgspec

        facts = msgspec.to_builtins(verdict)
        common.print_json({name: facts[name] for name in ("checked", "size", "problems", "unknown")})
    else:
        for problem in verdict.problems:
            click.echo(_("problem: {problem}").format(problem=inert.line(problem)))
        for name in verdict.unknown:
            click.echo(_("no checksum is known of {file}").format(file=inert.line(name)))
        if not verdict.problems:
            whole = _("Whole: {files}, {size}, as announced.")
            click.echo(whole.format(files=files(verdict.checked), size=size(verdict.size)))
    if verdict.problems:
        raise SystemExit(2)


@click.command("delete", cls=Command)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("model")
def delete(yes: bool, model: str) -> None:
    """Delete one that was downloaded.

    It says first what that frees, and asks. What chatterm did not download is not deleted: the Hugging Face
    cache and Ollama share files between models. MODEL is a name, a hub id or a path, as `chatterm models
    list` shows it; the name of an unfinished download deletes what has come of it.

    \b
    Examples:
      chatterm models delete Qwen3-0.6B
      chatterm models delete --yes organisation/name:Q4_K_M

    Exit status 2: it is not there, or not chatterm's. Exit status 1: you said no.
    """
    common.run(_delete(model, yes=yes))


async def _delete(model: str, *, yes: bool) -> None:
    async with common.engine() as engine:
        discovered = await engine.discover()
        paused = next((one for one in discovered.unfinished if model in (one.name, one.key)), None)
        if paused is not None:
            question = _("Delete the {size} that have come of {name}?")
            _ask(question.format(size=size(paused.done), name=inert.line(model)), yes=yes)
            freed = await engine.discard(paused.key)
        else:
            path = await engine.fetch(model, download=False)
            planned = await engine.delete(path, really=False)
            question = _("Delete {path}? This frees {size} ({files}).")
            told = question.format(path=inert.line(path), size=size(planned.size), files=files(planned.files))
            _ask(told, yes=yes)
            freed = await engine.delete(path, really=True)
        click.echo(_freed(freed))


def _ask(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError(_("{question} There is nobody to ask: say --yes.").format(question=question))
    click.confirm(question, abort=True, err=True)


def _freed(freed: Deleted) -> str:
    return _("{size} are free again.").format(size=size(freed.size))


# --- before a download ----------------------------------------------------------------------------------


async def tell_before(engine: EngineProcess, name: str) -> None:
    """Say on standard error what is about to be fetched: size, licence, whether it fits.

    Raises:
        UserError: the hub cannot be reached or refuses.
    """
    from chatterm.checkpoint.catalog import find_entry

    entry = find_entry(name)
    if entry is not None:
        amount = f"{size(entry.hub.bytes)}, " if entry.hub.bytes else ""
        stated = _("licence {name}").format(name=entry.licence)
        click.echo(f"{entry.name}: {amount}{stated} ({entry.licence_url})", err=True)
        return
    found = HUB_ID.fullmatch(name)
    if found is None:
        return
    offer = await engine.look_at_hub(found["repository"])
    choice = pick(offer, found["choice"])
    facts = [size(choice.size), files(choice.files)] if choice is not None else []
    told = _(", ").join([*facts, licence(offer.repository)])
    click.echo(inert.line(f"{name}: {told}"), err=True)
    if choice is not None and choice.problem:
        told = _("{problem} It is fetched all the same.").format(problem=choice.problem)
        click.echo(inert.line(told), err=True)


def pick(offer: HubOffered, choice: str | None) -> HubChoice | None:
    """The checkpoint that is meant by what stands behind the colon."""
    name = offer.repository.repository if choice is None else f"{offer.repository.repository}:{choice}"
    for one in offer.choices:
        if name.lower() in (one.name.lower(), f"{offer.repository.repository}:{one.label}".lower()):
            return one
    return None


def print_offer(offer: HubOffered, discovered: Discovered) -> None:
    """What a repository offers, as a table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = offer.repository
    facts = {
        "repository": found.repository,
        "licence": _gated(found.licence or _("no licence stated"), found),
        "downloads": found.downloads,
        "likes": found.likes,
        "changed": found.modified or None,
        "parameters": found.parameters,
        "family": found.family or None,
        "problem": found.problem or None,
        "page": offer.page,
    }
    print_facts(facts)
    if found.gated:
        sentence = (
            _("Its licence has to be accepted first, at {page}.")
            if offer.has_token
            else _(
                "Its licence has to be accepted first, at {page}; then log in with `hf auth login`, "
                "or set HF_TOKEN."
            )
        )
        click.echo(sentence.format(page=inert.line(offer.page)))
    title = "\n" + _("To be had with `chatterm models get NAME`")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(_("name"), overflow="fold", ratio=1)
    for name in (_("size"), _("files"), _("bits"), _("needs")):
        table.add_column(name, justify="right")
    table.add_column(_("fits"))
    table.add_column(_("tok/s ≤"), justify="right")
    for choice in offer.choices:
        fits = (
            "?"
            if choice.memory is None
            else _("yes")
            if choice.memory <= discovered.available_bytes
            else _("no")
        )
        row = (
            choice.name,
            size(choice.size),
            str(choice.files),
            "?" if choice.bits is None else f"{choice.bits:.1f}",
            "?" if choice.memory is None else size(choice.memory),
            _("does not run") if choice.problem else fits,
            tokens_per_second(choice.step_bytes, discovered),
        )
        table.add_row(*(Text(inert.line(cell)) for cell in row))
    console = Console()
    console.print(table)
    console.print(speed_note(discovered), style="dim")


def _print_repositories(found: list[HubRepository]) -> None:
    for one in found:
        facts = [
            _(" and ").join(one.formats),
            _("{count} weights").format(count=count(one.parameters)) if one.parameters else "",
            one.family,
            licence(one),
            "" if one.downloads is None else _("{count} downloads").format(count=f"{one.downloads:,}"),
            "" if one.likes is None else _("{count} likes").format(count=f"{one.likes:,}"),
            one.modified,
            one.problem,
        ]
        click.secho(inert.line(one.repository), bold=True)
        click.echo(f"    {inert.line(' · '.join(fact for fact in facts if fact))}")


# --- figures in words -----------------------------------------------------------------------------------


def licence(found: HubRepository) -> str:
    """The licence, and whether it has to be accepted first."""
    return _gated(
        _("licence {name}").format(name=found.licence) if found.licence else _("no licence stated"), found
    )


def _gated(stated: str, found: HubRepository) -> str:
    return _("{licence}, to be accepted first").format(licence=stated) if found.gated else stated


def tokens_per_second(step_bytes: int | None, discovered: Discovered) -> str:
    """An estimate: what is measured of the memory, over what a token reads of it."""
    if not step_bytes or discovered.bytes_per_second is None:
        return "–"
    return f"{discovered.bytes_per_second / step_bytes:.1f}"


def speed_note(discovered: Discovered) -> str:
    """How the estimate is made, or why there is none."""
    if discovered.bytes_per_second is not None:
        rate = size(discovered.bytes_per_second)
        return _(
            "tok/s ≤: an estimate, weights that a token reads at the {rate}/s measured on this machine."
        ).format(rate=rate)
    if discovered.no_speed == "gpu":
        return _("No estimate of speed: only the processor's memory has been measured, and there is a GPU.")
    return _("No estimate of speed: this machine is measured when a model is first loaded.")


def size(number: float) -> str:
    """Bytes, in powers of ten."""
    if number >= 999.5e6:
        return f"{number / 1e9:.1f} GB"
    return f"{number / 1e6:.0f} MB" if number >= 999.5e3 else f"{number / 1e3:.0f} kB"


def files(number: int) -> str:
    """A number of files."""
    return several("{count} file", "{count} files", number).format(count=number)


def count(parameters: int | None) -> str:
    """Like 135M or 1.7B."""
    if parameters is None:
        return "–"
    if parameters >= 999.5e6:
        return f"{parameters / 1e9:.1f}B"
    return f"{parameters / 1e6:.0f}M" if parameters >= 999.5e3 else f"{parameters / 1e3:.0f}k"


def print_facts(facts: dict[str, Any]) -> None:
    """One fact a line."""
    named = {inert.line(words.fact(name)): value for name, value in facts.items()}
    width = max(map(cell_len, named), default=0)
    for name, value in named.items():
        if value is not None:
            click.echo(f"{set_cell_size(name, width)}  {inert.line(words.value(value))}")
