"""`chatterm selfcheck`: whether the numbers that the views show are consistent."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text as RichText

from chatterm import inert
from chatterm.cli import common, words
from chatterm.cli.glass import asking
from chatterm.cli.loading import loading_options
from chatterm.cli.translated import Command
from chatterm.language import _
from chatterm.records.inspection import SelfCheck, SelfChecked


@click.command("selfcheck", cls=Command)
@common.model_option
@loading_options(exact=True)
@common.json_option
def command(model: str | None, as_json: bool) -> None:
    """Check on the loaded model that every view's numbers add up.

    The exit status is 1 if one of the identities does not hold.
    """
    if not common.run(_selfcheck(model, as_json)):
        sys.exit(1)


async def _selfcheck(model: str | None, as_json: bool) -> bool:
    async with asking.loaded(model) as (engine, info):
        checked = await engine.inspect(SelfCheck())
    holds = all(identity.holds for identity in checked.identities)
    if as_json:
        identities = [{**asking.plain(identity), "ok": identity.holds} for identity in checked.identities]
        common.print_json(
            {"model": info.name, "computation": info.computation, "identities": identities, "ok": holds}
        )
    else:
        _print(inert.line(f"{info.name}, {info.computation}"), checked)
    return holds


def _print(title: str, checked: SelfChecked) -> None:
    table = Table(title=RichText(title), title_justify="left")
    table.add_column("")
    table.add_column(_("identity"))
    table.add_column(_("error"), justify="right", no_wrap=True)
    table.add_column(_("tolerance"), justify="right", no_wrap=True)
    table.add_column(_("of"), no_wrap=True)
    for identity in checked.identities:
        tick = "✓" if identity.holds else "✗"
        table.add_row(
            tick,
            words.identity(identity.name),
            f"{identity.error:.1e}",
            f"{identity.tolerance:.0e}",
            _(identity.unit),
        )
    console = Console()
    console.print(table)
    failed = sum(not identity.holds for identity in checked.identities)
    console.print(_("{count} do not hold").format(count=failed) if failed else _("all hold"))
