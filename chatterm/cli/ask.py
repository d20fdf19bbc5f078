"""`chatterm ask`: one question, one reply."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any, Literal

import click
import msgspec

from chatterm import inert
from chatterm.cli import common, complete, loading, saved
from chatterm.cli.question import question
from chatterm.cli.rendering import MarkdownStream
from chatterm.cli.talk import Talk
from chatterm.cli.translated import Command
from chatterm.engine.messages import Finished, Started, TokenEvent
from chatterm.errors import UserError
from chatterm.language import _, mark
from chatterm.presets import Preset, load_preset
from chatterm.records.generation import Chat, Message
from chatterm.sampling import SamplingParameters
from chatterm.settings import load_settings

Format = Literal["text", "markdown", "json"]

_CUT = {
    "length": mark("the reply was cut at --max-tokens."),
    "context": mark("the reply was cut: the context window is full."),
}


@click.command("ask", cls=Command)
@common.model_option
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A text file to ask about; several are allowed.",
)
@click.option("-s", "--system", help='The system prompt; "" for none.')
@click.option(
    "-p",
    "--preset",
    metavar="NAME",
    shell_complete=complete.presets,
    help="A preset of system prompt and sampling values (`chatterm presets`).",
)
@click.option(
    "-c",
    "--continue",
    "resumed",
    is_flag=False,
    flag_value=saved.LAST,
    metavar="[ID]",
    shell_complete=complete.conversations,
    help="Go on with the last conversation, or with that of number ID, and save.",
)
@click.option("--save/--no-save", default=None, help="Keep question and reply. Only -c does without asking.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    help="text: as it is written (default). markdown: rendered, in a terminal. json: with tokens and timing.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--max-tokens", type=click.IntRange(min=0), help="Stop after N tokens.")
@loading.loading_options()
@common.sampling_options
@click.argument("prompt", required=False)
def command(
    model: str | None,
    files: tuple[Path, ...],
    system: str | None,
    preset: str | None,
    resumed: str | None,
    save: bool | None,
    format_: Format,
    as_json: bool,
    max_tokens: int | None,
    prompt: str | None,
    **options: Any,
) -> None:
    """Ask one question; the reply streams to standard output.

    Files and what is piped in come before PROMPT, as its context. Without PROMPT, or with `-`, what is piped
    in is the prompt. What the program has to say itself goes to standard error. Ctrl+C stops the reply.

    An option of the sampler wins over the preset, that over the conversation's own values, those over your
    settings, and these over the checkpoint's.

    \b
    Examples:
      chatterm ask "What is the capital of France?"
      chatterm ask -f notes.md -f plan.md "What do these leave open?"
      git diff | chatterm ask -p brief "Write a commit message."
      chatterm ask --save "Name a colour." && chatterm ask -c "Another one."
      chatterm ask -c 12 --format markdown "And as a table?"
      chatterm ask --json -t 0 "Hi" | jq '.tokens[].text'
    """
    if resumed is not None and prompt is None and resumed != saved.LAST and not resumed.isdecimal():
        resumed, prompt = saved.LAST, resumed  # ask -c "And then?"
    asked = question(prompt, files)
    chosen = load_preset(preset) if preset is not None else None
    with contextlib.ExitStack() as stack:
        talk = _talk(stack, resumed, save)
        asking = _ask(talk, model, system, chosen, asked, max_tokens, "json" if as_json else format_, options)
        common.run(asking)


def _talk(stack: contextlib.ExitStack, resumed: str | None, save: bool | None) -> Talk:
    if resumed is None:
        return Talk(stack.enter_context(saved.library()) if save else None, None)
    library = stack.enter_context(saved.library())
    return Talk.resume(library, saved.number(library, resumed), save=save is not False)


async def _ask(
    talk: Talk,
    model: str | None,
    system: str | None,
    preset: Preset | None,
    asked: str,
    max_tokens: int | None,
    format_: Format,
    options: dict[str, Any],
) -> None:
    common.with_options(SamplingParameters(), options)  # mistakes are told before anything is loaded
    async with common.engine() as engine:
        await common.load(engine, model)
        assert engine.info is not None
        sampling = common.with_options(_starting(engine.info.sampling, talk, preset), options)
        prompt = _system_prompt(system, preset, talk)
        begun = talk.conversation is None
        messages = (*([Message("system", prompt)] if prompt else []), *talk.said, Message("user", asked))
        talk.ask(asked, engine.info.name, prompt, sampling)
        printer = _Printer(format_)
        tokens: list[TokenEvent] = []
        try:
            async for event in engine.generate(Chat(messages), sampling, max_tokens=max_tokens):
                match event:
                    case Started(notices=notices):
                        for notice in notices:
                            click.echo(f"chatterm: {inert.line(notice)}", err=True)
                    case TokenEvent():
                        tokens.append(event)
                        printer.write(event.text)
                        talk.grew(tokens)
                    case Finished():
                        talk.finished(tokens, event)
                        printer.finish(tokens, event, talk.conversation)
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | asyncio.CancelledError)
            with contextlib.suppress(UserError):
                talk.broken_off(tokens, stopped=stopped)
            raise
        if begun and talk.conversation is not None and sys.stderr.isatty():
            said = _("saved as conversation {number}.").format(number=talk.conversation)
            click.echo(f"chatterm: {said}", err=True)


def _starting(checkpoints: SamplingParameters, talk: Talk, preset: Preset | None) -> SamplingParameters:
    settings = Preset(name="of your settings", sampling=load_settings().sampling)
    sampling = talk.sampling or settings.over(checkpoints)
    return preset.over(sampling) if preset is not None else sampling


def _system_prompt(system: str | None, preset: Preset | None, talk: Talk) -> str:
    for given in (system, preset.system_prompt if preset else None, talk.system_prompt):
        if given is not None:
            return given
    return load_settings().system_prompt


class _Printer:
    """The reply on standard output, in one of the formats."""

    def __init__(self, format_: Format) -> None:
        self._format = format_
        self._is_terminal = sys.stdout.isatty()
        self._before = ""
        self._stream: MarkdownStream | None = None
        if format_ == "markdown" and self._is_terminal:
            from rich.console import Console

            self._stream = MarkdownStream(Console(highlight=False))

    def write(self, text: str) -> None:
        """More of the reply."""
        if self._stream is not None:
            self._stream.write(text)
        elif self._format != "json":
            shown = inert.block(text, self._before) if self._is_terminal else text.encode("utf-8", "replace")
            click.echo(shown, nl=False)  # bytes go into a file as they are
            self._before = (self._before + text)[-inert.CONTEXT :]

    def finish(self, tokens: list[TokenEvent], end: Finished, conversation: int | None) -> None:
        """The end of the reply."""
        if self._format == "json":
            common.print_json(_document(tokens, end, conversation))
            return
        self.write(end.text)
        if self._stream is not None:
            self._stream.close()
        else:
            click.echo("", nl=self._is_terminal or not _ends_line(tokens, end))
        if end.reason in _CUT:
            click.echo(f"chatterm: {_(_CUT[end.reason])}", err=True)


def _ends_line(tokens: list[TokenEvent], finished: Finished) -> bool:
    text = finished.text or next((event.text for event in reversed(tokens) if event.text), "")
    return text.endswith("\n")


def _document(tokens: list[TokenEvent], finished: Finished, conversation: int | None) -> dict[str, Any]:
    document = {
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
    return document if conversation is None else document | {"conversation": conversation}
