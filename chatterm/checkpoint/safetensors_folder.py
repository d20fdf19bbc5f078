"""Checkpoint folders as Hugging Face writes them: `config.json` and safetensors files, one or sharded.

Headers are read by hand (a length, then JSON) and the data stays on disk as memory maps. Nothing here imports
torch. The format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from chatterm.checkpoint.blocks import Bytes
from chatterm.checkpoint.files import inside, map_file, parse_json
from chatterm.checkpoint.folders import entries
from chatterm.checkpoint.same import same
from chatterm.checkpoint.weight_files import WeightSet, choose, rivals
from chatterm.errors import UserError

MAX_HEADER_BYTES = 16 << 20
"""The format allows 100 MB; a decoder of a thousand layers needs two."""

MOST_RIVALS = 8
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
    notices: tuple[str, ...] = ()  # sentences about what else lies there and was not taken

    @property
    def file_bytes(self) -> int:
        """Bytes of the weight files on disk."""
        return sum(file.stat().st_size for file in self.files)


def read_safetensors_folder(folder: Path, config: Mapping[str, Any] | None = None) -> SafetensorsFolder:
    """The tensors of every weight file that belongs to the checkpoint in `folder`.

    Args:
        folder: of the checkpoint.
        config: its config.json, which may name the weights.

    Raises:
        UserError: there are no safetensors, a shard is missing, a name leads out of the folder, or a file is
            damaged.
    """
    names = [path.name for path in entries(folder) if path.is_file()]
    chosen = choose(folder, names, config or {})
    files = tuple(inside(folder, name) for name in chosen.files)
    tensors = _joined(folder, chosen)
    return SafetensorsFolder(folder, files, tensors, tuple(_disagreeing(folder, chosen, names, tensors)))


def _joined(folder: Path, chosen: WeightSet) -> dict[str, SafeTensor]:
    """The tensors of all files of a set.

    One that lies in two files must be the same in both, unless the index names the last of them, which is
    the one that transformers takes whatever the index says.
    """
    tensors: dict[str, SafeTensor] = {}
    for file in chosen.files:
        for name, tensor in _read_file(inside(folder, file)).items():
            if name in tensors and chosen.places.get(name) != file and not same(tensors[name], tensor):
                raise UserError(
                    f"{folder} holds the tensor “{name[:80]}” in two files, with different "
                    f"numbers; remove what "
                    "does not belong."
                )
            tensors[name] = tensor
    return tensors


def _disagreeing(
    folder: Path, chosen: WeightSet, names: list[str], tensors: dict[str, SafeTensor]
) -> Iterator[str]:
    """Sentences about other sets of weights in the folder that hold the same tensors with other numbers."""
    if (folder / "adapter_config.json").is_file():
        yield f"{folder} holds an adapter beside the whole model; it is not applied."
    for rival in rivals(chosen, names)[:MOST_RIVALS]:
        try:
            others = {
                name: tensor
                for file in rival.files
                for name, tensor in _read_file(inside(folder, file)).items()
            }
        except UserError:
            continue  # damaged, and not what is loaded
        shared = others.keys() & tensors.keys()
        if 2 * len(shared) < len(tensors):
            continue  # something else: a projector, an optimizer's state
        if not all(same(tensors[name], others[name], thorough=False) for name in shared):
            yield (
                f"{folder} holds two sets of weights with different numbers; {chosen.name} was loaded and "
                f"{rival.name} was not."
            )


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
