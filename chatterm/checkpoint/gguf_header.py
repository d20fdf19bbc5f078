"""The header of a GGUF file, walked by hand; the tensor data stay on disk as memory maps.

The format is described in ggml's `docs/gguf.md`. A file is somebody else's data: every count is checked
against the bytes that are there before anything is read or allocated. Nothing here imports torch.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from chatterm.checkpoint.blocks import SIZES, BlockType, Bytes
from chatterm.checkpoint.files import map_file
from chatterm.errors import UserError

MAGIC = b"GGUF"
MAX_DIMENSIONS = 4
MAX_ARRAY_DEPTH = 4
MIN_KEY_VALUE_BYTES = 8 + 4 + 1  # key length, type, a one-byte value
MIN_TENSOR_INFO_BYTES = 8 + 4 + 4 + 8  # name length, dimension count, type, offset
DEFAULT_ALIGNMENT = 32
MAX_TENSORS = 100_000
MAX_METADATA_ENTRIES = 100_000
MAX_METADATA_BYTES = 96 << 20
MAX_ITEMS = 6_000_000
"""Of all arrays together; the largest vocabularies, with types, scores and merges, have a quarter of it."""

LONG_ARRAY = 4096
"""Arrays of at least that many items are skipped by `arrays=False`; per-layer settings are shorter."""

_STRING, _ARRAY = 8, 9
_SCALARS: dict[int, struct.Struct] = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}


@dataclass(frozen=True)
class GGUFTensor:
    """One tensor of a GGUF file. Rows are blocks of a quantised type, stored one after the other."""

    name: str
    type: BlockType
    shape: tuple[int, ...]  # row-major, outermost first
    offset: int  # bytes from the start of its file
    nbytes: int
    _map: Bytes

    @property
    def data(self) -> Bytes:
        """The stored bytes, `(rows, bytes per row)` uint8, a view of the memory-mapped file."""
        rows = int(np.prod(self.shape[:-1], dtype=np.int64))
        return self._map[self.offset : self.offset + self.nbytes].reshape(rows, -1)


@dataclass(frozen=True)
class GGUFFile:
    """The header of a GGUF file (or of all parts of a split one), with its tensors mapped."""

    path: Path  # of the first part
    parts: tuple[Path, ...]
    version: int
    metadata: dict[str, Any]  # plain Python values; arrays are lists
    tensors: dict[str, GGUFTensor]

    @property
    def file_bytes(self) -> int:
        """Bytes on disk, all parts together."""
        return sum(part.stat().st_size for part in self.parts)


def read_header(path: Path, *, arrays: bool) -> GGUFFile:
    """One file by itself, whether it is a part or the whole.

    Raises:
        UserError: it is not a GGUF file that this program reads, or is damaged.
    """
    data = map_file(path)
    try:
        return _Header(path, data, keep_arrays=arrays).read()
    except (struct.error, IndexError) as error:
        raise UserError(
            f"{path} ends in the middle of its header; it is cut off or damaged, fetch it again."
        ) from error


def peek(head: bytes, name: str) -> dict[str, Any]:
    """The metadata that stands in the first bytes of a GGUF file called `name`, as far as they reach.

    Raises:
        UserError: they are not the beginning of a GGUF file that this program reads.
    """
    header = _Header(Path(name), head, keep_arrays=False)
    metadata: dict[str, Any] = {}
    try:
        _, pairs = header.begin()
        for _ in range(pairs):
            key, value = header.pair()
            if value is not _SKIPPED:
                metadata[key] = value
    except (struct.error, IndexError):
        pass
    except UserError:
        if not metadata:
            raise
    return metadata


class _Header:
    """Walks one header. `at` is the offset of the next byte."""

    def __init__(self, path: Path, data: mmap.mmap | bytes, *, keep_arrays: bool) -> None:
        self.path = path
        self.data = data
        self.size = len(data)
        self.keep_arrays = keep_arrays
        self.version = 0
        self.at = 0
        self.items = 0

    def read(self) -> GGUFFile:
        tensor_count, pair_count = self.begin()
        metadata = {}
        for _ in range(pair_count):
            key, value = self.pair()
            if value is not _SKIPPED:
                metadata[key] = value
        return GGUFFile(self.path, (self.path,), self.version, metadata, self.tensors(tensor_count, metadata))

    def begin(self) -> tuple[int, int]:
        """The numbers of tensors and of metadata entries that are announced."""
        if self.data[:4] != MAGIC:
            raise UserError(f"{self.path} is not a GGUF file: it does not begin with “GGUF”.")
        self.at = 4
        self.version = self.scalar(4)
        if self.version not in (2, 3):
            big_endian = self.version & 0xFFFF == 0
            reason = "is written for big-endian machines" if big_endian else f"is GGUF version {self.version}"
            raise UserError(
                f"{self.path} {reason}; versions 2 and 3, little-endian, are read. Convert it anew."
            )
        tensor_count = self.count(self.scalar(10), MIN_TENSOR_INFO_BYTES, "tensors", MAX_TENSORS)
        pair_count = self.count(
            self.scalar(10), MIN_KEY_VALUE_BYTES, "metadata entries", MAX_METADATA_ENTRIES
        )
        return tensor_count, pair_count

    def pair(self) -> tuple[str, Any]:
        """One metadata entry."""
        return self.string(), self.value(self.scalar(4))

    def scalar(self, kind: int) -> Any:
        form = _SCALARS[kind]
        (value,) = form.unpack_from(self.data, self.at)
        self.at += form.size
        return value

    def count(self, claimed: int, least_bytes: int, what: str, most: int = MAX_METADATA_BYTES) -> int:
        """`claimed`, if that many things of at least that size fit into the rest of the file."""
        if claimed * least_bytes > self.size - self.at:
            raise UserError(f"{self.path} claims {claimed} {what}, more than fit into it; it is damaged.")
        if claimed > most or self.at > MAX_METADATA_BYTES:
            raise self.too_large(f"{claimed} {what}")
        return claimed

    def too_large(self, what: str) -> UserError:
        return UserError(f"{self.path} holds {what} in its header, more than any real model; it is damaged.")

    def count_items(self, claimed: int, least_bytes: int, what: str) -> int:
        """As `count`, for the items of an array: of all arrays together there is a limit too."""
        self.count(claimed, least_bytes, what)
        self.items += claimed
        if self.items > MAX_ITEMS:
            raise self.too_large(f"lists of {self.items} values")
        return claimed

    def string(self) -> str:
        length = self.count(self.scalar(10), 1, "characters in a name")
        text = self.data[self.at : self.at + length].decode("utf-8", errors="surrogateescape")
        self.at += length
        return text

    def value(self, kind: int, depth: int = 0) -> Any:
        if kind in _SCALARS:
            return self.scalar(kind)
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY or depth >= MAX_ARRAY_DEPTH:
            raise UserError(
                f"{self.path} has a metadata entry of unknown type {kind}; it is damaged or too new."
            )
        item = self.scalar(4)
        return self.array(item, self.scalar(10), depth + 1)

    def array(self, item: int, claimed: int, depth: int) -> Any:
        if item in _SCALARS:
            return self.scalar_array(_SCALARS[item], claimed)
        if item == _STRING:
            return self.string_array(self.count_items(claimed, 8, "strings in a list"))
        length = self.count_items(claimed, 12, "lists in a list")
        values = [self.value(item, depth) for _ in range(length)]
        return values if self.keeps(length) else _SKIPPED

    def keeps(self, length: int) -> bool:
        """Whether an array of that length is wanted."""
        return self.keep_arrays or length < LONG_ARRAY

    def scalar_array(self, form: struct.Struct, claimed: int) -> Any:
        length = self.count_items(claimed, form.size, "numbers in a list")
        start, self.at = self.at, self.at + length * form.size
        if not self.keeps(length):
            return _SKIPPED
        return np.frombuffer(self.data, np.dtype(form.format), length, start).tolist()

    def string_array(self, length: int) -> Any:
        """The hot loop: a vocabulary has up to a few hundred thousand entries."""
        data, size, at = self.data, self.size, self.at
        keep = self.keeps(length)
        unpack: Callable[[mmap.mmap | bytes, int], tuple[int]] = struct.Struct("<Q").unpack_from
        values: list[str] = []
        decode = partial(str, encoding="utf-8", errors="surrogateescape")
        for _ in range(length):
            (count,) = unpack(data, at)
            at += 8
            if count > size - at:
                raise UserError(f"{self.path} has a string longer than the file; it is damaged.")
            if at > MAX_METADATA_BYTES or count > MAX_METADATA_BYTES:
                raise self.too_large("texts without end")
            if keep:
                values.append(decode(data[at : at + count]))
            at += count
        self.at = at
        return values if keep else _SKIPPED

    def tensors(self, count: int, metadata: dict[str, Any]) -> dict[str, GGUFTensor]:
        alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20:
            raise UserError(
                f"{self.path} has the alignment {alignment!r:.40}, which is not one; it is damaged."
            )
        infos = [self.tensor_info() for _ in range(count)]
        start = -(-self.at // alignment) * alignment
        flat = np.frombuffer(self.data, np.uint8)
        tensors: dict[str, GGUFTensor] = {}
        for name, kind, shape, offset in infos:
            nbytes = self.tensor_bytes(name, kind, shape)
            if start + offset + nbytes > self.size:
                raise UserError(
                    f"{self.path} is cut off: the tensor “{name[:80]}” reaches past its end. Fetch it again."
                )
            if name in tensors:
                raise UserError(f"{self.path} holds the tensor “{name[:80]}” twice; it is damaged.")
            tensors[name] = GGUFTensor(name, kind, shape, start + offset, nbytes, flat)
        self.check_places(tensors.values())
        return tensors

    def check_places(self, tensors: Iterable[GGUFTensor]) -> None:
        """No two tensors share bytes: a small file with a thousand in one place could fill any memory."""
        places = sorted((tensor.offset, tensor.offset + tensor.nbytes) for tensor in tensors)
        if any(before[1] > after[0] for before, after in pairwise(places)):
            raise UserError(f"{self.path} holds tensors that share their bytes; it is damaged.")

    def tensor_info(self) -> tuple[str, BlockType, tuple[int, ...], int]:
        name = self.string()
        dimensions = self.scalar(4)
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise UserError(
                f"{self.path}: the tensor “{name[:80]}” has {dimensions} dimensions; it is damaged."
            )
        shape = tuple(self.scalar(10) for _ in range(dimensions))[::-1]
        kind = self.scalar(4)
        try:
            return name, BlockType(kind), shape, self.scalar(10)
        except ValueError as error:
            raise UserError(
                f"{self.path}: the tensor “{name[:80]}” has the block type {kind}, which chatterm does not "
                "know: the file is newer than it, or damaged; take one with another quantisation."
            ) from error

    def tensor_bytes(self, name: str, kind: BlockType, shape: tuple[int, ...]) -> int:
        block, block_bytes = SIZES[kind]
        if shape[-1] % block:
            raise UserError(
                f"{self.path}: rows of {shape[-1]} values of “{name[:80]}” are no whole number of "
                f"{kind.name} "
                "blocks; it is damaged."
            )
        elements = 1
        for dimension in shape:
            elements *= dimension
        if elements == 0:
            raise UserError(f"{self.path}: the tensor “{name[:80]}” is empty; it is damaged.")
        return elements // block * block_bytes


_SKIPPED = object()
