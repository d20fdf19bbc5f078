"""`chatterm score`: how probable every token of a text was."""

from __future__ import annotations

import math

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
from chatterm.records.inspection import Score, Scored

BAR = 16
TALLEST = 12.0
"""Nats of surprise that fill the bar."""


@click.command("score", cls=Command)
@common.model_option
@loading_options(exact=True)
@common.json_option
@click.argument("text", required=False)
def command(model: str | None, as_json: bool, text: str | None) -> None:
    """Show how probable each token of a text was.

    Each under the model's own distribution after all tokens before it, and the perplexity of them all.
    """
    common.run(_score(model, as_json, Text(common.text_argument(text))))


async def _score(model: str | None, as_json: bool, prompt: Text) -> None:
    async with asking.loaded(model) as (engine, info):
        read = await engine.inspect(Score(prompt))
        if as_json:
            tokens = [
                {
                    "id": token.id,
                    "text": token.text,
                    "logprob": token.logprob,
                    "rank": token.rank,
                    "entropy": token.entropy,
                }
                for token in read.tokens
            ]
            common.print_json({"model": info.name, "tokens": tokens, "perplexity": perplexity(read)})
        else:
            _print(read)


def perplexity(read: Scored) -> float | None:
    """exp of the mean surprise of all tokens that had something before them; None if there are none."""
    known = [token.logprob for token in read.tokens if token.logprob is not None]
    mean = -math.fsum(known) / len(known) if known else None
    return None if mean is None or not math.isfinite(mean) or mean > 700 else math.exp(mean)


def _print(read: Scored) -> None:
    table = Table()
    table.add_column(_("token"))
    for name in ("p", _("rank"), _("surprise"), _("entropy")):
        table.add_column(name, justify="right")
    table.add_column("", min_width=BAR)
    for token in read.tokens:
        if token.logprob is None:
            table.add_row(drawing.token(token.text), "", "", "", "", "")
            continue
        table.add_row(
            drawing.token(token.text),
            f"{math.exp(token.logprob):.2%}",
            str(token.rank),
            f"{-token.logprob:.2f}",
            f"{token.entropy:.2f}",
            drawing.bar(-token.logprob / TALLEST, BAR),
        )
    console = Console()
    console.print(table)
    value = perplexity(read)
    if value is not None:
        said = _("perplexity {value}; surprise and entropy in nats").format(value=f"{value:.2f}")
        console.print(RichText(said))
