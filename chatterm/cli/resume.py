"""`chatterm resume`: the chat, with an earlier conversation."""

from __future__ import annotations

import os
import sys

import click

from chatterm import inert
from chatterm.cli import complete, saved
from chatterm.cli.loading import given, loading_options
from chatterm.cli.translated import Command
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.library import Conversation, Library
from chatterm.library.exports import outline

LISTED = 20


@click.command("resume", cls=Command)
@click.argument("conversation", required=False, shell_complete=complete.conversations)
@click.option("-m", "--model", metavar="MODEL", help="The checkpoint to talk with.")
@loading_options()
def command(conversation: str | None, model: str | None) -> None:
    """Open the chat with an earlier conversation.

    CONVERSATION is a number from `chatterm history list` or `last`. Without one the latest are listed, to
    choose from. The conversation's own system prompt and sampling values are in force again.

    \b
    Examples:
      chatterm resume
      chatterm resume last
      chatterm resume 12
    """
    if not _is_terminal():
        raise UserError(_("The chat needs a terminal; in a pipe `chatterm ask --continue` goes on."))
    with saved.library() as library:
        number = saved.number(library, conversation) if conversation is not None else _choose(library)
        library.conversation(number)
    from chatterm.settings import load_settings
    from chatterm.tui.run import run_chat

    sys.exit(run_chat(load_settings(model=model, **given()), conversation=str(number)))


def _is_terminal() -> bool:
    return "TEXTUAL_DRIVER" in os.environ or (sys.stdin.isatty() and sys.stdout.isatty())


def _choose(library: Library) -> int:
    """Ask which one, in the terminal.

    Raises:
        UserError: nothing has been saved yet.
    """
    found = library.conversations(limit=LISTED)
    if not found:
        raise UserError(_("No conversation has been saved yet; `chatterm` begins one."))
    elsewhere = library.open_elsewhere()
    for place, conversation in enumerate(found, 1):
        click.echo(_line(place, conversation, is_open=conversation.id in elsewhere))
    place = click.prompt(_("Which one"), type=click.IntRange(1, len(found)), default=1)
    return found[place - 1].id


def _line(place: int, conversation: Conversation, *, is_open: bool) -> str:
    facts = [outline.date(conversation.updated), inert.line(conversation.model or "")]
    facts += [_("pinned")] if conversation.pinned else []
    facts += [_("open in another window")] if is_open else []
    title = inert.line(conversation.title) or _("untitled")
    return f"{place:>3}  {title}  {click.style(' · '.join(filter(None, facts)), dim=True)}"
