"""Everything on this machine that looks like a checkpoint, by name, without opening any weight file.

Looks into chatterm's own folders, the Hugging Face cache, Ollama's store and LM Studio's folders. What other
programs wrote is data to be judged: walks are bounded in depth and number, links that lead in circles are
followed once, manifests are size-checked before they are read.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from chatterm.checkpoint import folders
from chatterm.checkpoint.folders import entries, exists, shard_numbers
from chatterm.paths import first_bytes

MAX_DEPTH = 5
MAX_ENTRIES = 20_000
MAX_MANIFEST_BYTES = 1 << 20
OLLAMA_SERVICE = Path("/usr/share/ollama/.ollama/models")
_UNFINISHED = (".part", ".incomplete", ".crdownload", ".tmp", ".download")
_COMMIT = re.compile("[0-9a-f]{40}")
_DIGEST = re.compile("sha256:([0-9a-f]{64})")
_OLLAMA_MODEL = "application/vnd.ollama.image.model"


@dataclass(frozen=True)
class Candidate:
    """A file or folder that looks like a checkpoint. `problem` says why it cannot be one that loads."""

    name: str
    path: Path
    source: str
    format: Literal["gguf", "safetensors"]
    problem: str | None = None


def candidates(extra: Iterable[Path] = ()) -> list[Candidate]:
    """All candidates, in the order in which `locate` prefers them, each real file or folder once."""
    found: list[Candidate] = []
    seen: set[str] = set()
    for candidate in _everywhere(tuple(extra)):
        real = os.path.realpath(candidate.path)
        if real not in seen:
            seen.add(real)
            found.append(candidate)
    return found


def _everywhere(extra: tuple[Path, ...]) -> Iterator[Candidate]:
    for source, folder in folders.model_folders(extra):
        yield from in_folder(folder, source)
    yield from in_hub_cache()
    yield from in_ollama()
    for folder in lm_studio_folders():
        yield from in_folder(folder, "LM Studio")


# --- folders of checkpoints -----------------------------------------------------------------------------


def in_folder(root: Path, source: str) -> Iterator[Candidate]:
    """Checkpoints in a folder and its subfolders; hidden ones are left alone."""
    budget = MAX_ENTRIES
    seen: set[tuple[int, int]] = set()
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop(0)
        try:
            status = folder.stat()
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        inside = entries(folder)[:budget]
        budget -= len(inside)
        name = folder.name if depth == 0 else folder.relative_to(root).as_posix()
        yield from _in_one_folder(folder, inside, name, source)
        if depth < MAX_DEPTH:
            waiting += [
                (path, depth + 1) for path in inside if not path.name.startswith(".") and _is_folder(path)
            ]


def _in_one_folder(folder: Path, inside: list[Path], name: str, source: str) -> Iterator[Candidate]:
    names = {path.name for path in inside}
    describes_gguf = folders.has_no_weights(folder) and any(name.lower().endswith(".gguf") for name in names)
    if "config.json" in names and not describes_gguf:
        yield Candidate(name, folder, source, "safetensors", folders.folder_problem(folder))
    elif "adapter_config.json" in names:
        yield Candidate(name, folder, source, "safetensors", "it is an adapter (LoRA), not a whole model")
    elif any(file.startswith("pytorch_model") and file.endswith(".bin") for file in names):
        reason = "its weights are PyTorch pickles, which can run code; get or convert to safetensors"
        yield Candidate(name, folder, source, "safetensors", reason)
    for path in inside:
        if (candidate := _gguf(path, source)) is not None:
            yield candidate


def _gguf(path: Path, source: str) -> Candidate | None:
    """A GGUF file as a candidate; of a split one only its first part, or the first that is there."""
    lower = path.name.lower()
    if lower.endswith(tuple(f".gguf{ending}" for ending in _UNFINISHED)):
        return Candidate(
            path.name.rsplit(".gguf", 1)[0], path, source, "gguf", "its download is not finished"
        )
    if not lower.endswith(".gguf") or _is_folder(path):
        return None
    if not exists(path):
        return Candidate(path.stem, path, source, "gguf", "it is a link to a file that is not there")
    numbers = shard_numbers(path.name)
    if numbers is None:
        return Candidate(path.stem, path, source, "gguf")
    if numbers[1] > folders.MAX_PARTS:
        return Candidate(path.stem, path, source, "gguf", f"it claims to be one of {numbers[1]} parts")
    if folders.kept_a_parts_name(path):
        return Candidate(folders.without_shard(path.stem), path, source, "gguf")
    missing = folders.missing_shards(path)
    present = [number for number in range(1, numbers[0]) if folders.shard_name(path, number) not in missing]
    if present:
        return None
    problem = f"{len(missing)} of its {numbers[1]} parts are missing" if missing else None
    return Candidate(folders.without_shard(path.stem), path, source, "gguf", problem)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


# --- the Hugging Face cache -----------------------------------------------------------------------------


def hub_snapshots(repository: str, revision: str = "main") -> list[Path]:
    """A repository's snapshots in the Hugging Face cache: that revision first, then main, then the newest."""
    folder = folders.hub_cache_folder() / f"models--{repository.replace('/', '--')}"
    snapshots = {path.name: path for path in entries(folder / "snapshots") if _is_folder(path)}
    wanted = [revision, _commit_of(folder, revision), _commit_of(folder, "main")]
    newest = sorted(snapshots, key=lambda name: _modified(snapshots[name]), reverse=True)
    return [snapshots[name] for name in dict.fromkeys([*wanted, *newest]) if name in snapshots]


def in_hub_cache() -> Iterator[Candidate]:
    """One candidate for each repository's folder and for each GGUF file in the Hugging Face cache."""
    for folder in entries(folders.hub_cache_folder())[:MAX_ENTRIES]:
        if folder.name.startswith("models--"):
            yield from _in_hub_repository(folder.name.removeprefix("models--").replace("--", "/", 1), folder)


def _in_hub_repository(repository: str, folder: Path) -> Iterator[Candidate]:
    source = "Hugging Face cache"
    found = [list(in_folder(snapshot, source)) for snapshot in hub_snapshots(repository)]
    whole = next((list_ for list_ in found if any(candidate.problem is None for candidate in list_)), None)
    chosen = whole or next((list_ for list_ in found if list_), [])
    unfinished = any(path.name.endswith(".incomplete") for path in entries(folder / "blobs"))
    if not chosen and unfinished:
        yield Candidate(repository, folder, source, "safetensors", "its download is not finished")
    for candidate in chosen:
        if candidate.format == "gguf":
            yield candidate
        elif _COMMIT.fullmatch(candidate.name) or candidate.path.parent.name == "snapshots":
            problem = (
                "its download is not finished" if candidate.problem and unfinished else candidate.problem
            )
            yield Candidate(repository, candidate.path, source, "safetensors", problem)


def _commit_of(folder: Path, revision: str) -> str:
    try:
        return first_bytes(folder / "refs" / revision, 64).decode().strip()
    except (OSError, ValueError):
        return ""


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


# --- Ollama and LM Studio -------------------------------------------------------------------------------


def ollama_folders() -> list[Path]:
    """Where Ollama keeps its models: the folder the user set, else the user's and the system service's."""
    if folder := os.environ.get("OLLAMA_MODELS"):
        return [folders.expand(folder)]
    return [folders.expand("~/.ollama/models"), OLLAMA_SERVICE]


def lm_studio_folders() -> list[Path]:
    """Where LM Studio keeps its models, today's folder and the older one."""
    return [folders.expand("~/.lmstudio/models"), folders.expand("~/.cache/lm-studio/models")]


def in_ollama() -> Iterator[Candidate]:
    """Models of Ollama: a manifest `registry/namespace/model/tag` names the blob that is the GGUF file."""
    for store in ollama_folders():
        manifests = store / "manifests"
        for _, manifest in zip(range(MAX_ENTRIES), _files_at_depth(manifests, 4), strict=False):
            yield _ollama_model(manifest, manifests, store / "blobs")


def _files_at_depth(folder: Path, depth: int) -> Iterator[Path]:
    for path in entries(folder):
        if depth == 1 and not _is_folder(path) and not path.name.startswith("."):
            yield path
        elif depth > 1 and _is_folder(path):
            yield from _files_at_depth(path, depth - 1)


def _ollama_model(manifest: Path, manifests: Path, blobs: Path) -> Candidate:
    registry, namespace, model, tag = manifest.relative_to(manifests).parts
    name = f"{model}:{tag}" if namespace == "library" else f"{namespace}/{model}:{tag}"
    if registry not in ("registry.ollama.ai", "hf.co"):
        name = f"{registry}/{name}"

    def problem(reason: str, path: Path = manifest) -> Candidate:
        return Candidate(name, path, "Ollama", "gguf", reason)

    try:
        document = first_bytes(manifest, MAX_MANIFEST_BYTES + 1)
        if len(document) > MAX_MANIFEST_BYTES:
            return problem("its manifest is too large to be one")
        content = json.loads(document)
    except (OSError, ValueError, RecursionError):
        return problem("its manifest cannot be read")
    layers = [layer for layer in _layers(content) if layer.get("mediaType") == _OLLAMA_MODEL]
    if not layers:
        return problem("Ollama keeps it in a format that is not GGUF, or runs it elsewhere")
    digest = _DIGEST.fullmatch(str(layers[0].get("digest")))
    if digest is None:
        return problem("its manifest names no blob")
    blob = blobs / f"sha256-{digest[1]}"
    if not exists(blob):
        return problem("its download is not finished")
    if blob.stat().st_size != layers[0].get("size"):
        return problem("its size is not the one that its manifest states", blob)
    if len(layers) > 1:
        return problem("it is split over several files", blob)
    return Candidate(name, blob, "Ollama", "gguf")


def _layers(manifest: object) -> list[dict[str, Any]]:
    layers = manifest.get("layers") if isinstance(manifest, dict) else None
    return [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []
