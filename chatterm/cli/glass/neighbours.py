"""`chatterm neighbours`: what lies near a token."""

from __future__ import annotations

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
from chatterm.records.inspection import HiddenNeighbours, Neighbour, Neighbours, NeighboursRead

BAR = 20


@click.command("neighbours", cls=Command)
@common.model_option
@click.option("--layer", type=click.IntRange(min=0), help="Look at the hidden state after this block.")
@click.option("-n", "count", type=click.IntRange(1, 1000), default=10, show_default=True, help="Rows.")
@loading_options(exact=True)
@common.json_option
@click.argument("text", metavar="WORD", required=False)
def command(model: str | None, layer: int | None, count: int, as_json: bool, text: str | None) -> None:
    """Show the tokens nearest to a word.

    By cosine in the input embedding. With --layer WORD may be a whole text: the hidden state of its last
    token after that block is compared with the unembedding.
    """
    common.run(_neighbours(model, layer, count, as_json, common.text_argument(text)))


async def _neighbours(model: str | None, layer: int | None, count: int, as_json: bool, text: str) -> None:
    async with asking.loaded(model) as (engine, info):
        question = Neighbours(text, count) if layer is None else HiddenNeighbours(Text(text), layer, count)
        read: NeighboursRead = await engine.inspect(question)
        if as_json:
            common.print_json({"model": info.name, **asking.plain(read), "neighbours": rows(read.neighbours)})
            return
        title = (
            _("{token} in the input embedding")
            if read.layer is None
            else _("{token} in the hidden state after block {layer}")
        )
        said = title.format(token=drawing.token(read.of), layer=read.layer)
        print_neighbours(RichText(said), read.neighbours)


def rows(neighbours: tuple[Neighbour, ...]) -> list[dict[str, object]]:
    """Neighbours as JSON has them."""
    return [{"id": near.id, "text": near.text, "cosine": near.cosine} for near in neighbours]


def print_neighbours(title: RichText, neighbours: tuple[Neighbour, ...]) -> None:
    """A table of neighbours, nearest first."""
    table = Table(title=title, title_justify="left")
    table.add_column(_("token"))
    table.add_column(_("id"), justify="right")
    table.add_column(_("cosine"), justify="right")
    table.add_column("", min_width=BAR)
    for near in neighbours:
        bar = drawing.bar(near.cosine, BAR)
        table.add_row(drawing.token(near.text), str(near.id), f"{near.cosine:.3f}", bar)
    Console().print(table)
