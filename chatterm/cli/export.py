"""`chatterm export`: conversations as files."""

from __future__ import annotations

from pathlib import Path

import click

from chatterm import inert
from chatterm.cli import complete, saved
from chatterm.cli.translated import Command
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.library.exports import FORMATS, Format, export, format_of
from chatterm.library.exports.files import write


@click.command("export", cls=Command)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Where to write; standard output without it. The suffix chooses the format.",
)
@click.option(
    "-f", "--format", "format_", type=click.Choice(FORMATS), help="The format, whatever the suffix."
)
@saved.branches_option
@click.option("--all", "everything", is_flag=True, help="All conversations; only JSON holds several.")
@click.option("--overwrite", is_flag=True, help="Replace FILE if there is one.")
@click.argument("conversations", nargs=-1, metavar="[CONVERSATION]...", shell_complete=complete.conversations)
def command(
    output: Path | None,
    format_: Format | None,
    branches: bool,
    everything: bool,
    overwrite: bool,
    conversations: tuple[str, ...],
) -> None:
    """Write a conversation to a file, for other people and programs.

    CONVERSATION is a number from `chatterm history list` or `last`, which is what is exported without one.

    \b
    markdown  .md    what was said, as it was meant; the default
    json      .json  everything: all branches, tokens, probabilities, values;
                     `chatterm import` reads it
    text      .txt   what was said, as plain text
    html      .html  a page of its own, coloured by probability: point at a
                     word to see what else could have stood there
    svg       .svg   a picture, coloured by probability

    A file that is there already is not replaced without --overwrite.

    \b
    Examples:
      chatterm export > last.md
      chatterm export 12 -o talk.html
      chatterm export 12 -o tree.svg --branches
      chatterm export --all -o backup.json
    """
    to_file = output is not None and str(output) != "-"
    if format_ is None:
        format_ = (
            format_of(output) if output is not None and to_file else "json" if everything else "markdown"
        )
    with saved.library() as library:
        if everything:
            if conversations:
                raise UserError(_("Give conversations or --all, not both."))
            numbers = [c.id for c in library.conversations(limit=1_000_000)]
            if not numbers:
                raise UserError(_("No conversation has been saved yet."))
        else:
            numbers = [saved.number(library, name) for name in conversations or (saved.LAST,)]
        wholes = [library.whole(number) for number in numbers]
    for whole in wholes:
        for problem in whole.problems:
            click.echo(f"chatterm: {inert.line(problem)}", err=True)
    text = export(wholes, format_, branches=branches).encode()
    if output is None or not to_file:
        click.echo(text, nl=False)
    else:
        otherwise = _("choose another name, or give --overwrite")
        write(output, text, overwrite=overwrite, otherwise=otherwise)
