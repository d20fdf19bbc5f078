"""`chatterm web`: the same screen in a browser on this machine."""

from __future__ import annotations

import contextlib

import click

from chatterm.cli.common import model_option
from chatterm.cli.translated import Command
from chatterm.language import _


@click.command("web", cls=Command)
@model_option
@click.option(
    "--port", default=8321, show_default=True, metavar="N", help="Where to listen; 0 takes any free port."
)
@click.option("--open/--no-open", "opens", default=True, help="Open the link in the browser.")
def command(model: str | None, port: int, opens: bool) -> None:
    """Serve the chat to a browser on this machine.

    It listens on the loopback interface only, and answers only to the link that it prints: the link holds a
    secret that is made anew at every start. Each tab is a chat of its own; closing the tab ends it.
    """
    from chatterm.settings import load_settings
    from chatterm.web.opening import opened
    from chatterm.web.server import ChatServer, listen

    load_settings(model=model)  # mistakes are said here, not in the browser
    server = ChatServer(["-m", model] if model else [], listen(port))
    click.echo(_("The chat is at {link}\nCtrl+C ends it.").format(link=server.guard.link))
    with opened(server.guard) if opens else contextlib.nullcontext():
        server.run()
