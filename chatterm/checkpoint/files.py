"""The files of a checkpoint folder: none leads out of it, and each is bounded before it is read.

Whoever made the checkpoint chose names, sizes and contents. A JSON document takes up to a hundred times its
size as objects, so its values are counted as well as its bytes.
"""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path
from typing import Any

from chatterm.errors import UserError
from chatterm.paths import first_bytes, plain_opener

MAX_JSON_BYTES = 16 << 20
MAX_JSON_VALUES = 2_000_000
MAX_NAME_BYTES = 255
"""Of one file, on every common file system."""


def inside(folder: Path, *names: str) -> Path:
    """The file of `folder` (`names`: subfolders, then the file), whether it is there or not.

    Only the links of a Hugging Face cache may leave the folder, to its `blobs`.

    Raises:
        UserError: a name is a path or none that a file can have, or the file is a link to somewhere else.
    """
    for name in names:
        if not _is_plain(name):
            raise UserError(f"{folder} names a file outside itself, “{name[:80]}”; that is refused.")
    file = folder.joinpath(*names)
    real, home = Path(os.path.realpath(file)), Path(os.path.realpath(folder))
    blobs = home.parent.parent / "blobs"
    in_cache = home.parent.name == "snapshots" and real.is_relative_to(blobs)
    if not (real.is_relative_to(home) or in_cache):
        raise UserError(
            f"{file} is a link out of its folder, to {real}; that is refused, copy the file here instead."
        )
    return file


def _is_plain(name: str) -> bool:
    """Whether a name is that of a file and not a path."""
    try:
        size = len(os.fsencode(name))
    except UnicodeEncodeError:  # half a character
        return False
    return (
        0 < size <= MAX_NAME_BYTES
        and name not in (".", "..")
        and not any(character in name for character in "/\\\0")
        and Path(name).name == name
    )


def read_bytes(path: Path, most: int) -> bytes:
    """A whole file.

    Raises:
        UserError: it cannot be read, is a pipe or a device, or has more than `most` bytes.
    """
    try:
        content = first_bytes(path, most + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(content) > most:
        raise UserError(f"{path} is larger than any real file of its kind; it is damaged.")
    return content


def map_file(path: Path) -> mmap.mmap:
    """A file in memory, private (copy-on-write), so that tensors over it need no copy to be writable objects.

    Raises:
        UserError: it cannot be read, is a pipe or a device, or is empty.
    """
    try:
        with open(path, "rb", opener=plain_opener) as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except ValueError as error:  # mmap of an empty file
        raise UserError(f"{path} is empty; fetch it again.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error


def read_text(path: Path, most: int) -> str:
    """A whole text file.

    Raises:
        UserError: it cannot be read, has more than `most` bytes, or is no UTF-8.
    """
    try:
        return read_bytes(path, most).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error}); it is damaged, fetch it again.") from error


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        UserError: the file is unreadable, too large, or no JSON object.
    """
    value = parse_json(read_bytes(path, MAX_JSON_BYTES), f"{path} is not valid JSON")
    if not isinstance(value, dict):
        raise UserError(f"{path} is not a JSON object; it is damaged, fetch it again.")
    return value


def read_json_if_there(folder: Path, name: str) -> dict[str, Any]:
    """The object in a JSON file of a folder; empty if there is no such file.

    Raises:
        UserError: as `inside` and `read_json`.
    """
    path = inside(folder, name)
    return read_json(path) if path.is_file() else {}


def parse_json(document: bytes, complaint: str, *, unique: bool = False) -> Any:
    """The value of a JSON document.

    Args:
        document: in UTF-8.
        complaint: how the sentence about a broken one begins.
        unique: refuse objects that have a key twice.

    Raises:
        UserError: it is broken, or has more values than any real one.
    """
    if document.count(b",") > MAX_JSON_VALUES:
        raise UserError(f"{complaint}: it has more entries than any real one; it is damaged, fetch it again.")
    try:
        return json.loads(document.decode("utf-8"), object_pairs_hook=_unique if unique else None)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{complaint}; it is damaged, fetch it again.") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands there twice")
    return values
