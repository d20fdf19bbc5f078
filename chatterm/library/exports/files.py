"""Writing an export to a file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from chatterm import inert
from chatterm.errors import UserError
from chatterm.paths import private_opener


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
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".export-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            if overwrite:
                Path(temporary).replace(path)
            else:
                _move_to_new(Path(temporary), path)
        finally:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
    except FileExistsError as error:
        raise UserError(f"{shown} is there already: {otherwise}.") from error
    except OSError as error:
        raise UserError(f"{shown} cannot be written ({error.strerror}).") from error


def _move_to_new(temporary: Path, path: Path) -> None:
    """Give a file its name only if nobody has it."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        stream = open(path, "xb", opener=private_opener)  # noqa: SIM115 - it is closed before it is removed
        try:
            with stream:
                stream.write(temporary.read_bytes())
        except BaseException:  # half a file must not bear the name of a whole one
            with contextlib.suppress(OSError):
                path.unlink()
            raise
