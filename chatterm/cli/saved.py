"""Saved conversations on the command line: opening the library, naming a conversation, showing one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from chatterm import inert
from chatterm.cli import complete
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.library import Conversation, Library

LAST = "last"

_Command = TypeVar("_Command", bound=Callable[..., Any])


def conversation_argument(command: _Command) -> _Command:
    """The optional argument CONVERSATION."""
    return click.argument(
        "conversation", required=False, default=LAST, shell_complete=complete.conversations
    )(command)


branches_option = click.option(
    "--branches", is_flag=True, help="All branches, not only the one looked at last."
)


@contextmanager
def library() -> Iterator[Library]:
    """The user's library; what happened on opening is told on standard error.

    Raises:
        UserError: it cannot be opened.
    """
    with Library() as opened:
        for notice in opened.notices:
            click.echo(f"chatterm: {inert.line(notice)}", err=True)
        yield opened


def number(library: Library, conversation: str) -> int:
    """The number that CONVERSATION means: itself, or that of the last one.

    Raises:
        UserError: it is no number, or nothing has been saved yet.
    """
    if conversation == LAST:
        last = library.last_conversation()
        if last is None:
            raise UserError(_("No conversation has been saved yet."))
        return last.id
    if not (conversation.isascii() and conversation.isdigit() and len(conversation) < 19):
        raise UserError(
            _(
                "{text} is no conversation: give its number (`chatterm history list` shows them) or `last`."
            ).format(text=repr(inert.line(conversation)))
        )
    return int(conversation)


def titled(conversation: Conversation) -> str:
    """Like `12 “The sea in three lines”`, inert."""
    title = inert.line(conversation.title) or _("untitled")
    return f"{conversation.id} “{title}”"


def document(conversation: Conversation) -> dict[str, Any]:
    """The facts of a conversation for `--json`."""
    return {
        "id": conversation.id,
        "title": conversation.title,
        "created": conversation.created,
        "updated": conversation.updated,
        "pinned": conversation.pinned,
        "deleted": conversation.deleted,
        "model": conversation.model,
    }
