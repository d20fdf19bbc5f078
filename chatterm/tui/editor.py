"""The user's own editor for a text."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from chatterm.errors import UserError
from chatterm.language import _

USUAL = ("sensible-editor", "nano", "vim", "vi", "notepad")


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


def edit(text: str) -> str:
    """Let the user edit a text in the terminal that this program has left; the text afterwards.

    Raises:
        UserError: the editor cannot be started or says that it failed; the text is as it was.
    """
    words = command()
    with tempfile.TemporaryDirectory(prefix="chatterm-") as folder:
        file = Path(folder) / "message.md"
        file.write_text(text, "utf-8")
        try:
            status = subprocess.run([*words, str(file)], check=False).returncode  # noqa: S603
            edited = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
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
