"""The command line. Nothing heavy is imported until a command runs."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from chatterm import __version__, inert
from chatterm.cli.loading import given, loading_options
from chatterm.cli.translated import Group
from chatterm.errors import UserError
from chatterm.language import _, speak

COMMANDS = {
    "ask": "chatterm.cli.ask",
    "next": "chatterm.cli.next",
    "tokens": "chatterm.cli.tokens",
    "compare": "chatterm.cli.compare",
    "lens": "chatterm.cli.glass.lens",
    "attention": "chatterm.cli.glass.attention",
    "contributions": "chatterm.cli.glass.contributions",
    "neurons": "chatterm.cli.glass.neurons",
    "neighbours": "chatterm.cli.glass.neighbours",
    "analogy": "chatterm.cli.glass.analogy",
    "map": "chatterm.cli.glass.map",
    "ranks": "chatterm.cli.glass.ranks",
    "score": "chatterm.cli.glass.score",
    "edit-compare": "chatterm.cli.glass.edit_compare",
    "selfcheck": "chatterm.cli.glass.selfcheck",
    "resume": "chatterm.cli.resume",
    "history": "chatterm.cli.history",
    "export": "chatterm.cli.export",
    "import": "chatterm.cli.import_",
    "presets": "chatterm.cli.presets",
    "models": "chatterm.cli.models",
    "bench": "chatterm.cli.bench",
    "doctor": "chatterm.cli.doctor",
    "web": "chatterm.cli.web",
    "completion": "chatterm.cli.completion",
}
"""Command name → the module whose `command` it is."""

SUMMARIES = {
    "ask": "Ask one question; the reply streams to standard output.",
    "next": "Show which tokens could come next after a text.",
    "tokens": "Cut a text into the model's tokens.",
    "compare": "Let two models answer the same PROMPT.",
    "lens": "Show the model's guesses layer by layer.",
    "attention": "Show where attention heads look.",
    "contributions": "Show which heads and feed-forward layers pushed a token's logit.",
    "neurons": "Show the neurons that write most at the last token.",
    "neighbours": "Show the tokens nearest to a word.",
    "analogy": "Show what lies near A − B + C in the input embedding.",
    "map": "Draw words where their embeddings lie.",
    "ranks": "Plot next-token probabilities against rank, both logarithmic.",
    "score": "Show how probable each token of a text was.",
    "edit-compare": "Compare the model as it is with an edited one.",
    "selfcheck": "Check on the loaded model that every view's numbers add up.",
    "resume": "Open the chat with an earlier conversation.",
    "history": "List, search, show, export and delete saved conversations.",
    "export": "Write a conversation to a file, for other people and programs.",
    "import": "Add conversations from files to your own.",
    "presets": "List, show, save and delete presets.",
    "models": "List, fetch and look at checkpoints.",
    "bench": "Measure how fast a model loads, reads and writes here.",
    "doctor": "Show versions, devices, folders, and what works.",
    "web": "Serve the chat to a browser on this machine.",
    "completion": "Print the completion script for a shell.",
}
"""The first lines of the commands' help, so that `--help` need not import them; a test keeps them true."""


class LazyGroup(Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        with formatter.section(_("Commands")):
            formatter.write_dl([(name, _(summary)) for name, summary in SUMMARIES.items()])

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the arguments; a complaint about them quotes them inert."""
        _speak()
        with _inert_complaints():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Read the command's own arguments, and run it."""
        with _inert_complaints():
            return super().invoke(ctx)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run, turning a `UserError` into one sentence and exit status 2."""
        try:
            return super().main(*args, **extra)
        except UserError as error:
            click.echo(f"chatterm: {error.sentence}", err=True)
            sys.exit(2)


@contextmanager
def _inert_complaints() -> Iterator[None]:
    """An argument may be the name of a file that somebody else chose."""
    try:
        yield
    except click.ClickException as error:
        vars(error)["message"] = inert.line(error.message)
        raise


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="MODEL is a path (a GGUF file or a checkpoint folder), a catalog name or a hub id.",
)
@click.option("-m", "--model", metavar="MODEL", help="The checkpoint to talk with.")
@loading_options()
@click.option("-c", "--continue", "resume", is_flag=True, help="Go on with the last conversation.")
@click.version_option(__version__, "--version", message="chatterm %(version)s")
@click.pass_context
def main(ctx: click.Context, model: str | None, resume: bool) -> None:
    """Talk with a language model on your own machine and see it think.

    Without a command the chat opens.
    """
    if ctx.invoked_subcommand is not None:
        return
    in_browser = "TEXTUAL_DRIVER" in os.environ  # `chatterm web` talks to it through pipes
    if not in_browser and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError(
            _("The chat needs a terminal; in a pipe use `chatterm ask`, which reads standard input.")
        )
    from chatterm.settings import load_settings
    from chatterm.tui.run import run_chat

    sys.exit(run_chat(load_settings(model=model, **given()), resume=resume))


def _speak() -> None:
    """In the language of the settings; what is wrong with these is said by the commands that need them."""
    from chatterm.settings import load_settings

    try:
        speak(load_settings().language)
    except UserError:
        speak("auto")
