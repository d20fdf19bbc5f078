"""`chatterm import`: conversations from other programs, and our own back."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from chatterm import inert
from chatterm.cli import common, saved
from chatterm.cli.translated import Command
from chatterm.language import _, several
from chatterm.library.imports import MAX_BYTES, Imported, read, read_file


@click.command("import", cls=Command)
@click.option("--dry-run", is_flag=True, help="Say what is in the files; import nothing.")
@common.json_option
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True), metavar="FILE..."
)
def command(dry_run: bool, as_json: bool, files: tuple[Path, ...]) -> None:
    """Add conversations from files to your own.

    All of them are imported or, if anything is wrong with one, none. Each stands in the list where its date
    puts it. Importing a file twice makes everything twice. `-` reads standard input.

    \b
    These are read, told apart by what is in them:
      chatterm          JSON from `chatterm export`, without any loss
      ChatGPT           conversations.json, with its branches
      Claude            conversations.json
      llama.cpp         JSON from its web interface
      Open WebUI        JSON from "Export chats"
      ShareGPT          lists of {"from", "value"}
      lists             of {"role", "content"}; also one JSON object a line

    What is not text (pictures, calls of tools) is left out, with a notice in its place.

    \b
    Examples:
      chatterm import backup.json
      chatterm import --dry-run ~/Downloads/conversations.json
      jq '.messages' log.json | chatterm import -
    """
    found = [_read(file) for file in files]
    for one in found:
        for notice in one.notices:
            click.echo(f"chatterm: {inert.line(notice)}", err=True)
    documents = [conversation for one in found for conversation in one.conversations]
    kinds = _(" and ").join(dict.fromkeys(one.kind for one in found))
    count = several("{count} conversation", "{count} conversations", len(documents)).format(
        count=len(documents)
    )
    if dry_run:
        if as_json:
            common.print_json(
                [{"title": found.title, "messages": len(found.messages)} for found in documents]
            )
            return
        click.echo(_("{count} ({kinds}); nothing was imported.").format(count=count, kinds=kinds))
        for document in documents:
            title = inert.line(document.title) or _("untitled")
            said = _("“{title}”, {count} messages").format(title=title, count=len(document.messages))
            click.echo(f"  {said}")
        return
    with saved.library() as library:
        added = library.add_conversations(documents)
    if as_json:
        common.print_json([saved.document(conversation) for conversation in added])
        return
    click.echo(_("Imported {count} ({kinds}):").format(count=count, kinds=kinds))
    for conversation in added:
        click.echo(f"  {saved.titled(conversation)}")


def _read(file: Path) -> Imported:
    if str(file) == "-":
        return read(sys.stdin.buffer.read(), "Standard input", time.time())
    data = common.piped(file, MAX_BYTES + 1)
    return read_file(file) if data is None else read(data, str(file), time.time())
