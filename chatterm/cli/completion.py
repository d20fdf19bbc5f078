"""`chatterm completion`: the script that completes commands and options in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from chatterm.cli.translated import Command


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash:  chatterm completion bash > ~/.local/share/bash-completion/completions/chatterm
    zsh:   chatterm completion zsh > "${fpath[1]}/_chatterm"
    fish:  chatterm completion fish > ~/.config/fish/completions/chatterm.fish
    """
    from chatterm.cli import main

    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(main, {}, "chatterm", "_CHATTERM_COMPLETE").source())
