"""`chatterm history`: the saved conversations."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click
import msgspec

from chatterm import inert
from chatterm.cli import common, complete, saved
from chatterm.cli.export import command as export_command
from chatterm.cli.translated import Group
from chatterm.language import _
from chatterm.library import Conversation, Hit
from chatterm.library.exchange import Whole
from chatterm.library.exports import export, outline


@click.group("history", cls=Group)
def command() -> None:
    """List, search, show, export and delete saved conversations.

    \b
    Examples:
      chatterm history list
      chatterm history search "golden gate" bridge
      chatterm history show 12 | less
    """


@command.command("list")
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@click.option("--matching", default="", metavar="TEXT", help="Only titles that contain TEXT.")
@click.option("--deleted", is_flag=True, help="Those that were deleted and can be brought back.")
@common.json_option
def list_(limit: int, matching: str, deleted: bool, as_json: bool) -> None:
    """List conversations: pinned ones first, then the latest.

    \b
    Examples:
      chatterm history list -n 5
      chatterm history list --deleted
      chatterm history list --json | jq '.[].title'
    """
    with saved.library() as library:
        found = library.conversations(limit=limit, matching=matching, deleted=deleted)
        more = len(library.conversations(limit=1, offset=limit, matching=matching, deleted=deleted))
    if as_json:
        common.print_json([saved.document(conversation) for conversation in found])
    elif not found:
        click.echo(
            _("There is none.") if matching or deleted else _("No conversation has been saved yet."), err=True
        )
    else:
        _print_list(found)
        if more:
            click.echo(_("There are more: --limit {count} shows them.").format(count=limit * 5), err=True)


@command.command("search")
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@common.json_option
@click.argument("words", nargs=-1, required=True)
def search(limit: int, as_json: bool, words: tuple[str, ...]) -> None:
    """Find messages that contain all WORDS, newest first.

    A word is found inside other words too and whatever its case; what you quote is found as it stands.

    \b
    Examples:
      chatterm history search haiku sea
      chatterm history search "the sea"
      chatterm history search --json 苹果
    """
    query = " ".join(f'"{word}"' if " " in word else word for word in words)
    with saved.library() as library:
        hits = library.search(query, limit=limit)
    if as_json:
        common.print_json([msgspec.to_builtins(hit) for hit in hits])
    elif not hits:
        click.echo(_("Nothing was found."), err=True)
    else:
        _print_hits(hits)


@command.command("show")
@saved.branches_option
@common.json_option
@saved.conversation_argument
def show(branches: bool, as_json: bool, conversation: str) -> None:
    """Show a conversation: as Markdown in a terminal, as plain text in a pipe.

    CONVERSATION is a number from `chatterm history list` or `last`, which is what is shown without one.

    \b
    Examples:
      chatterm history show
      chatterm history show 12 --branches
      chatterm history show 12 | grep -i sea
    """
    with saved.library() as library:
        whole = library.whole(saved.number(library, conversation))
    for problem in whole.problems:
        click.echo(f"chatterm: {inert.line(problem)}", err=True)
    if as_json:
        click.echo(export([whole], "json").encode(), nl=False)
    elif sys.stdout.isatty():
        _show(whole, branches)
    else:
        click.echo(export([whole], "text", branches=branches).encode(), nl=False)


command.add_command(export_command)


@command.command("delete")
@click.argument("conversations", nargs=-1, required=True, shell_complete=complete.conversations)
def delete(conversations: tuple[str, ...]) -> None:
    """Take conversations off the list; they can be brought back.

    \b
    Examples:
      chatterm history delete 12
      chatterm history undelete 12
    """
    with saved.library() as library:
        numbers = [library.conversation(saved.number(library, name)).id for name in conversations]
        for number in numbers:
            deleted = library.delete(number)
            click.echo(
                _("Deleted {title}; `chatterm history undelete {number}` brings it back.").format(
                    title=saved.titled(deleted), number=number
                )
            )


@command.command("undelete")
@click.argument("conversations", nargs=-1, required=True, shell_complete=complete.deleted_conversations)
def undelete(conversations: tuple[str, ...]) -> None:
    """Bring deleted conversations back.

    \b
    Examples:
      chatterm history list --deleted
      chatterm history undelete 12
    """
    with saved.library() as library:
        numbers = [library.conversation(saved.number(library, name)).id for name in conversations]
        for number in numbers:
            title = saved.titled(library.undelete(number))
            click.echo(_("Brought back {title}.").format(title=title))


def _print_list(found: Iterable[Conversation]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", justify="right")
    table.add_column(_("date"), no_wrap=True)
    table.add_column(_("title"), ratio=1)
    table.add_column(_("model"))
    for conversation in found:
        title = inert.line(conversation.title) or _("untitled")
        if conversation.pinned:
            title = "  ".join((title, _("(pinned)")))
        table.add_row(
            Text(str(conversation.id), style="bold"),
            outline.date(conversation.updated),
            Text(title),
            Text(inert.line(conversation.model or ""), style="dim"),
        )
    Console(highlight=False).print(table)


def _print_hits(hits: Iterable[Hit]) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    shown = 0
    for hit in hits:
        if hit.conversation != shown:
            shown = hit.conversation
            title = inert.line(hit.title) or _("untitled")
            console.print(Text.assemble((str(hit.conversation), "bold"), f"  {title}"))
        snippet = Text(inert.line(hit.snippet))
        for start, end in hit.spans:
            snippet.stylize("bold underline", start, end)
        console.print(Padding(snippet, (0, 0, 0, 4), expand=False))


def _show(whole: Whole, branches: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    from chatterm.cli.rendering import print_markdown

    console = Console(highlight=False)
    title = outline.title(whole)
    console.print(Text(_(title) if title == outline.UNTITLED else title, style="bold"))
    console.print(Text(" · ".join(filter(None, outline.facts(whole))), style="dim"))
    if whole.conversation.system_prompt:
        console.print(Text("\n" + _("System prompt"), style="bold dim"))
        console.print(Text(inert.block(whole.conversation.system_prompt), style="dim"))
    for entry in outline.entries(whole, branches=branches):
        console.print(Text(f"\n{heading(entry, branches=branches)}", style="bold dim"))
        print_markdown(console, entry.message.content)


def heading(entry: outline.Entry, *, branches: bool) -> str:
    """Whose message it is and what there is to say of it, as exports say it in English."""
    message = entry.message
    facts = [
        _("answers {number}").format(number=entry.answers) if entry.answers else "",
        _("{done} of {total}").format(done=message.sibling, total=message.siblings)
        if message.siblings > 1
        else "",
        _("edited") if message.edited_from is not None else "",
        _("forked at token {number}").format(number=message.forked_at)
        if message.forked_from is not None
        else "",
        _(outline.ENDINGS.get(message.status, "")),
        *(inert.line(notice) for notice in message.notices),
    ]
    speaker = entry.speaker if message.role == "assistant" else _(entry.speaker)
    number = f"{entry.number}. " if branches else ""
    told = "; ".join(filter(None, facts))
    return f"{number}{speaker} ({told})" if told else f"{number}{speaker}"
