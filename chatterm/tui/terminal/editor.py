"""The user's own editor, in the terminal of the chat."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from chatterm.errors import UserError
from chatterm.language import _
from chatterm.tui.terminal.suspended import LendingApp

USUAL = ("sensible-editor", "nano", "vim", "vi", "notepad")


def is_named() -> bool:
    """Whether the user has named an editor."""
    return any(os.environ.get(variable, "").strip() for variable in ("VISUAL", "EDITOR"))


def command() -> list[str]:
    """What `$VISUAL` or `$EDITOR` says, or an editor that is there.

    Raises:
        UserError: there is none.
    """
    for variable in ("VISUAL", "EDITOR"):
        if os.environ.get(variable, "").strip():
            try:
                return shlex.split(os.environ[variable])
            except ValueError as error:
                raise UserError(
                    _("${variable} cannot be understood ({error}).").format(variable=variable, error=error)
                ) from error
    for name in USUAL:
        if found := shutil.which(name):
            return [found]
    raise UserError(_("There is no editor: name yours in the variable EDITOR."))


async def edit(app: LendingApp, text: Callable[[], str]) -> str:
    """Let the user edit a text in the terminal, while the chat goes on; the text afterwards.

    Args:
        app: lends its terminal.
        text: gives the text, once nothing is typed into it any more.

    Raises:
        UserError: the editor cannot be used or says that it failed; the text is as it was.
    """
    words = command()
    try:
        async with app.lent():
            with tempfile.TemporaryDirectory(prefix="chatterm-", ignore_cleanup_errors=True) as folder:
                file = Path(folder) / "message.md"
                file.write_text(text(), "utf-8")
                status = await app.run_outside([*words, str(file)])
                edited = file.read_text("utf-8")
    except (OSError, ValueError) as error:  # no room for a file, no such program, no text
        raise UserError(
            _("{editor} cannot be used ({error}).").format(editor=words[0], error=error)
        ) from error
    if status:
        raise UserError(
            _("{editor} ended with status {status}, so the text is as it was.").format(
                editor=words[0], status=status
            )
        )
    return edited.removesuffix("\n")


async def open_file(app: LendingApp, file: Path) -> None:
    """Let the user edit a file in the terminal, while the chat goes on.

    Raises:
        UserError: the editor cannot be started.
    """
    words = command()
    try:
        async with app.lent():
            await app.run_outside([*words, str(file)])
    except (OSError, ValueError) as error:
        sentence = _("{editor} could not be started ({error}).")
        raise UserError(sentence.format(editor=words[0], error=error)) from error
