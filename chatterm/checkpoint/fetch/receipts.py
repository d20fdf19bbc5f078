"""What chatterm has downloaded, and what it must hash to: one small file for each checkpoint.

A receipt says that a checkpoint is chatterm's own, so that it may be deleted again, and what each of its
files must contain. Receipts lie in a hidden folder beside the checkpoints. They are read as somebody else's
data: bounded, and names in them are plain names.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import msgspec

from chatterm.checkpoint.fetch.transfer import Checksum, RemoteFile
from chatterm.checkpoint.folders import entries
from chatterm.paths import first_bytes, make_private, write_private

FOLDER = ".receipts"
MAX_BYTES = 4 << 20
MOST = 10_000


class KeptFile(msgspec.Struct, frozen=True):
    """A file as it was announced and checked."""

    name: str
    size: int  # bytes
    checksums: tuple[Checksum, ...]


class Receipt(msgspec.Struct, frozen=True):
    """A checkpoint that was downloaded."""

    name: str  # with which it can be fetched again: `organisation/name:file.gguf`
    source: str  # the repository, or the package
    files: tuple[KeptFile, ...]
    path: str = ""  # relative to the models folder, with forward slashes

    def members(self, models: Path) -> list[tuple[Path, KeptFile]]:
        """Where each file lies."""
        place = models / self.path
        folder = place.parent if any(file.name == place.name for file in self.files) else place
        return [(folder / file.name, file) for file in self.files]


def kept(files: Sequence[RemoteFile]) -> tuple[KeptFile, ...]:
    """The files of a download, as a receipt states them."""
    return tuple(KeptFile(file.name, file.size, file.checksums) for file in files)


def write_receipt(models: Path, path: Path, receipt: Receipt) -> None:
    """Keep the receipt of the checkpoint at `path`; where that fails, it is as if others had put it there."""
    relative = path.relative_to(models).as_posix()
    with contextlib.suppress(OSError):
        make_private(models / FOLDER)
        content = msgspec.json.encode(msgspec.structs.replace(receipt, path=relative))
        write_private(_file(models, relative), content)


def receipts(models: Path) -> dict[Path, Receipt]:
    """All receipts, by the path of their checkpoint."""
    found = {}
    for file in entries(models / FOLDER)[:MOST]:
        receipt = _read(file)
        if receipt is not None and file == _file(models, receipt.path):
            found[models / receipt.path] = receipt
    return found


def receipt_of(models: Path, path: Path) -> Receipt | None:
    """The receipt of the checkpoint at `path`, if chatterm downloaded it."""
    try:
        relative = path.relative_to(models).as_posix()
    except ValueError:
        return None
    receipt = _read(_file(models, relative))
    return receipt if receipt is not None and receipt.path == relative else None


def forget_receipt(models: Path, receipt: Receipt) -> None:
    """The checkpoint is gone."""
    with contextlib.suppress(OSError):
        _file(models, receipt.path).unlink()


def _file(models: Path, relative: str) -> Path:
    return models / FOLDER / f"{hashlib.sha256(relative.encode('utf-8', 'replace')).hexdigest()[:24]}.json"


def _read(file: Path) -> Receipt | None:
    try:
        if file.suffix != ".json":
            return None
        receipt = msgspec.json.decode(first_bytes(file, MAX_BYTES), type=Receipt)
    except (OSError, msgspec.MsgspecError, RecursionError):
        return None
    parts = PurePosixPath(receipt.path).parts
    plain = parts and not receipt.path.startswith("/") and ".." not in parts
    plain = plain and all(is_plain(kept_file.name) for kept_file in receipt.files)
    return receipt if plain else None


def is_plain(name: str) -> bool:
    """Whether a name is that of a file in a folder, and not a way out of it."""
    return bool(name) and name not in (".", "..") and not any(sign in name for sign in "/\\\0")
