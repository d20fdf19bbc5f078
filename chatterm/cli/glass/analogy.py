"""`chatterm analogy`: adding and subtracting words."""

from __future__ import annotations

import click
from rich.text import Text as RichText

from chatterm import inert
from chatterm.cli import common
from chatterm.cli.glass import asking
from chatterm.cli.glass.neighbours import print_neighbours, rows
from chatterm.cli.loading import loading_options
from chatterm.cli.translated import Command
from chatterm.records.inspection import Analogy


@click.command("analogy", cls=Command)
@common.model_option
@click.option("-n", "count", type=click.IntRange(1, 1000), default=10, show_default=True, help="Rows.")
@loading_options(exact=True)
@common.json_option
@click.argument("a")
@click.argument("b")
@click.argument("c")
def command(model: str | None, count: int, as_json: bool, a: str, b: str, c: str) -> None:
    """Show what lies near A − B + C in the input embedding.

    `chatterm analogy king man woman` asks who is to a woman what a king is to a man.
    """
    common.run(_analogy(model, count, as_json, a, b, c))


async def _analogy(model: str | None, count: int, as_json: bool, a: str, b: str, c: str) -> None:
    async with asking.loaded(model) as (engine, info):
        read = await engine.inspect(Analogy(a, b, c, count))
        if as_json:
            common.print_json({"model": info.name, **asking.plain(read), "neighbours": rows(read.neighbours)})
        else:
            title = " ".join((inert.line(a), "−", inert.line(b), "+", inert.line(c)))
            print_neighbours(RichText(title), read.neighbours)
