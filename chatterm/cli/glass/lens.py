"""`chatterm lens`: the guesses after every block."""

from __future__ import annotations

from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text as RichText

from chatterm import inert
from chatterm.cli import common
from chatterm.cli.glass import asking, drawing
from chatterm.cli.loading import loading_options
from chatterm.cli.translated import Command
from chatterm.language import _
from chatterm.records.generation import ModelInfo, Text
from chatterm.records.inspection import Lens, LensLayer, LensPosition, LensRead


@click.command("lens", cls=Command)
@common.model_option
@click.option("-k", "count", type=click.IntRange(1, 100), default=3, show_default=True, help="Guesses.")
@click.option("--target", metavar="TOKEN", help="Follow the probability and rank of this token.")
@click.option(
    "--positions",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="A grid over the last N positions.",
)
@loading_options(exact=True)
@common.json_option
@click.argument("text", required=False)
def command(
    model: str | None, count: int, target: str | None, positions: int, as_json: bool, text: str | None
) -> None:
    """Show the model's guesses layer by layer.

    The final norm and unembedding are applied to what each block leaves: the last line is the prediction.
    """
    common.run(_lens(model, count, target, positions, as_json, common.text_argument(text)))


async def _lens(
    model: str | None, count: int, target: str | None, positions: int, as_json: bool, text: str
) -> None:
    async with asking.loaded(model) as (engine, info):
        wanted = await asking.one_token(engine, target)
        read = await engine.inspect(Lens(Text(text), candidates=count, target=wanted, positions=positions))
        if as_json:
            common.print_json(_document(info, read, await asking.texts_of(engine, Text(text))))
        elif positions == 1:
            _print_column(info, read.positions[-1])
        else:
            _print_grid(info, read)


def _document(info: ModelInfo, read: LensRead, tokens: tuple[str, ...]) -> dict[str, Any]:
    positions = [
        {
            "position": place.position,
            "text": place.text,
            "target": place.target,
            "target_text": place.target_text,
            "layers": [_layer(layer) for layer in place.layers],
        }
        for place in read.positions
    ]
    return {
        "model": info.name,
        "tokens": list(tokens),
        "layers": positions[-1]["layers"],
        "target": positions[-1]["target"],
        "positions": positions,
    }


def _layer(layer: LensLayer) -> dict[str, Any]:
    return {
        "layer": layer.layer,
        "entropy": layer.entropy,
        "candidates": [
            {"id": guess.id, "text": guess.text, "p": guess.p, "logprob": guess.logprob}
            for guess in layer.candidates
        ],
        "target_p": layer.target_p,
        "target_rank": layer.target_rank,
    }


def _print_column(info: ModelInfo, place: LensPosition) -> None:
    title = RichText(
        _("{model}, the first guesses after each block; entropy in nats").format(model=inert.line(info.name))
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(_("block"), justify="right")
    for rank in range(1, len(place.layers[-1].candidates) + 1):
        table.add_column(f"{rank}.", no_wrap=True, overflow="ellipsis")
        table.add_column("p", justify="right", min_width=6)
    table.add_column(_("entropy"), justify="right", min_width=7)
    if place.target is not None:
        table.add_column(
            RichText.assemble(drawing.token(place.target_text or ""), " p"), justify="right", min_width=7
        )
        table.add_column(_("rank"), justify="right", min_width=5)
    for layer in place.layers:
        guesses = [
            cell for guess in layer.candidates for cell in (drawing.token(guess.text), f"{guess.p:.1%}")
        ]
        row: list[RichText | str] = [str(layer.layer), *guesses, f"{layer.entropy:.2f}"]
        if layer.target_p is not None:
            row += [f"{layer.target_p:.2%}", str(layer.target_rank)]
        table.add_row(*row)
    console = Console()
    console.print(title)
    console.print(table)


def _print_grid(info: ModelInfo, read: LensRead) -> None:
    title = RichText(
        _("{model}, the first guess after each block, shaded by its probability").format(
            model=inert.line(info.name)
        )
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(_("block"), justify="right")
    for place in read.positions:
        table.add_column(drawing.token(place.text), no_wrap=True)
    for number, layer in enumerate(read.positions[-1].layers):
        firsts = [place.layers[number].candidates[0] for place in read.positions]
        cells = [RichText.assemble(drawing.shade(guess.p), drawing.token(guess.text)) for guess in firsts]
        table.add_row(str(layer.layer), *cells)
    console = Console()
    console.print(title)
    console.print(table)
