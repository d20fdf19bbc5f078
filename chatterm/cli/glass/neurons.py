"""`chatterm neurons`: the most active feed-forward neurons."""

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
from chatterm.records.inspection import Neurons, NeuronsRead

SHOWN_WORDS = 5


@click.command("neurons", cls=Command)
@common.model_option
@click.option("--layer", type=click.IntRange(min=0), help="Only this block's.")
@click.option("-n", "count", type=click.IntRange(1, 1000), default=10, show_default=True, help="Neurons.")
@loading_options(exact=True)
@common.json_option
@click.argument("text", required=False)
def command(model: str | None, layer: int | None, count: int, as_json: bool, text: str | None) -> None:
    """Show the neurons that write most at the last token.

    For each: its activation, how far it moves the residual stream, and the tokens that it pushes for and
    against.
    """
    common.run(_neurons(model, layer, count, as_json, Text(common.text_argument(text))))


async def _neurons(model: str | None, layer: int | None, count: int, as_json: bool, prompt: Text) -> None:
    async with asking.loaded(model) as (engine, info):
        read = await engine.inspect(Neurons(prompt, layer=layer, count=count))
        if as_json:
            common.print_json({"model": info.name, **_document(read)})
        else:
            _print(read)


def _document(read: NeuronsRead) -> dict[str, Any]:
    def words(pairs: tuple[tuple[str, float], ...]) -> list[dict[str, Any]]:
        return [{"text": text, "logit": logit} for text, logit in pairs]

    return {
        "neurons": [
            {
                **asking.plain(neuron),
                "promotes": words(neuron.promotes),
                "suppresses": words(neuron.suppresses),
            }
            for neuron in read.neurons
        ],
        "active": list(read.active),
    }


def _print(read: NeuronsRead) -> None:
    table = Table()
    for name in (_("neuron"), _("activation"), _("strength")):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(_("pushes for"))
    table.add_column(_("and against"))
    for neuron in read.neurons:
        table.add_row(
            f"{neuron.layer}.{neuron.neuron}",
            f"{neuron.activation:+.2f}",
            f"{neuron.strength:.2f}",
            _words(neuron.promotes),
            _words(neuron.suppresses),
        )
    Console().print(table)


def _words(pairs: tuple[tuple[str, float], ...]) -> RichText:
    return RichText(" ").join(drawing.token(text) for text, _ in pairs[:SHOWN_WORDS])
