"""`chatterm map`: words in a plane."""

from __future__ import annotations

import click
from rich.console import Console
from rich.text import Text as RichText

from chatterm.cli import common
from chatterm.cli.glass import asking, drawing
from chatterm.cli.loading import loading_options
from chatterm.cli.translated import Command
from chatterm.language import _
from chatterm.records.inspection import EmbeddingMap, EmbeddingMapRead

HEIGHT = 22
WIDEST = 100


@click.command("map", cls=Command)
@common.model_option
@loading_options(exact=True)
@common.json_option
@click.argument("words", nargs=-1, required=True)
def command(model: str | None, as_json: bool, words: tuple[str, ...]) -> None:
    """Draw words where their embeddings lie.

    The plane is that of the two main components of these WORDS' input embeddings.
    """
    common.run(_map(model, as_json, words))


async def _map(model: str | None, as_json: bool, words: tuple[str, ...]) -> None:
    async with asking.loaded(model) as (engine, info):
        read = await engine.inspect(EmbeddingMap(words))
        if as_json:
            points = [{"word": point.word, "x": point.x, "y": point.y} for point in read.points]
            common.print_json({"model": info.name, "points": points, "explained": list(read.explained)})
        else:
            _draw(read)


def _draw(read: EmbeddingMapRead) -> None:
    console = Console()
    xs, ys = [point.x for point in read.points], [point.y for point in read.points]
    width, wide, high = min(WIDEST, console.width), max(xs) - min(xs) or 1.0, max(ys) - min(ys) or 1.0
    places = [(point.word, (point.x - min(xs)) / wide, (point.y - min(ys)) / high) for point in read.points]
    for line in drawing.scatter(places, width, HEIGHT):
        console.print(RichText(line), no_wrap=True, overflow="crop")
    across, up = read.explained
    sentence = _("{across} of the variance lies across, {up} up")
    console.print(sentence.format(across=f"{across:.0%}", up=f"{up:.0%}"))
