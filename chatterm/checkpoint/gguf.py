"""GGUF files, in one piece or split into parts; any part stands for the whole.

How many parts there are, and which one a file is, its header says (`split.count`, `split.no`); a name may
be wrong. llama.cpp's `llama-gguf-split` calls them `NAME-00001-of-00003.gguf`. Nothing here imports
torch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from chatterm.checkpoint.folders import entries
from chatterm.checkpoint.gguf_header import GGUFFile as GGUFFile
from chatterm.checkpoint.gguf_header import GGUFTensor as GGUFTensor
from chatterm.checkpoint.gguf_header import peek as peek
from chatterm.checkpoint.gguf_header import read_header
from chatterm.errors import UserError

MAX_PARTS = 1000
MOST_NEIGHBOURS = 100
"""Files of a folder that are opened to find renamed parts, at most."""

_SPLIT_NAME = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})\.gguf", re.IGNORECASE)


def read_gguf(path: Path | str, *, arrays: bool = True) -> GGUFFile:
    """Read the header of the GGUF file at `path`; any part of a split file stands for the whole.

    Args:
        path: a `.gguf` file.
        arrays: with False, long metadata arrays (vocabulary, merges, scores) are skipped, which is faster.

    Raises:
        UserError: the file is not a GGUF file that this program reads, is damaged, or a part is missing.
    """
    path = Path(path)
    file = read_header(path, arrays=arrays)
    count = _count(file)
    if count <= 1:
        return file
    if count > MAX_PARTS:
        raise UserError(f"{path.name} claims to be one of {count} parts, which no real split file has.")
    parts = _named_parts(path, count) or _renamed_parts(path, file, count)
    _refuse_links(parts)
    return _joined([file if part == path else read_header(part, arrays=arrays) for part in parts], path)


def split_parts(path: Path) -> tuple[Path, ...]:
    """The paths of all parts of a split GGUF file by its name; `(path,)` if that is not a part's."""
    match = _SPLIT_NAME.fullmatch(path.name)
    if match is None:
        return (path,)
    count = int(match["parts"])
    return tuple(
        path.with_name(f"{match['stem']}-{number:05}-of-{count:05}.gguf") for number in range(1, count + 1)
    )


def is_whole(path: Path) -> bool:
    """Whether a GGUF file is not a part of a split one, whatever it is called; False if it cannot be read."""
    try:
        return _count(read_header(path, arrays=False)) <= 1
    except UserError:
        return False


def _count(file: GGUFFile) -> int:
    """Parts of the model, as the header says; 0 or 1 for one in a single file."""
    count = file.metadata.get("split.count", 0)
    return count if isinstance(count, int) else 0


def _number(file: GGUFFile) -> int | None:
    """Which part it is, from 0."""
    number = file.metadata.get("split.no")
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _named_parts(path: Path, count: int) -> tuple[Path, ...]:
    """All parts, if they are called so; else nothing."""
    parts = split_parts(path)
    return parts if len(parts) == count and all(part.is_file() for part in parts) else ()


def _renamed_parts(path: Path, file: GGUFFile, count: int) -> tuple[Path, ...]:
    """All parts, found among the files beside `path` by what their headers say.

    Raises:
        UserError: one is missing, or there are two that could be it.
    """
    found: dict[int, list[Path]] = {}
    for other in (file, *_neighbours(path)):
        key = ("split.count", "split.tensors.count")
        if all(other.metadata.get(name) == file.metadata.get(name) for name in key):
            found.setdefault(-1 if (number := _number(other)) is None else number, []).append(other.path)
    named = split_parts(path)
    missing = [
        named[number].name if len(named) == count else f"part {number + 1}"
        for number in range(count)
        if number not in found
    ]
    if missing:
        raise UserError(
            f"{path.name} is one of {count} parts of a split GGUF file, of which {', '.join(missing[:3])}"
            f"{' and others' if len(missing) > 3 else ''} cannot be found in {path.parent}; put all parts "
            "there."
        )
    for paths in found.values():
        if len(paths) > 1:
            raise UserError(
                f"{paths[0].name} and {paths[1].name} in {path.parent} say that they are the "
                f"same part of a split "
                "GGUF file; give the parts of each model their names back, “…-00001-of-"
                f"{count:05}.gguf”, or a folder of their own."
            )
    return tuple(found[number][0] for number in range(count))


def _neighbours(path: Path) -> Iterator[GGUFFile]:
    others = [other for other in entries(path.parent) if other.suffix.lower() == ".gguf" and other != path]
    for other in others[:MOST_NEIGHBOURS]:
        try:
            yield read_header(other, arrays=False)
        except UserError:
            continue  # something else that lies there


def _refuse_links(parts: tuple[Path, ...]) -> None:
    home = Path(os.path.realpath(parts[0])).parent
    for part in parts[1:]:
        real = Path(os.path.realpath(part))
        if real.parent not in (home, Path(os.path.realpath(part.parent))):
            raise UserError(
                f"{part} is a link to another place than the first part, to {real}; that is refused."
            )


def _joined(parts: list[GGUFFile], path: Path) -> GGUFFile:
    """One file of all tensors, with the metadata of the first part.

    Raises:
        UserError: they are not the parts of one file.
    """
    numbers = [_number(part) for part in parts]
    if all(number is not None for number in numbers):
        if sorted(number or 0 for number in numbers) != list(range(len(parts))):
            raise UserError(
                f"{path} and the parts beside it are not all parts of one file; fetch them again."
            )
        parts = sorted(parts, key=lambda part: _number(part) or 0)
    first = parts[0]
    tensors = dict(first.tensors)
    for part in parts[1:]:
        for name, tensor in part.tensors.items():
            if name in tensors:
                raise UserError(
                    f"{part.path} repeats the tensor “{name[:80]}” of an earlier part; the split is damaged."
                )
            tensors[name] = tensor
    expected = first.metadata.get("split.tensors.count", len(tensors))
    if expected != len(tensors):
        raise UserError(
            f"{first.path} should hold {expected!r:.20} tensors with its other parts but they "
            f"hold {len(tensors)}; "
            "fetch it again."
        )
    return replace(first, parts=tuple(part.path for part in parts), tensors=tensors)
