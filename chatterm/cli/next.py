"""`chatterm next`: the table of what could come next."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text as RichText

from chatterm import inert
from chatterm.cli import common, loading
from chatterm.cli.translated import Command
from chatterm.engine.messages import Predicted
from chatterm.language import _
from chatterm.records.generation import Text


@click.command("next", cls=Command)
@common.model_option
@click.option("-k", "count", type=click.IntRange(1, 1000), default=10, show_default=True, help="Rows.")
@loading.loading_options(exact=True)
@common.sampling_options
@common.json_option
@click.argument("text", required=False)
def command(model: str | None, count: int, as_json: bool, text: str | None, **options: Any) -> None:
    """Show which tokens could come next after a text.

    TEXT is continued as it stands, without a chat template. `p` is the model's own probability (temperature
    1), `sampled` what is left after the sampler.
    """
    common.run(_next(model, count, as_json, common.text_argument(text), options))


async def _next(model: str | None, count: int, as_json: bool, text: str, options: dict[str, Any]) -> None:
    async with common.engine() as engine:
        await common.load(engine, model)
        assert engine.info is not None
        sampling = common.with_options(engine.info.sampling, options)
        predicted = await engine.predict(Text(text), sampling, candidates=count)
        if as_json:
            common.print_json(_document(engine.info.name, engine.info.computation, predicted))
        else:
            _print_table(engine.info.name, predicted)


def _document(model: str, computation: str, predicted: Predicted) -> dict[str, Any]:
    return {
        "model": model,
        "computation": computation,
        "tokens": list(predicted.prompt),
        "entropy": predicted.distribution.entropy,
        "candidates": [
            {
                "id": candidate.id,
                "text": candidate.text,
                "logprob": candidate.logprob,
                "p": candidate.p,
                "sampled": candidate.sampled,
                "kept": candidate.kept,
            }
            for candidate in predicted.distribution.candidates
        ],
    }


def _print_table(model: str, predicted: Predicted) -> None:
    distribution = predicted.distribution
    title = _("{model}, after {count} tokens").format(model=inert.line(model), count=len(predicted.prompt))
    table = Table(title=RichText(title), title_justify="left")
    table.add_column(_("rank"), justify="right")
    table.add_column(_("token"))
    table.add_column(_("id"), justify="right")
    table.add_column(_("model"), justify="right")
    table.add_column(_("sampled"), justify="right")
    for row in distribution.candidates:
        removed = _("removed by {step}").format(step=row.removed_by)
        sampled = RichText(f"{row.sampled:.2%}" if row.kept else removed)
        table.add_row(str(row.rank), RichText(inert.token(row.text)), str(row.id), f"{row.p:.2%}", sampled)
    console = Console()
    console.print(table)
    facts = [_("{count} tokens kept").format(count=distribution.kept)]
    if distribution.removed:
        facts.append(_("{share} removed").format(share=f"{distribution.removed_mass:.1%}"))
    facts.append(_("entropy {nats} nats").format(nats=f"{distribution.entropy:.2f}"))
    console.print(_(", ").join(facts))
