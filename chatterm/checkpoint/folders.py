"""The folders in which checkpoints are looked for, and whether what lies there is whole.

A folder is judged by the names and sizes in it; a weight file is opened only where a name says something
else than it is.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from chatterm.checkpoint.files import inside, read_json
from chatterm.checkpoint.weight_files import INDEX, SINGLE, loose_sets
from chatterm.errors import UserError
from chatterm.paths import clone_models_folder, user_models_folder
from chatterm.paths import expand as expand

PICKLED_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt")
MAX_PARTS = 1000
"""More than any real split file has."""

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.(gguf|safetensors)$", re.IGNORECASE)
_QUANTISATION = re.compile(r"[-._](ud-)?((i|t)?q\d[\w]*|b?f16|f32|fp16|fp32|mxfp4[\w]*)$", re.IGNORECASE)


def model_folders(extra: tuple[Path, ...] = ()) -> list[tuple[str, Path]]:
    """The folders that chatterm keeps checkpoints in, first wins, each with what to call it on screen."""
    folders = [("your models", user_models_folder()), *(("extra folder", folder) for folder in extra)]
    clone = clone_models_folder()
    return folders if clone is None else [("models/", clone), *folders]


def hub_cache_folder() -> Path:
    """The Hugging Face cache, where `huggingface_hub` keeps it (same variables, same order)."""
    if exact := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return expand(exact)
    if home := os.environ.get("HF_HOME"):
        return expand(home) / "hub"
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return expand(cache) / "huggingface" / "hub"


def exists(path: Path) -> bool:
    """Whether something is there; a name that no file can have is not an error, it is not there."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, by name; empty where it cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def shard_numbers(name: str) -> tuple[int, int] | None:
    """(2, 5) for `model-00002-of-00005.gguf`; None for a file that is not part of a split one."""
    found = _SHARD.search(name)
    return (int(found[1]), int(found[2])) if found else None


def without_shard(stem: str) -> str:
    """`model` for `model-00002-of-00005`."""
    return re.sub(r"-\d{5}-of-\d{5}$", "", stem)


def shard_name(path: Path, number: int) -> str:
    """The name of another part of the same split file."""
    numbers = shard_numbers(path.name)
    assert numbers is not None, f"{path.name} is not part of a split file"
    return f"{without_shard(path.stem)}-{number:05d}-of-{numbers[1]:05d}{path.suffix}"


def missing_shards(path: Path) -> list[str]:
    """Names of the parts of a split file that are not beside the part at `path`; none for an unsplit one."""
    return [] if kept_a_parts_name(path) else _missing_by_name(path)


def kept_a_parts_name(path: Path) -> bool:
    """Whether a GGUF file is called as a part of which others are missing, and is whole by its header."""
    from chatterm.checkpoint.gguf import is_whole

    is_gguf = path.suffix.lower() == ".gguf" and exists(path)
    return is_gguf and bool(_missing_by_name(path)) and is_whole(path)


def _missing_by_name(path: Path) -> list[str]:
    numbers = shard_numbers(path.name)
    if numbers is None:
        return []
    names = {sibling.name for sibling in entries(path.parent) if exists(sibling)}
    wanted = (shard_name(path, number) for number in range(1, numbers[1] + 1))
    return [name for name in wanted if name not in names]


def without_quantisation(stem: str) -> str:
    """`SmolLM2-135M-Instruct` for `SmolLM2-135M-Instruct.Q4_1`."""
    return _QUANTISATION.sub("", stem)


def quantisation_in(stem: str) -> str | None:
    """`q4_1` for `SmolLM2-135M-Instruct.Q4_1`, in lower case."""
    found = _QUANTISATION.search(stem)
    return found[0][1:].lower() if found else None


def answers_to(name: str, choice: str) -> bool:
    """Whether a GGUF file is meant by its name, by its name without the ending, or by its quantisation."""
    stem = without_shard(name[: -len(".gguf")])
    return choice.lower() in (name.lower(), stem.lower(), quantisation_in(stem))


def folder_problem(folder: Path) -> str | None:
    """Why a folder with a `config.json` is no whole checkpoint, or None when weights and tokenizer are there.

    Broken links count as missing: that is how an interrupted download looks in the Hugging Face cache.
    """
    files = {path.name for path in entries(folder) if exists(path)}
    return _weights_problem(folder, files) or _tokenizer_problem(files)


def has_no_weights(folder: Path) -> bool:
    """Whether a folder holds no safetensors at all, as those that have a config.json beside GGUF files."""
    return not any(path.suffix.lower() == ".safetensors" for path in entries(folder))


def _tokenizer_problem(files: set[str]) -> str | None:
    if files & {"tokenizer.json", "tokenizer.model"} or {"vocab.json", "merges.txt"} <= files:
        return None
    return "its tokenizer is missing"


def _weights_problem(folder: Path, files: set[str]) -> str | None:
    if SINGLE in files:
        return None
    if INDEX in files:
        shards = _shards_in_index(folder)
        if shards is None:
            return f"{INDEX} cannot be read"
        missing = sorted(shards - files)
        return f"{len(missing)} of its {len(shards)} weight files are missing" if missing else None
    if loose_sets(files):
        return None
    if any(name.endswith(PICKLED_WEIGHTS) for name in files):
        return "its weights are PyTorch pickles, which can run code; get or convert to safetensors"
    return "its weights are missing"


def _shards_in_index(folder: Path) -> set[str] | None:
    try:
        weight_map = read_json(inside(folder, INDEX)).get("weight_map")
    except UserError:
        return None
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        return None
    return set(weight_map.values()) or None


def is_whole_checkpoint_folder(folder: Path) -> bool:
    """Whether a folder holds a configuration, a tokenizer and all weights in safetensors."""
    return exists(folder / "config.json") and folder_problem(folder) is None
