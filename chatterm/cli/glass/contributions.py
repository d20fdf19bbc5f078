"""`chatterm contributions`: who pushed a token's logit."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text as RichText

from chatterm.cli import common
from chatterm.cli.glass import asking, drawing
from chatterm.cli.loading import loading_options
from chatterm.cli.translated import Command
from chatterm.language import _
from chatterm.records.generation import Text
from chatterm.records.inspection import Contributions, ContributionsRead

BAR = 16


@click.command("contributions", cls=Command)
@common.model_option
@click.option("--target", metavar="TOKEN", help="Explain this token's logit; else the most probable one's.")
@click.option("--against", metavar="TOKEN", help="Explain the difference to this token's logit.")
@click.option("-n", "count", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Rows.")
@loading_options(exact=True)
@common.json_option
@click.argument("text", required=False)
def command(
    model: str | None, target: str | None, against: str | None, count: int, as_json: bool, text: str | None
) -> None:
    """Show which heads and feed-forward layers pushed a token's logit.

    Direct shares, through the final norm as it really scaled; together they make the logit.
    """
    common.run(_contributions(model, target, against, count, as_json, Text(common.text_argument(text))))


async def _contributions(
    model: str | None, target: str | None, against: str | None, count: int, as_json: bool, prompt: Text
) -> None:
    async with asking.loaded(model) as (engine, info):
        wanted, other = await asking.one_token(engine, target), await asking.one_token(engine, against)
        read = await engine.inspect(Contributions(prompt, target=wanted, against=other))
        if as_json:
            common.print_json({"model": info.name, **_document(read)})
        else:
            _print(read, count)


def _document(read: ContributionsRead) -> dict[str, Any]:
    return {**asking.plain(read), "sum": total(read)}


def parts(read: ContributionsRead) -> list[tuple[str, float]]:
    """All shares by name."""
    named = [(_("embedding"), read.embedding), (_("biases"), read.bias)]
    named += [
        (_("head {name}").format(name=f"{layer}.{head}"), share)
        for layer, row in enumerate(read.heads)
        for head, share in enumerate(row)
    ]
    return named + [
        (_("feed-forward {layer}").format(layer=layer), share) for layer, share in enumerate(read.mlps)
    ]


def total(read: ContributionsRead) -> float:
    """What all shares come to: the logit."""
    return read.embedding + read.bias + sum(map(sum, read.heads)) + sum(read.mlps)


def _print(read: ContributionsRead, count: int) -> None:
    named = sorted(parts(read), key=lambda part: -abs(part[1]))
    most = abs(named[0][1]) or 1.0
    what = _("logit of {token}").format(token=drawing.token(read.text))
    if read.against_text is not None:
        what = _("logit of {token} minus that of {other}").format(
            token=drawing.token(read.text), other=drawing.token(read.against_text)
        )
    table = Table(title=RichText(f"{what} = {read.logit:.3f}"), title_justify="left")
    table.add_column(_("part"))
    table.add_column(_("share"), justify="right")
    table.add_column(_("against it ← → for it"), justify="center", no_wrap=True)
    for name, share in named[:count]:
        table.add_row(name, f"{share:+.3f}", drawing.signed_bar(share / most, BAR))
    rest = named[count:]
    if rest:
        table.add_section()
        share = sum(share for _, share in rest)
        others = _("the other {count}").format(count=len(rest))
        table.add_row(others, f"{share:+.3f}", drawing.signed_bar(share / most, BAR))
    table.add_section()
    table.add_row(_("together"), f"{total(read):+.3f}", "")
    console = Console()
    console.print(table)
    if read.capped is not None:
        console.print(_("after the final soft cap: {value}").format(value=f"{read.capped:.3f}"))
