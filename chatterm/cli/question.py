"""What `chatterm ask` asks: the prompt, and files and piped text as its context."""

from __future__ import annotations

import os
import re
import select
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from chatterm import inert
from chatterm.errors import UserError

MAX_BYTES = 16 << 20
"""Of one file: far more than any context window holds."""

PIPE_SECONDS = 2.0
"""How long a text is waited for that may come beside a prompt."""


def question(prompt: str | None, files: Sequence[Path]) -> str:
    """The user's message: files first, then what was piped in, then the prompt.

    What is piped in is the prompt itself if there is no other; `-` as the prompt always reads it.

    Raises:
        UserError: there is nothing to ask, or something cannot be read or is no text.
    """
    parts = [_quoted(file.name, _text(file), file.suffix[1:]) for file in files]
    if prompt == "-" or prompt is None:
        said = "" if prompt is None and sys.stdin.isatty() else _standard_input()
    else:
        said = prompt
        if _is_piped() and _something_comes() and (piped := _standard_input()).strip():
            parts.append(_quoted("Standard input", piped))
    if not said.strip() and not parts:
        raise UserError("There is no text: give it as an argument, or pipe it in.")
    return "\n\n".join([*parts, said] if said.strip() else parts)


def _quoted(name: str, text: str, language: str = "") -> str:
    """Text under its name, in a fence longer than any in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    kind = language if re.fullmatch(r"[A-Za-z0-9+-]{1,20}", language) else ""
    return f"{inert.line(name)}:\n\n{fence}{kind}\n{text.rstrip()}\n{fence}"


def _text(file: Path) -> str:
    shown = inert.line(str(file))
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{shown} cannot be read ({error.strerror}).") from error
    return _decoded(data, shown)


def _standard_input() -> str:
    return _decoded(sys.stdin.buffer.read(MAX_BYTES + 1), "Standard input")


def _decoded(data: bytes, name: str) -> str:
    if len(data) > MAX_BYTES:
        raise UserError(f"{name} is larger than {MAX_BYTES >> 20} MB.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text (byte {error.start}).") from error
    if "\0" in text:
        raise UserError(f"{name} is not text: there are zero bytes in it.")
    return text


def _something_comes() -> bool:
    """Whether a pipe delivers text or its end soon; a script's own pipe may stay open and say nothing."""
    if select.select([sys.stdin], [], [], PIPE_SECONDS)[0]:
        return True
    print(
        f"chatterm: nothing came on standard input within {PIPE_SECONDS:g} s, so it is left out; "
        "put a slow text into a file and give it with -f.",
        file=sys.stderr,
    )
    return False


def _is_piped() -> bool:
    """Whether standard input is a pipe or a file; a terminal or /dev/null is not waited for."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)
