"""`chatterm ranks`: next-token probabilities against rank."""

from __future__ import annotations

import math
from typing import Any

import click
from rich.cells import cell_len
from rich.console import Console

from chatterm.cli import common
from chatterm.cli.glass import asking, drawing
from chatterm.cli.loading import loading_options
from chatterm.cli.translated import Command
from chatterm.language import _
from chatterm.records.generation import Text
from chatterm.records.inspection import RankCurve, RankCurveRead

WIDTH, HEIGHT = 60, 18


@click.command("ranks", cls=Command)
@common.model_option
@common.sampling_options
@loading_options(exact=True)
@common.json_option
@click.argument("text", required=False)
def command(model: str | None, as_json: bool, text: str | None, **options: Any) -> None:
    """Plot next-token probabilities against rank, both logarithmic.

    A straight line falling at slope −1 would be Zipf's law.
    """
    common.run(_ranks(model, as_json, Text(common.text_argument(text)), options))


async def _ranks(model: str | None, as_json: bool, prompt: Text, options: dict[str, Any]) -> None:
    async with asking.loaded(model) as (engine, info):
        sampling = common.with_options(info.sampling, options)
        read = await engine.inspect(RankCurve(prompt, sampling))
        if as_json:
            common.print_json({"model": info.name, **asking.plain(read)})
        else:
            _plot(read)


def _plot(read: RankCurveRead) -> None:
    console = Console()
    shown = [(rank, p) for rank, p in zip(read.ranks, read.p, strict=True) if p > 0]
    ys = [math.log10(p) for _, p in shown]
    top, bottom = math.ceil(max(ys)), math.floor(min(ys))
    right = math.log10(shown[-1][0]) or 1.0
    places = [
        (math.log10(rank) / right, (y - bottom) / (top - bottom or 1))
        for (rank, _), y in zip(shown, ys, strict=True)
    ]
    lines = drawing.dots(places, WIDTH, HEIGHT)
    for number, line in enumerate(lines):
        value = top - (top - bottom) * number / (HEIGHT - 1)
        label = f"{10**value:8.1e}" if number in (0, HEIGHT // 2, HEIGHT - 1) else " " * 8
        console.print(f"{label} ┤{line}", highlight=False, no_wrap=True, overflow="crop")
    console.print(f"{'p':>8} └{'─' * WIDTH}", highlight=False)
    first, last = (_("rank {rank}").format(rank=rank) for rank in (1, shown[-1][0]))
    room = " " * (WIDTH - cell_len(first) - cell_len(last))
    console.print(f"{'':10}{first}{room}{last}", highlight=False)
    if read.slope is not None:
        sentence = _("slope {slope} over the first thousand ranks; Zipf's law would be −1")
        console.print(sentence.format(slope=f"{read.slope:.2f}"))
