"""What `chatterm ask` asks: the prompt, and files and piped text as its context."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from chatterm.cli import common
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.quoting import MAX_BYTES, Quote, decoded, quoted, read_file

PIPE_SECONDS = 2.0
"""How long a text is waited for that may come beside a prompt."""


def question(prompt: str | None, files: Sequence[Path]) -> str:
    """The user's message: files first, then what was piped in, then the prompt.

    What is piped in is the prompt itself if there is no other; `-` as the prompt always reads it.

    Raises:
        UserError: there is nothing to ask, or something cannot be read or is no text.
    """
    parts = [quoted(_quote(file)) for file in files]
    if prompt == "-" or prompt is None:
        said = "" if prompt is None and sys.stdin.isatty() else _standard_input()
    else:
        said = prompt
        if _is_piped() and _something_comes() and (piped := _standard_input()).strip():
            parts.append(quoted(Quote("Standard input", piped)))
    if not said.strip() and not parts:
        raise UserError(_("There is no text: give it as an argument, or pipe it in."))
    return "\n\n".join([*parts, said] if said.strip() else parts)


def _quote(file: Path) -> Quote:
    data = common.piped(file, MAX_BYTES + 1)
    return read_file(file) if data is None else Quote(file.name, decoded(data, str(file)))


def _standard_input() -> str:
    return decoded(sys.stdin.buffer.read(MAX_BYTES + 1), "Standard input")


def _something_comes() -> bool:
    """Whether a pipe delivers text or its end soon; a script's own pipe may stay open and say nothing."""
    if select.select([sys.stdin], [], [], PIPE_SECONDS)[0]:
        return True
    said = _(
        "nothing came on standard input within {seconds} s, so it is left out; "
        "put a slow text into a file and give it with -f."
    )
    print(f"chatterm: {said.format(seconds=f'{PIPE_SECONDS:g}')}", file=sys.stderr)
    return False


def _is_piped() -> bool:
    """Whether standard input is a pipe or a file; a terminal or /dev/null is not waited for."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)
