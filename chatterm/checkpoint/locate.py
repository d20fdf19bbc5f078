"""From what a person calls a checkpoint to the file or folder it lies in. Never touches the network."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from chatterm import inert
from chatterm.checkpoint import folders, sources
from chatterm.checkpoint.catalog import CatalogEntry, catalog, find_entry
from chatterm.errors import UserError

HUB_ID = re.compile(r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(:(?P<choice>[^:]+))?", re.ASCII)
"""`organisation/name`, perhaps with `:file.gguf` or `:Q4_K_M` to choose one file of it."""


class NotFoundError(UserError):
    """Nothing on this machine answers to that name."""


def locate(model: str, extra_folders: Iterable[Path] = ()) -> Path:
    """The GGUF file or checkpoint folder that `model` names.

    `model` is a path, a catalog name or alias (whatever the case), a hub id `organisation/name`, perhaps with
    `:file-or-quantisation`, or the name of anything found on this machine. Looked for in this order: that
    path, `models/` of the clone, the user's models folder, the extra folders, the Hugging Face cache, the
    stores of other programs. Only whole checkpoints count.

    Raises:
        NotFoundError: nothing answers to it, or it is not decidable which of several files is meant.
    """
    if not model.strip():
        raise NotFoundError("No model was named; `chatterm models list` shows what there is.")
    extra = tuple(folders.expand(folder) for folder in extra_folders)
    if (path := _as_path(model)) is not None:
        return path
    if (entry := find_entry(model)) is not None:
        if (path := locate_entry(entry, extra)) is not None:
            return path
    elif (hub_id := HUB_ID.fullmatch(model)) is not None:
        path = locate_repository(hub_id["repository"], hub_id["choice"], extra)
        if path is not None:
            return path
    if (path := _by_name(model, extra)) is not None:
        return path
    raise NotFoundError(_nowhere(model, entry, extra))


def locate_entry(entry: CatalogEntry, extra: tuple[Path, ...] = ()) -> Path | None:
    """Where a catalog entry lies: the authors' folder, or a GGUF file of that name in any quantisation."""
    for _, folder in folders.model_folders(extra):
        for candidate in (folder / entry.hub.repository, folder / entry.name):
            if folders.is_whole_checkpoint_folder(candidate):
                return candidate
        for candidate in (folder, folder / entry.hub.repository, folder / entry.name):
            if (file := _gguf_of(entry, candidate)) is not None:
                return file
    in_cache = (_in_hub_cache(name, None, entry.hub.revision) for name in entry.hub.names)
    return next((path for path in in_cache if path is not None), None)


def locate_repository(repository: str, choice: str | None, extra: tuple[Path, ...] = ()) -> Path | None:
    """Where a hub repository lies, in chatterm's own folders or in the Hugging Face cache."""
    for _, folder in folders.model_folders(extra):
        if (path := _in_folder(folder / repository, choice)) is not None:
            return path
    return _in_hub_cache(repository, choice, "main")


# --- paths ----------------------------------------------------------------------------------------------


def _as_path(model: str) -> Path | None:
    """`model` as a path, where it is one; a folder that is no checkpoint may just share a model's name."""
    path = folders.expand(model)
    explicit = model.startswith(("/", ".", "~")) or "\\" in model or path.suffix.lower() == ".gguf"
    if not folders.exists(path):
        hub_id = HUB_ID.fullmatch(model)
        if explicit and os.sep in model and (hub_id is None or hub_id["choice"] is None):
            raise NotFoundError(f"There is no file or folder {_shown(model)}.")
        return None
    path = path.absolute()
    if path.is_file():
        beside = path.parent / "config.json"
        return path.parent if path.suffix == ".safetensors" and beside.is_file() else path
    ggufs = _first_parts(path)
    if folders.exists(path / "config.json") and not (ggufs and folders.has_no_weights(path)):
        return path
    if len(ggufs) == 1:
        return ggufs[0]
    if len(ggufs) > 1:
        names = ", ".join(_shown(file.name) for file in ggufs[:5])
        raise NotFoundError(
            f"The folder {_shown(model)} holds {len(ggufs)} models; name one of them: {names}."
        )
    if explicit:
        raise NotFoundError(
            f"The folder {_shown(model)} holds no checkpoint: neither a config.json nor a GGUF file."
        )
    return None


def _first_parts(folder: Path) -> list[Path]:
    """The GGUF files of a folder, a split one by its first part."""
    files = (
        path for path in folders.entries(folder) if path.suffix.lower() == ".gguf" and folders.exists(path)
    )
    return [path for path in files if _stands_for_a_model(path)]


def _stands_for_a_model(path: Path) -> bool:
    number, _ = folders.shard_numbers(path.name) or (1, 1)
    return number == 1 or folders.kept_a_parts_name(path)


# --- names ----------------------------------------------------------------------------------------------


def _gguf_of(entry: CatalogEntry, folder: Path) -> Path | None:
    for path in _first_parts(folder):
        if entry.wheel is not None and path.name == entry.wheel.file_name:
            if path.stat().st_size >= entry.wheel.bytes:  # less of it is a copy that broke off
                return path
        elif folders.without_quantisation(path.stem).lower() == entry.name.lower():
            return path
    return None


def _in_folder(folder: Path, choice: str | None) -> Path | None:
    """The checkpoint in the folder of a repository; `choice` picks a GGUF file by name or quantisation."""
    if choice is None and folders.is_whole_checkpoint_folder(folder):
        return folder
    files = [path for path in _first_parts(folder) if not folders.missing_shards(path)]
    if choice is not None:
        files = [path for path in files if folders.answers_to(path.name, choice)]
    return files[0] if files else None


def _in_hub_cache(repository: str, choice: str | None, revision: str) -> Path | None:
    for snapshot in sources.hub_snapshots(repository, revision):
        if (path := _in_folder(snapshot, choice)) is not None:
            return path
    return None


def _by_name(model: str, extra: tuple[Path, ...]) -> Path | None:
    wanted = model.lower()
    found = [candidate for candidate in sources.candidates(extra) if candidate.problem is None]
    for candidate in found:
        if wanted == candidate.name.lower() or wanted == candidate.path.name.lower():
            return candidate.path
    return None


# --- the sentence when there is nothing -----------------------------------------------------------------


def _nowhere(model: str, entry: CatalogEntry | None, extra: tuple[Path, ...]) -> str:
    shown = _shown(model)
    if entry is not None:
        return f"{entry.name} is not on this machine yet; get it with `chatterm models get {entry.name}`."
    broken = next((found for found in sources.candidates(extra) if found.name.lower() == model.lower()), None)
    if broken is not None and broken.problem is not None:
        return f"{shown} is on this machine but cannot be loaded: {broken.problem}."
    close = list(_close_names(model, extra))
    if close:
        return f"No model is called {shown}; did you mean {' or '.join(close)}?"
    if HUB_ID.fullmatch(model):
        return f"{shown} is not on this machine; get it from the hub with `chatterm models get {shown}`."
    return f"No model is called {shown}; `chatterm models list` shows what there is."


def _close_names(model: str, extra: tuple[Path, ...]) -> Iterator[str]:
    names = {name.lower(): entry.name for entry in catalog() for name in (entry.name, *entry.aliases)}
    names |= {found.name.lower(): found.name for found in sources.candidates(extra) if found.problem is None}
    matches = difflib.get_close_matches(model.lower(), names, n=3, cutoff=0.6)
    yield from dict.fromkeys(_shown(names[match]) for match in matches)


def _shown(name: str) -> str:
    """A name that somebody else chose, fit for a sentence."""
    line = inert.line(name)
    return line if len(line) <= 200 else f"{line[:199]}…"
