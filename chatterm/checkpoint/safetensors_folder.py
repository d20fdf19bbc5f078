"""Checkpoint folders as Hugging Face writes them: `config.json` and safetensors files, one or sharded.

Headers are read by hand (a length, then JSON) and the data stays on disk as memory maps. Nothing here imports
torch. The format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from chatterm.checkpoint.files import inside, map_file, parse_json, read_json
from chatterm.checkpoint.gguf import Bytes
from chatterm.errors import UserError

MAX_HEADER_BYTES = 16 << 20
"""The format allows 100 MB; a decoder of a thousand layers needs two."""

MAX_FILES = 1000
ITEM_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
"""Bytes per element of the element types that occur in plain checkpoints."""


@dataclass(frozen=True)
class SafeTensor:
    """One tensor of a safetensors file."""

    name: str
    type: str  # "F32", "BF16" …
    shape: tuple[int, ...]
    offset: int  # bytes from the start of its file
    nbytes: int
    _map: Bytes

    @property
    def data(self) -> Bytes:
        """The stored bytes, one-dimensional uint8, a view of the memory-mapped file."""
        return self._map[self.offset : self.offset + self.nbytes]


@dataclass(frozen=True)
class SafetensorsFolder:
    """All tensors of a folder."""

    folder: Path
    files: tuple[Path, ...]
    tensors: dict[str, SafeTensor]

    @property
    def file_bytes(self) -> int:
        """Bytes of the weight files on disk."""
        return sum(file.stat().st_size for file in self.files)


def read_safetensors_folder(folder: Path) -> SafetensorsFolder:
    """The tensors of every weight file that belongs to the checkpoint in `folder`.

    Raises:
        UserError: there are no safetensors, a shard is missing, a name leads out of the folder, or a file is
            damaged.
    """
    files = _weight_files(folder)
    tensors: dict[str, SafeTensor] = {}
    for file in files:
        for name, tensor in _read_file(file).items():
            if name in tensors:
                raise UserError(
                    f"{folder} holds the tensor “{name[:80]}” in two files; remove what does not belong."
                )
            tensors[name] = tensor
    return SafetensorsFolder(folder, files, tensors)


def _weight_files(folder: Path) -> tuple[Path, ...]:
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if index.is_file():
        return _sharded(folder, read_json(inside(folder, index.name)))
    if single.is_file():
        return (inside(folder, single.name),)
    others = sorted(
        path.name for path in folder.glob("*.safetensors") if not path.name.startswith("adapter_")
    )
    if len(others) == 1:
        return (inside(folder, others[0]),)
    if len(others) > 1:
        raise UserError(
            f"{folder} holds {len(others)} safetensors files but no model.safetensors.index.json to join "
            "them."
        )
    raise UserError(_why_no_weights(folder))


def _why_no_weights(folder: Path) -> str:
    if (folder / "adapter_config.json").is_file():
        return (
            f"{folder} holds an adapter (LoRA), not a whole model; merge it into its base model and save "
            "that as "
            "safetensors."
        )
    if any(folder.glob("pytorch_model*")) or any(folder.glob("*.bin")) or any(folder.glob("*.pth")):
        return (
            f"{folder} holds its weights only as a pickle (pytorch_model.bin), which can run any code when "
            "it is "
            "opened and is therefore refused; take a version with model.safetensors, or convert it where "
            "you trust "
            "it: in transformers, from_pretrained(folder) then save_pretrained(other_folder)."
        )
    return (
        f"{folder} holds no model.safetensors; a checkpoint folder needs config.json and safetensors files."
    )


def _sharded(folder: Path, index: dict[str, Any]) -> tuple[Path, ...]:
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise UserError(
            f"{folder / 'model.safetensors.index.json'} has no “weight_map”; it is damaged, fetch it again."
        )
    names = sorted(set(weight_map.values()))
    if len(names) > MAX_FILES:
        raise UserError(
            f"{folder} names {len(names)} weight files, more than any real checkpoint; it is damaged."
        )
    files = tuple(inside(folder, name) for name in names)
    missing = [name for name, file in zip(names, files, strict=True) if not file.is_file()]
    if missing:
        raise UserError(
            f"{folder} lacks {len(missing)} of its {len(names)} weight files, first {missing[0][:80]}; "
            "fetch it again."
        )
    return files


def _read_file(path: Path) -> dict[str, SafeTensor]:
    data = map_file(path)
    length = int.from_bytes(data[:8], "little")
    if len(data) < 10 or length > min(MAX_HEADER_BYTES, len(data) - 8):
        raise UserError(f"{path} is not a safetensors file, or is cut off; fetch it again.")
    header = parse_json(data[8 : 8 + length], f"{path} has an unreadable header", unique=True)
    if not isinstance(header, dict):
        raise UserError(f"{path} has an unreadable header; it is damaged, fetch it again.")
    flat = np.frombuffer(data, np.uint8)
    tensors = {
        name: _tensor(path, name, entry, 8 + length, flat)
        for name, entry in header.items()
        if name != "__metadata__"
    }
    _check_places(path, list(tensors.values()), 8 + length, len(data))
    return tensors


def _check_places(path: Path, tensors: list[SafeTensor], start: int, end: int) -> None:
    """The format wants them one after the other: no gaps, no bytes shared.

    Raises:
        UserError: they are not; a small file whose tensors share their bytes could fill any memory.
    """
    inner = sorted((tensor.offset, tensor.offset + tensor.nbytes) for tensor in tensors)
    places = [(start, start), *inner, (end, end)]
    if any(before[1] != after[0] for before, after in pairwise(places)):
        raise UserError(f"{path}: its tensors do not lie one after the other; it is damaged, fetch it again.")


def _tensor(path: Path, name: str, entry: object, start: int, flat: Bytes) -> SafeTensor:
    kind = entry.get("dtype") if isinstance(entry, dict) else None
    shape, offsets = (
        (entry.get("shape"), entry.get("data_offsets")) if isinstance(entry, dict) else (None, None)
    )
    if (
        not isinstance(kind, str)
        or not _whole_numbers(shape)
        or not _whole_numbers(offsets)
        or len(offsets) != 2
    ):
        raise UserError(f"{path}: the entry of the tensor “{name[:80]}” is malformed; the file is damaged.")
    if kind not in ITEM_BYTES:
        raise UserError(
            f"{path}: “{name[:80]}” is stored as {kind[:20]}, which is not supported; take the float32, "
            "float16 or "
            "bfloat16 version, or a GGUF file."
        )
    elements = 1
    for dimension in shape:
        elements *= dimension
    begin, end = offsets
    if end - begin != elements * ITEM_BYTES[kind] or start + end > len(flat):
        raise UserError(
            f"{path}: the data of “{name[:80]}” do not fit its shape or the file; fetch it again."
        )
    return SafeTensor(name, kind, tuple(shape), start + begin, end - begin, flat)


def _whole_numbers(value: Any) -> TypeGuard[list[int]]:
    return (
        isinstance(value, list)
        and len(value) <= 8
        and all(isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 2**63 for item in value)
    )
