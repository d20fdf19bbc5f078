"""`chatterm ask`: one question, one reply."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from chatterm import inert
from chatterm.cli import common
from chatterm.engine.messages import Finished, Started, TokenEvent
from chatterm.engine.records import Chat, Message


@click.command("ask")
@common.model_option
@click.option("-s", "--system", help="The system prompt.")
@common.sampling_options
@click.option("--max-tokens", type=click.IntRange(min=0), help="Stop after N tokens.")
@common.json_option
@click.argument("prompt", required=False)
def command(
    model: str | None,
    system: str | None,
    max_tokens: int | None,
    as_json: bool,
    prompt: str | None,
    **options: Any,
) -> None:
    """Ask one question; the reply streams to standard output.

    `-` or no PROMPT reads standard input. What the program has to say itself goes to standard error.
    """
    text = common.text_argument(prompt)
    common.run(_ask(model, system, text, max_tokens, as_json, options))


async def _ask(
    model: str | None,
    system: str | None,
    text: str,
    max_tokens: int | None,
    as_json: bool,
    options: dict[str, Any],
) -> None:
    messages = (*([Message("system", system)] if system else []), Message("user", text))
    tokens: list[TokenEvent] = []
    async with common.engine() as engine:
        await common.load(engine, model)
        assert engine.info is not None
        sampling = common.with_options(engine.info.sampling, options)
        terminal = sys.stdout.isatty()
        async for event in engine.generate(Chat(messages), sampling, max_tokens=max_tokens):
            match event:
                case Started(notices=notices):
                    for notice in notices:
                        click.echo(f"chatterm: {notice}", err=True)
                case TokenEvent():
                    tokens.append(event)
                    if not as_json:
                        click.echo(inert.block(event.text) if terminal else event.text, nl=False)
                case Finished():
                    if as_json:
                        common.print_json(_reply(tokens, event))
                    else:
                        click.echo(event.text, nl=terminal or not _ends_line(tokens, event))
                        if event.reason in ("length", "context"):
                            click.echo(f"chatterm: {_CUT[event.reason]}", err=True)


_CUT = {
    "length": "the reply was cut at --max-tokens.",
    "context": "the reply was cut: the context window is full.",
}


def _ends_line(tokens: list[TokenEvent], finished: Finished) -> bool:
    text = finished.text or next((event.text for event in reversed(tokens) if event.text), "")
    return text.endswith("\n")


def _reply(tokens: list[TokenEvent], finished: Finished) -> dict[str, Any]:
    return {
        "text": "".join(event.text for event in tokens) + finished.text,
        "finish": finished.reason,
        "tokens": [
            {
                "id": event.id,
                "text": event.text,
                "logprob": event.logprob,
                "rank": event.rank,
                "entropy": event.entropy,
            }
            for event in tokens
        ],
        "timing": {
            **msgspec.structs.asdict(finished.timing),
            "tokens_per_second": finished.timing.tokens_per_second,
        },
    }
