"""What is done with a checkpoint that is there: its files verified, or deleted again.

Only what chatterm downloaded is deleted. What other programs keep (the Hugging Face cache, Ollama, LM Studio)
is theirs: files there are shared between models.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chatterm import inert
from chatterm.checkpoint import folders, sources
from chatterm.checkpoint.catalog import catalog
from chatterm.checkpoint.fetch.progress import Meter
from chatterm.checkpoint.fetch.receipts import KeptFile, Receipt, forget_receipt, receipt_of, receipts
from chatterm.checkpoint.fetch.transfer import Checksum, RemoteFile, is_intact
from chatterm.checkpoint.folders import entries
from chatterm.errors import UserError
from chatterm.paths import user_models_folder

_SHA256 = re.compile("[0-9a-f]{64}")
_GIT = re.compile("[0-9a-f]{40}")
_OLLAMA = re.compile("sha256-([0-9a-f]{64})")


@dataclass(frozen=True)
class Verdict:
    """What verifying found. `problems` are sentences; `unknown` are files that nobody knows a checksum of."""

    checked: int
    size: int  # bytes that were read
    problems: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Freed:
    """What deleting frees, or has freed."""

    size: int  # bytes
    files: int


# --- verifying ------------------------------------------------------------------------------------------


def verify(path: Path, meter: Meter) -> Verdict:
    """Read all files of a checkpoint and hold them against the checksums that are known of them.

    Raises:
        UserError: nobody knows a checksum of any of its files.
        FetchStoppedError: the person stopped it.
    """
    known, unknown = _known(path)
    if not known:
        raise UserError(
            f"No checksums are known for {inert.line(path.name)}, because chatterm did not download it; "
            f"`chatterm models check` reads its numbers instead."
        )
    problems = []
    done = 0
    meter.begin(f"checking {inert.line(path.name)}", sum(fact.size for _, fact in known))
    for file, fact in known:
        meter.rename(f"checking {inert.line(file.name)}")
        if (problem := _problem(file, fact, meter)) is not None:
            problems.append(problem)
        done += fact.size
        meter.advance(done)
    return Verdict(len(known), done, tuple(problems), tuple(inert.line(file.name) for file in unknown))


def _problem(file: Path, fact: KeptFile, meter: Meter) -> str | None:
    name = inert.line(file.name)
    try:
        size = file.stat().st_size
        if size != fact.size:
            return f"{name} has {size} bytes where it was announced with {fact.size}; fetch it again."
        if not is_intact(file, RemoteFile(fact.name, "", fact.size, fact.checksums), meter):
            return f"{name} has other content than was announced; delete it and fetch it again."
    except FileNotFoundError:
        return f"{name} is missing; fetch it again."
    except OSError as error:
        return f"{name} cannot be read ({error.strerror or error})."
    return None


def _known(path: Path) -> tuple[list[tuple[Path, KeptFile]], list[Path]]:
    """The files of a checkpoint with what is known of each, and those of which nothing is known."""
    models = user_models_folder()
    receipt = receipt_of(models, path)
    if receipt is not None:
        return receipt.members(models), []
    files = _files(path)
    stated = dict(_from_catalog(path))
    known, unknown = [], []
    for file in files:
        fact = stated.get(file.name) or _from_name(file)
        if fact is not None and fact.checksums:
            known.append((file, fact))
        else:
            unknown.append(file)
    return known, unknown


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [file for file in entries(path) if file.is_file() and not file.name.startswith(".")]
    numbers = folders.shard_numbers(path.name)
    if numbers is None or numbers[1] > 1000:
        return [path]
    return [path.with_name(folders.shard_name(path, number)) for number in range(1, numbers[1] + 1)]


def _from_catalog(path: Path) -> Iterator[tuple[str, KeptFile]]:
    for entry in catalog():
        if entry.wheel is not None and entry.wheel.file_name == path.name:
            checksum = Checksum("sha256", entry.wheel.sha256)
            yield path.name, KeptFile(path.name, entry.wheel.bytes, (checksum,))
        ends = tuple(entry.hub.repository.split("/"))
        if path.is_dir() and path.parts[-2:] == ends:
            for file in entry.hub.files:
                if file.bytes is not None and file.sha256 is not None:
                    checksum = Checksum("sha256", file.sha256)
                    yield file.path, KeptFile(file.path, file.bytes, (checksum,))


def _from_name(file: Path) -> KeptFile | None:
    """The stores of the Hugging Face library and of Ollama name each file by its checksum."""
    blob = Path(os.path.realpath(file))
    try:
        size = blob.stat().st_size
    except OSError:
        return None
    if found := _OLLAMA.fullmatch(blob.name):
        return KeptFile(file.name, size, (Checksum("sha256", found[1]),))
    if blob.parent.name == "blobs" and _SHA256.fullmatch(blob.name):
        return KeptFile(file.name, size, (Checksum("sha256", blob.name),))
    if blob.parent.name == "blobs" and _GIT.fullmatch(blob.name):
        return KeptFile(file.name, size, (Checksum("git", blob.name),))
    return None


# --- deleting -------------------------------------------------------------------------------------------


def is_ours(path: Path) -> bool:
    """Whether chatterm downloaded the checkpoint at `path`, and so may delete it."""
    return _own_receipt(path) is not None


def remove(path: Path, *, really: bool) -> Freed:
    """Delete a checkpoint that chatterm downloaded; not `really`: only say what that would free.

    A file that another download shares stays, and one that lies elsewhere too (a hard link) frees nothing.

    Raises:
        UserError: chatterm did not download it, or the disk does not let go of it.
    """
    models = user_models_folder()
    receipt = _own_receipt(path)
    if receipt is None:
        raise UserError(_not_ours(path))
    others = {
        file
        for other in receipts(models).values()
        if other.path != receipt.path
        for file, _ in other.members(models)
    }
    members = [file for file, _ in receipt.members(models) if file not in others]
    # without its configuration or its first part nobody takes the rest for a checkpoint
    members.sort(key=lambda file: (file.name != "config.json", file != path))
    freed, count = 0, 0
    try:
        for file in members:
            if not file.is_symlink() and not file.exists():
                continue
            status = file.lstat()
            freed += status.st_size if status.st_nlink == 1 and not file.is_symlink() else 0
            count += 1
            if really:
                file.unlink()
    except OSError as error:
        raise UserError(f"{file} cannot be deleted ({error.strerror or error}).") from None
    if really:
        forget_receipt(models, receipt)
        _sweep(members, models)
    return Freed(freed, count)


def _own_receipt(path: Path) -> Receipt | None:
    """The receipt; a default model that an older chatterm took out of its package is known by its size."""
    models = user_models_folder()
    if (receipt := receipt_of(models, path)) is not None:
        return receipt
    for entry in catalog():
        wheel = entry.wheel
        is_it = wheel is not None and path == models / wheel.file_name and path.is_file()
        if is_it and wheel is not None and path.stat().st_size == wheel.bytes:
            file = KeptFile(path.name, wheel.bytes, (Checksum("sha256", wheel.sha256),))
            return Receipt(entry.name, "PyPI", (file,), path.name)
    return None


def _not_ours(path: Path) -> str:
    name, place = inert.line(path.name), os.path.realpath(path)
    if any(place.startswith(os.path.realpath(store)) for store in sources.ollama_folders()):
        return f"{name} belongs to Ollama, which shares files between its models; delete it with `ollama rm`."
    if place.startswith(os.path.realpath(folders.hub_cache_folder())):
        return (
            f"{name} lies in the Hugging Face cache, which other programs use too; delete it with "
            "`hf cache delete`."
        )
    return (
        f"{name} was not downloaded by chatterm, so chatterm does not delete it; it lies at "
        f"{inert.line(str(path))}."
    )


def _sweep(files: list[Path], models: Path) -> None:
    """Take away the folders that are empty now, up to the models folder."""
    for folder in {file.parent for file in files}:
        while folder != models and models in folder.parents:
            try:
                folder.rmdir()
            except OSError:
                break
            folder = folder.parent
