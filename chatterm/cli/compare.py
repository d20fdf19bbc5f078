"""`chatterm compare`: two models answer the same prompt."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text as RichText

from chatterm import inert
from chatterm.cli import common, complete
from chatterm.cli.glass import asking
from chatterm.cli.loading import loading_options
from chatterm.cli.translated import Command
from chatterm.engine.messages import Finished, TokenEvent
from chatterm.language import _
from chatterm.records.generation import Chat, Message, ModelInfo
from chatterm.sampling import SamplingParameters

SEEDS = 2**31


class Answer(NamedTuple):
    """What one of the models made of it."""

    info: ModelInfo
    text: str
    tokens: list[TokenEvent]
    finished: Finished


@click.command("compare", cls=Command)
@click.option("-s", "--system", default="", help="System prompt of both.")
@click.option(
    "--max-tokens", type=click.IntRange(1, 100_000), default=256, show_default=True, help="Of each."
)
@common.sampling_options
@loading_options()
@common.json_option
@click.argument("first", metavar="MODEL", shell_complete=complete.models)
@click.argument("second", metavar="MODEL", shell_complete=complete.models)
@click.argument("prompt", required=False)
def command(
    first: str, second: str, system: str, max_tokens: int, as_json: bool, prompt: str | None, **options: Any
) -> None:
    """Let two models answer the same PROMPT.

    One after the other, with the same seed and the same sampling values: those given, else the first model's
    own.
    """
    said = (Message("user", common.text_argument(prompt)),)
    chat = Chat((Message("system", system), *said) if system.strip() else said)
    answers, sampling = common.run(_ask_both((first, second), chat, max_tokens, options))
    if as_json:
        common.print_json(_document(answers, sampling))
    else:
        _print(answers, sampling)


async def _ask_both(
    models: tuple[str, str], chat: Chat, max_tokens: int, options: dict[str, Any]
) -> tuple[list[Answer], SamplingParameters]:
    answers: list[Answer] = []
    sampling = SamplingParameters()
    for model in models:
        async with asking.loaded(model) as (engine, info):
            if not answers:
                sampling = common.with_options(info.sampling, options)
                if options.get("seed") is None:
                    sampling = sampling.replace(seed=secrets.randbelow(SEEDS))
            text, tokens = "", []
            async for event in engine.generate(chat, sampling, max_tokens=max_tokens, candidates=1):
                if isinstance(event, TokenEvent):
                    text += event.text
                    tokens.append(event)
                elif isinstance(event, Finished):
                    answers.append(Answer(info, text + event.text, tokens, event))
    return answers, sampling


def _parted(answers: list[Answer]) -> int | None:
    """The first character in which they differ."""
    one, other = (answer.text for answer in answers)
    if one == other:
        return None
    places = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(places, min(len(one), len(other)))


def _mean(answer: Answer) -> float | None:
    """Nats a token: how surprising its own reply was to the model."""
    logprobs = [token.logprob for token in answer.tokens]
    return -sum(logprobs) / len(logprobs) if logprobs else None


def _document(answers: list[Answer], sampling: SamplingParameters) -> dict[str, Any]:
    return {
        "seed": sampling.seed,
        "temperature": sampling.temperature,
        "parted": _parted(answers),
        "replies": [
            {
                "model": answer.info.name,
                "text": answer.text,
                "finish": answer.finished.reason,
                "tokens_per_second": answer.finished.timing.tokens_per_second,
                "surprise": _mean(answer),
                "tokens": [
                    {"id": token.id, "text": token.text, "logprob": token.logprob, "rank": token.rank}
                    for token in answer.tokens
                ],
            }
            for answer in answers
        ],
    }


def _print(answers: list[Answer], sampling: SamplingParameters) -> None:
    table = Table(show_lines=True)
    parted = _parted(answers)
    texts = []
    for answer in answers:
        facts = [_("{rate} tok/s").format(rate=f"{answer.finished.timing.tokens_per_second:.1f}")]
        mean = _mean(answer)
        if mean is not None:
            facts.append(_("{nats} nats a token").format(nats=f"{mean:.2f}"))
        table.add_column(RichText(f"{inert.line(answer.info.name)} · {' · '.join(facts)}"), ratio=1)
        at = len(answer.text) if parted is None else parted
        texts.append(
            RichText.assemble(inert.block(answer.text[:at]), (inert.block(answer.text[at:]), "bold"))
        )
    table.add_row(*texts)
    console = Console()
    console.print(table)
    same = _("the replies are the same") if parted is None else _("bold: from where they part")
    seed = _("seed {seed}").format(seed=sampling.seed)
    console.print(f"T {sampling.temperature:.2f} · {seed} · {same}")
