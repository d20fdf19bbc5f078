"""`chatterm attention`: where heads look."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text as RichText

from chatterm.cli import common
from chatterm.cli.glass import asking, drawing
from chatterm.cli.loading import loading_options
from chatterm.cli.translated import Command
from chatterm.engine.client import EngineProcess
from chatterm.language import _
from chatterm.records.generation import Text
from chatterm.records.inspection import (
    AttentionHead,
    AttentionOverview,
    AttentionOverviewRead,
    AttentionRead,
    HeadPatterns,
    HeadPatternsRead,
)

WIDEST_MAP = 60
"""Tokens up to which the whole map is drawn."""

MOST_BARS = 24


@click.command("attention", cls=Command)
@common.model_option
@click.option("--layer", type=click.IntRange(min=0), help="The block, from 0.")
@click.option("--head", type=click.IntRange(min=0), help="The head, from 0.")
@click.option("--to", type=click.IntRange(min=0), help="Overview: the weight on this position.")
@click.option(
    "--size",
    type=click.IntRange(4, 200),
    default=24,
    show_default=True,
    help="Small maps: cells along a side.",
)
@loading_options(exact=True)
@common.json_option
@click.argument("text", required=False)
def command(
    model: str | None,
    layer: int | None,
    head: int | None,
    to: int | None,
    size: int,
    as_json: bool,
    text: str | None,
) -> None:
    """Show where attention heads look.

    With --layer and --head: that head's weights, one row per token. With one of the two: small maps of all
    heads of the layer, or of the head in every layer. With neither: how every head looks back from the last
    token.
    """
    common.run(_attention(model, layer, head, to, size, as_json, Text(common.text_argument(text))))


async def _attention(
    model: str | None,
    layer: int | None,
    head: int | None,
    to: int | None,
    size: int,
    as_json: bool,
    prompt: Text,
) -> None:
    async with asking.loaded(model) as (engine, _info):
        if layer is not None and head is not None:
            read = await _whole_map(engine, prompt, layer, head)
            if as_json:
                common.print_json({**asking.plain(read), "layer": layer, "head": head})
            else:
                _print_head(read, layer, head)
        elif layer is not None or head is not None:
            patterns = await engine.inspect(HeadPatterns(prompt, layer=layer, head=head, size=size))
            if as_json:
                common.print_json(asking.plain(patterns))
            else:
                _print_patterns(patterns)
        else:
            overview = await engine.inspect(AttentionOverview(prompt, to=to))
            if as_json:
                common.print_json(asking.plain(overview))
            else:
                _print_overview(overview)


async def _whole_map(engine: EngineProcess, prompt: Text, layer: int, head: int) -> AttentionRead:
    last = await engine.inspect(AttentionHead(prompt, layer, head))
    return await engine.inspect(AttentionHead(prompt, layer, head, rows=len(last.tokens)))


def _print_head(read: AttentionRead, layer: int, head: int) -> None:
    console = Console()
    sentence = (
        _("head {name}: where the last token looks")
        if read.window is None
        else _("head {name}, which sees {window} positions: where the last token looks")
    )
    console.print(RichText(sentence.format(name=f"{layer}.{head}", window=read.window)))
    weights = read.weights[-1]
    strongest = sorted(range(len(weights)), key=lambda place: -weights[place])[:MOST_BARS]
    table = Table()
    table.add_column(_("position"), justify="right")
    table.add_column(_("token"))
    table.add_column(_("weight"), justify="right")
    table.add_column("")
    for place in sorted(strongest):
        bar = drawing.bar(weights[place], 30)
        table.add_row(str(place), drawing.token(read.tokens[place]), f"{weights[place]:.1%}", bar)
    console.print(table)
    if len(strongest) < len(weights):
        sentence = _("the {count} strongest of {all} positions")
        console.print(sentence.format(count=len(strongest), all=len(weights)))
    if 1 < len(read.tokens) <= WIDEST_MAP:
        console.print(_("each row: where that token looks, from the first position on"))
        _print_lines(console, drawing.heat_map(read.weights, read.tokens[read.first :], 1.0))


def _print_overview(read: AttentionOverviewRead) -> None:
    console = Console()
    numbers, top = read.entropy, max(max(row) for row in read.entropy) or 1.0
    title = _("entropy of each head's attention, █ = {nats} nats (wide), blank = 0 (one position)").format(
        nats=f"{top:.2f}"
    )
    if read.weight is not None and read.to is not None:
        numbers, top = read.weight, 1.0
        title = _("each head's weight on position {position} ({token})").format(
            position=read.to, token=drawing.token(read.tokens[read.to])
        )
    console.print(RichText(_("rows: layers, columns: heads; {title}").format(title=title)))
    _print_lines(console, drawing.heat_map(numbers, [str(layer) for layer in range(len(numbers))], top))
    table = Table(title=_("the sharpest heads"), title_justify="left")
    table.add_column(_("head"), justify="right")
    table.add_column(_("looks most at"))
    for name in (_("position"), _("weight"), _("entropy")):
        table.add_column(name, justify="right")
    heads = [(layer, head) for layer, row in enumerate(read.entropy) for head in range(len(row))]
    last = len(read.tokens) - 1
    elsewhere = [place for place in heads if read.strongest[place[0]][place[1]] not in (0, last)]
    for layer, head in sorted(elsewhere, key=lambda place: -read.strongest_weight[place[0]][place[1]])[:12]:
        position = read.strongest[layer][head]
        table.add_row(
            f"{layer}.{head}",
            drawing.token(read.tokens[position]),
            str(position),
            f"{read.strongest_weight[layer][head]:.1%}",
            f"{read.entropy[layer][head]:.2f}",
        )
    console.print(table)
    resting = len(heads) - len(elsewhere)
    sentence = _("{count} of {all} heads look most at the first token or at the last itself")
    console.print(sentence.format(count=resting, all=len(heads)))


def _print_patterns(read: HeadPatternsRead) -> None:
    console = Console()
    if read.pooled > 1:
        sentence = _("each cell is the largest weight among {size} × {size} positions")
        console.print(sentence.format(size=read.pooled))
    size = len(read.maps[0]) if read.maps else 0
    columns = max(1, (console.width + 3) // (size + 3))
    pictures = [
        [f"{layer}.{head}".ljust(size), *("".join(map(drawing.shade, row)).ljust(size) for row in picture)]
        for (layer, head), picture in zip(read.heads, read.maps, strict=True)
    ]
    for start in range(0, len(pictures), columns):
        for line in zip(*pictures[start : start + columns], strict=True):
            console.print(RichText("   ".join(line).rstrip()))
        console.print()


def _print_lines(console: Console, lines: list[RichText]) -> None:
    for line in lines:
        console.print(line, no_wrap=True, overflow="crop")
