"""`chatterm edit-compare`: what changes when parts of the model are switched off."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text as RichText

from chatterm import inert
from chatterm.cli import common, words
from chatterm.cli.glass import asking, drawing, parts
from chatterm.cli.loading import loading_options
from chatterm.cli.translated import Command
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.records.generation import Distribution, ModelInfo, Text
from chatterm.records.inspection import AnyEdit, Compare, Compared, ComparedToken

BAR = 10


@click.command("edit-compare", cls=Command)
@common.model_option
@click.option(
    "--off",
    multiple=True,
    metavar="PART",
    help="Switch off head:LAYER.HEAD, mlp:LAYER, block:LAYER or neuron:LAYER.NUMBER.",
)
@click.option("--scale", multiple=True, metavar="PART=SCALE", help="Multiply what a part writes.")
@click.option(
    "--steer",
    multiple=True,
    metavar="LAYER:TOWARD:AWAY=STRENGTH",
    help="Add the difference of two texts' hidden states after a block.",
)
@click.option("-k", "count", type=click.IntRange(1, 1000), default=10, show_default=True, help="Rows.")
@click.option("--max-tokens", type=click.IntRange(0, 10_000), default=0, help="Also continue, N tokens each.")
@common.sampling_options
@loading_options(exact=True)
@common.json_option
@click.argument("text", required=False)
def command(
    model: str | None,
    off: tuple[str, ...],
    scale: tuple[str, ...],
    steer: tuple[str, ...],
    count: int,
    max_tokens: int,
    as_json: bool,
    text: str | None,
    **options: Any,
) -> None:
    """Compare the model as it is with an edited one.

    Next-token tables after TEXT, clean and edited, and the KL divergence between them; with --max-tokens also
    both continuations, written with the same random choices. Options may be given several times.
    """
    edits = tuple(
        [parts.part_of(part) for part in off]
        + [parts.scaled(part) for part in scale]
        + [parts.steered(words) for words in steer]
    )
    if not edits:
        raise UserError(_("There is no edit: give --off, --scale or --steer."))
    prompt = Text(common.text_argument(text))
    common.run(_compare(model, edits, count, max_tokens, as_json, prompt, options))


async def _compare(
    model: str | None,
    edits: tuple[AnyEdit, ...],
    count: int,
    max_tokens: int,
    as_json: bool,
    prompt: Text,
    options: dict[str, Any],
) -> None:
    async with asking.loaded(model) as (engine, info):
        sampling = common.with_options(info.sampling, options)
        compared = await engine.inspect(
            Compare(prompt, edits, sampling, candidates=count, max_tokens=max_tokens)
        )
    if as_json:
        common.print_json(_document(info, compared))
    else:
        _print(compared)


def _document(info: ModelInfo, compared: Compared) -> dict[str, Any]:
    return {
        "model": info.name,
        "edits": list(compared.described),
        "clean": _table(compared.clean),
        "edited": _table(compared.edited),
        "kl": compared.kl,
        "clean_reply": _reply(compared.clean_reply),
        "edited_reply": _reply(compared.edited_reply),
        "kl_along": list(compared.kl_along),
    }


def _table(distribution: Distribution) -> dict[str, Any]:
    return {
        "entropy": distribution.entropy,
        "candidates": [
            {"id": row.id, "text": row.text, "p": row.p, "logprob": row.logprob, "sampled": row.sampled}
            for row in distribution.candidates
        ],
    }


def _reply(tokens: tuple[ComparedToken, ...]) -> dict[str, Any]:
    return {
        "text": _text(tokens),
        "tokens": [{"id": token.id, "text": token.text, "logprob": token.logprob} for token in tokens],
    }


def _text(tokens: tuple[ComparedToken, ...]) -> str:
    return "".join(token.text for token in tokens)


def _print(compared: Compared) -> None:
    console = Console()
    described = "; ".join(map(words.sentence, compared.described))
    console.print(RichText(described or _("nothing is edited")))
    table = Table()
    table.add_column(_("rank"), justify="right")
    for side in (_("clean"), _("edited")):
        table.add_column(side)
        table.add_column("p", justify="right")
        table.add_column("", min_width=BAR)
    sides = (compared.clean.candidates, compared.edited.candidates)
    most = max(row.p for side in sides for row in side)
    for rank, pair in enumerate(zip(*sides, strict=True), start=1):
        cells: list[RichText | str] = [str(rank)]
        for row in pair:
            cells += [drawing.token(row.text), f"{row.p:.2%}", drawing.bar(row.p / most, BAR)]
        table.add_row(*cells)
    console.print(table)
    console.print(
        _("KL(clean ‖ edited) {kl} nats, entropy {clean} and {edited} nats").format(
            kl=f"{compared.kl:.4f}",
            clean=f"{compared.clean.entropy:.2f}",
            edited=f"{compared.edited.entropy:.2f}",
        )
    )
    if not compared.clean_reply:
        return
    replies = Table(show_lines=True)
    replies.add_column(_("clean"), ratio=1)
    replies.add_column(_("edited"), ratio=1)
    replies.add_row(
        *(RichText(inert.block(_text(tokens))) for tokens in (compared.clean_reply, compared.edited_reply))
    )
    console.print(replies)
    top = max(*compared.kl_along, 1.0)
    along = _("KL along the clean reply, █ = {nats} nats: ").format(nats=f"{top:.2f}")
    console.print(RichText(along + "".join(_level(kl / top) for kl in compared.kl_along)))


def _level(share: float) -> str:
    """One cell of a line of small bars."""
    return "▁▂▃▄▅▆▇█"[round(min(1.0, share) * 7)]
