"""What several commands share: the engine, its progress on standard error, the sampling options."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from rich.cells import cell_len

from chatterm import inert
from chatterm.cli import complete, words
from chatterm.cli.loading import load_options
from chatterm.engine.client import EngineProcess
from chatterm.engine.messages import Progress
from chatterm.engine.protocol import OnProgress
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.sampling import SamplingParameters

_Result = TypeVar("_Result")
_Command = TypeVar("_Command", bound=Callable[..., Any])

INTERRUPTED = 130
"""Exit status after Ctrl+C, as shells expect it."""

model_option = click.option(
    "-m",
    "--model",
    metavar="MODEL",
    help="A path, a catalog name or a hub id.",
    shell_complete=complete.models,
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def sampling_options(command: _Command) -> _Command:
    """The knobs of the sampler as options; what is not given is the checkpoint's own starting value."""
    options = [
        click.option("-t", "--temperature", type=float, help="0 always takes the most probable token."),
        click.option("--top-k", type=int, help="Keep the K most probable tokens; 0 keeps all."),
        click.option("--top-p", type=float, help="Keep the most probable tokens that reach this mass."),
        click.option("--min-p", type=float, help="Drop tokens below this share of the top probability."),
        click.option("--repetition-penalty", type=float, help="Over 1: repeat less."),
        click.option("--seed", type=int, help="The same seed makes the same choices."),
        click.option(
            "--set",
            "others",
            multiple=True,
            metavar="NAME=VALUE",
            help="Any other sampling value, in JSON: --set typical_p=0.9 --set 'logit_bias={\"2\": -5}'.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def with_options(starting: SamplingParameters, options: dict[str, Any]) -> SamplingParameters:
    """The starting values with the given options in their place.

    Raises:
        UserError: an option is out of its range.
    """
    try:
        return starting.replace(**given_values(options))
    except msgspec.ValidationError as error:
        raise UserError(_("A sampling option cannot be used: {error}.").format(error=error)) from error


def piped(file: Path, most: int) -> bytes | None:
    """What comes out of a pipe that a shell handed over, as for `<(command)`; None for any other file.

    A pipe of any other name is not read: nobody may be writing into it.

    Raises:
        UserError: it cannot be read.
    """
    if file != Path("/dev/stdin") and str(file.parent) not in ("/dev/fd", "/proc/self/fd"):
        return None
    try:
        with file.open("rb") as stream:
            return stream.read(most)
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}).") from error


def given_values(options: dict[str, Any]) -> dict[str, Any]:
    """The fields of the sampling parameters that options set, unchecked.

    Raises:
        UserError: a --set is not NAME=VALUE.
    """
    others = dict(_setting(text) for text in options.get("others", ()))
    given = {name: value for name, value in options.items() if value is not None and name != "others"}
    return others | given


def _setting(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(_("--set {text} is not NAME=VALUE.").format(text=repr(text)))
    try:
        return name.strip().replace("-", "_"), json.loads(value)
    except json.JSONDecodeError as error:
        raise UserError(
            _("--set {text}: the value is not JSON ({error}).").format(text=repr(text), error=error.msg)
        ) from error


def text_argument(text: str | None) -> str:
    """The text given, or standard input for `-` and for none.

    Raises:
        UserError: there is no text, or standard input is not UTF-8.
    """
    if text is not None and text != "-":
        return text
    if sys.stdin.isatty() and text is None:
        raise UserError(_("There is no text: give it as an argument, or pipe it in."))
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            _("Standard input is not UTF-8 text (byte {place}).").format(place=error.start)
        ) from error


@contextlib.asynccontextmanager
async def engine() -> AsyncIterator[EngineProcess]:
    """An engine for one command, with nothing loaded."""
    process = await EngineProcess.start()
    try:
        yield process
    finally:
        await process.close()


async def find(process: EngineProcess, model: str | None) -> str:
    """The path of MODEL. Only the default model is fetched without being asked for."""
    from chatterm.settings import load_settings

    name = model or load_settings().model
    with progress_line() as show:
        return await process.fetch(name, show, download=name == "default")


async def load(process: EngineProcess, model: str | None) -> None:
    """Find MODEL and load it as the options of `loading_options` and the settings say."""
    options = load_options()
    path = await find(process, model)
    with progress_line() as show:
        info = await process.load(path, options, show)
    for notice in info.notices:
        click.echo(f"chatterm: {inert.line(words.sentence(notice))}", err=True)


def run(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a command's coroutine; Ctrl+C ends it with status 130."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def print_json(value: object) -> None:
    """One JSON document on standard output; what a terminal would obey or hide in it is an escape."""
    click.echo(inert.json(json.dumps(value, ensure_ascii=False, indent=None)))


@contextlib.contextmanager
def progress_line() -> Iterator[OnProgress]:
    """Shows `Progress` events in one line of standard error, if that is a terminal."""
    width = 0

    def show(progress: Progress) -> None:
        nonlocal width
        line = inert.line(describe_progress(progress))
        columns = cell_len(line)
        click.echo("\r" + line + " " * (width - columns), nl=False, err=True)
        width = columns

    if not sys.stderr.isatty():
        yield lambda progress: None
        return
    try:
        yield show
    finally:
        if width:
            click.echo("\r" + " " * width + "\r", nl=False, err=True)


def describe_progress(progress: Progress) -> str:
    """Like "downloading model.safetensors  93 of 270 MB  12.1 MB/s  15 s left"."""
    parts = [words.sentence(progress.what)]
    if progress.unit == "bytes":
        done = f"{progress.done / 1e6:.0f}"
        if progress.total:
            done = _("{done} of {total}").format(done=done, total=f"{progress.total / 1e6:.0f}")
        parts.append(f"{done} MB")
        if progress.per_second:
            parts.append(f"{progress.per_second / 1e6:.1f} MB/s")
    else:
        done = _("{done} of {total}").format(done=progress.done, total=progress.total)
        parts.append(f"{done} {_(progress.unit)}")
    if progress.remaining is not None:
        parts.append(_("{time} left").format(time=f"{progress.remaining:.0f} s"))
    return "  ".join(parts)
