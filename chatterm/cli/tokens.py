"""`chatterm tokens`: a text as the model sees it."""

from __future__ import annotations

import click

from chatterm import inert
from chatterm.cli import common
from chatterm.cli.translated import Command
from chatterm.language import several
from chatterm.records.generation import PromptToken


@click.command("tokens", cls=Command)
@common.model_option
@common.json_option
@click.argument("text", required=False)
def command(model: str | None, as_json: bool, text: str | None) -> None:
    """Cut a text into the model's tokens.

    `start` and `end` are character offsets into TEXT.
    """
    for_model = common.run(_tokens(model, common.text_argument(text)))
    if as_json:
        common.print_json(
            [
                {"id": token.id, "text": token.text, "start": token.start, "end": token.end}
                for token in for_model
            ]
        )
    else:
        for token in for_model:
            click.echo(f"{token.id:>8}  {inert.token(token.text)}")
        count = len(for_model)
        click.echo(several("{count} token", "{count} tokens", count).format(count=count), err=True)


async def _tokens(model: str | None, text: str) -> tuple[PromptToken, ...]:
    async with common.engine() as engine:
        path = await common.find(engine, model)
        return (await engine.tokenize(text, path)).tokens
