"""Ways to damage a GGUF file: its header taken apart, changed and put together again."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.damage import BYTES, HUGE, TEXTS, flip_bits, huge_counts

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
ALIGNMENT = 32


@dataclass
class Array:
    """An array of a metadata entry: `item` is the type of its items."""

    item: int
    values: list[Any]


@dataclass
class Info:
    """What a header says of one tensor."""

    name: bytes
    shape: list[int]
    kind: int
    offset: int


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 24

    def number(self, form: str) -> Any:
        (value,) = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return value

    def text(self) -> bytes:
        count = self.number("Q")
        self.at += count
        return self.data[self.at - count : self.at]

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.number(_SCALARS[kind])
        item = self.number("I")
        return Array(item, [self.value(item) for _ in range(self.number("Q"))])


@dataclass
class Parts:
    """A whole file, taken apart."""

    pairs: list[tuple[bytes, int, Any]]
    infos: list[Info]
    data: bytes
    count_of_tensors: int | None = None  # instead of the true one
    count_of_pairs: int | None = None

    @classmethod
    def of(cls, content: bytes) -> Parts:
        """Take a sound file apart."""
        tensors, pairs = struct.unpack_from("<QQ", content, 8)
        reader = _Reader(content)
        entries = []
        for _ in range(pairs):
            key, kind = reader.text(), reader.number("I")
            entries.append((key, kind, reader.value(kind)))
        infos = []
        for _ in range(tensors):
            name = reader.text()
            shape = [reader.number("Q") for _ in range(reader.number("I"))]
            infos.append(Info(name, shape, reader.number("I"), reader.number("Q")))
        return cls(entries, infos, content[-(-reader.at // ALIGNMENT) * ALIGNMENT :])

    def joined(self) -> bytes:
        """Put it together."""
        tensors = len(self.infos) if self.count_of_tensors is None else self.count_of_tensors
        pairs = len(self.pairs) if self.count_of_pairs is None else self.count_of_pairs
        out = bytearray(b"GGUF" + struct.pack("<IQQ", 3, tensors, pairs))
        for key, kind, value in self.pairs:
            out += _text(key) + struct.pack("<I", kind) + _value(kind, value)
        for info in self.infos:
            out += _text(info.name) + struct.pack("<I", len(info.shape))
            out += b"".join(struct.pack("<Q", size % 2**64) for size in info.shape)
            out += struct.pack("<IQ", info.kind, info.offset % 2**64)
        return bytes(out) + bytes(-len(out) % ALIGNMENT) + self.data


def _text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def _value(kind: int, value: Any) -> bytes:
    if kind == _STRING:
        return _text(value)
    if kind == _ARRAY:
        items = b"".join(_value(value.item, item) for item in value.values)
        return struct.pack("<IQ", value.item, len(value.values)) + items
    if kind in _SCALARS:
        return struct.pack("<" + _SCALARS[kind], value)
    return bytes(value)


def damage_gguf(numbers: random.Random, path: Path) -> str:
    """One way at random."""
    content = path.read_bytes()
    parts = Parts.of(content)
    within = len(content) - len(parts.data)
    chance = numbers.random()
    if chance < 0.4:
        name = numbers.choice(list(BYTES))
        if name == "bits flipped" and numbers.random() < 0.7:
            path.write_bytes(flip_bits(numbers, content, within))
        elif name == "huge counts" and numbers.random() < 0.8:
            path.write_bytes(huge_counts(numbers, content, within))
        else:
            path.write_bytes(BYTES[name](numbers, content))
        return name
    if chance < 0.7:
        _metadata(numbers, parts)
        what = "metadata changed"
    elif chance < 0.92:
        what = _tensors(numbers, parts)
    elif chance < 0.96:
        setattr(parts, numbers.choice(("count_of_tensors", "count_of_pairs")), numbers.choice(HUGE) % 2**64)
        what = "huge counts"
    else:
        parts.data = numbers.randbytes(len(parts.data))
        what = "random weights"
    path.write_bytes(parts.joined())
    return what


def _metadata(numbers: random.Random, parts: Parts) -> None:
    for _ in range(numbers.choice((1, 1, 2, 4))):
        index = numbers.randrange(len(parts.pairs))
        key, kind, value = parts.pairs[index]
        what = numbers.randrange(9)
        if what == 0:
            del parts.pairs[index]
        elif what == 1:
            parts.pairs.append((key, *_any(numbers)))
        elif what == 2:
            parts.pairs[index] = (numbers.choice(TEXTS).encode("utf-8", "surrogatepass"), kind, value)
        elif what == 3 and isinstance(value, Array):
            _array(numbers, value)
        elif what == 4 and kind in (4, 5, 10):
            parts.pairs[index] = (key, kind, (value + numbers.choice((1, -1, 2, 16))) % 2**31)
        elif what == 5:
            deep = Array(4, [1])
            for _ in range(numbers.choice((2, 5, 300))):
                deep = Array(_ARRAY, [deep])
            parts.pairs[index] = (key, _ARRAY, deep)
        else:
            parts.pairs[index] = (key, *_any(numbers))


def _any(numbers: random.Random) -> tuple[int, Any]:
    """A type and a value of it."""
    kind = numbers.choice((0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 77))
    if kind == _STRING:
        return kind, numbers.choice(TEXTS).encode("utf-8", "surrogatepass") + numbers.choice(
            (b"", b"\xff\xfe")
        )
    if kind == _ARRAY:
        item = numbers.choice((0, 4, 6, 8))
        values: list[Any] = [b"", b"\xff", b"a"] if item == _STRING else [0, 1, 255]
        return kind, Array(item, values * numbers.choice((0, 1, 100, 20_000)))
    if kind in (6, 12):
        return kind, numbers.choice((0.0, -1.0, 1e30, float("inf"), float("nan"), 1e-30))
    if kind == 7:
        return kind, numbers.random() < 0.5
    if kind not in _SCALARS:
        return kind, numbers.randbytes(8)
    bits = 8 * struct.calcsize(_SCALARS[kind])
    value = numbers.choice((0, 1, 3, 2**7, 2**31, *HUGE)) % 2**bits
    return kind, value - 2**bits if kind in (1, 5, 11) and value >= 2 ** (bits - 1) else value


def _array(numbers: random.Random, array: Array) -> None:
    """A list of tokens, types or merges that is too long, too short, or repeats itself."""
    what = numbers.randrange(5)
    if what == 0:
        array.values = array.values[: numbers.randrange(len(array.values) + 1)]
    elif what == 1:
        array.values = array.values * numbers.choice((2, 40, 400))
    elif what == 2:
        numbers.shuffle(array.values)
    elif what == 3 and array.values:
        array.values = [numbers.choice(array.values)] * len(array.values)
    elif array.item == _STRING:
        for _ in range(numbers.choice((1, 10))):
            at = numbers.randrange(len(array.values) or 1)
            array.values[at : at + 1] = [
                numbers.choice(
                    (
                        b"",
                        b" ",
                        b"\xff\xfe",
                        b"\xed\xa0\x80",
                        b"a" * 8192,
                        b"a" * 3_000_000,
                        b"a b c",
                        b"<|im_end|>",
                    )
                )
            ]


def _tensors(numbers: random.Random, parts: Parts) -> str:
    info = numbers.choice(parts.infos)
    what = numbers.randrange(6)
    if what == 0:
        info.shape = numbers.choice(
            (
                info.shape[::-1],
                [1, *info.shape],
                [*info.shape, 1, 1],
                [2**32, 2**32],
                [0],
                [-1, 2],
                [2**61] * 4,
            )
        )
        return "shapes"
    if what == 1:
        count = 1
        for size in info.shape:
            count *= size
        info.shape = [count]
        return "shapes"
    if what == 2:
        info.kind = numbers.choice((0, 1, 2, 3, 6, 7, 8, 10, 12, 14, 16, 24, 26, 28, 30, 34, 39, 99, 2**31))
        return "block types"
    if what == 3:
        if numbers.random() < 0.5:
            for other in parts.infos:
                other.offset = info.offset
        info.offset = numbers.choice((0, 1, 32, info.offset + 32, *HUGE))
        return "offsets that overlap or leave"
    if what == 4:
        others = [other.name for other in parts.infos]
        texts = [text.encode("utf-8", "surrogatepass") for text in TEXTS]
        info.name = numbers.choice(
            (*others, *texts, b"blk.0.attn_q.bias", b"output.weight", b"rope_freqs.weight")
        )
        return "names"
    parts.infos.remove(info)
    if numbers.random() < 0.5:
        parts.infos.extend([info] * numbers.choice((2, 300)))
    return "tensors missing or repeated"
