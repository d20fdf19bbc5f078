"""Writing an export to a file."""

from __future__ import annotations

from pathlib import Path

from chatterm import inert
from chatterm.errors import UserError
from chatterm.paths import write_private


def write(
    path: Path, data: bytes, *, overwrite: bool = False, otherwise: str = "choose another name"
) -> None:
    """Write a file, whole or not at all.

    Args:
        path: where.
        data: all of it.
        overwrite: replace a file that is there.
        otherwise: what to do where one is there and is not to be replaced, for the sentence.

    Raises:
        UserError: there is one already and it is not to be replaced, or it cannot be written.
    """
    shown = inert.line(str(path))
    try:
        write_private(path, data, replace=overwrite)
    except FileExistsError as error:
        raise UserError(f"{shown} is there already: {otherwise}.") from error
    except OSError as error:
        raise UserError(f"{shown} cannot be written ({error.strerror}).") from error
