"""Ways to damage a file of a checkpoint: by byte, by value, by structure; each says what it did."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

HUGE = (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 10**30)
NUMBERS: tuple[Any, ...] = (
    *HUGE,
    *(-number for number in HUGE),
    *(0, 1, -1, 2, 3, 7, 31, 33, 255, 4097, 65_536, 0.5, -0.0, 1e-300, 1e300, 1e400, -1e400, float("nan")),
)
TEXTS = (
    "",
    " ",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\windows",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "\x1b]0;owned\x07",
    "\u202egpj.exe",
    "[bold]x[/bold]",
    "x" * 100_000,
    "\N{GRINNING FACE}" * 3000,
    "model.layers.0.self_attn.q_proj.weight",
    "{{ self.__class__ }}",
    "%s%n%1000000000d",
    "llama",
    "gpt2",
    "yarn",
    "longrope",
    "gelu",
    "nan",
    "true",
)


def nested(depth: int, kind: type = list) -> Any:
    """A value inside a value inside a value."""
    value: Any = 0
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


def hostile(numbers: random.Random) -> Any:
    """A value that hardly belongs anywhere."""
    return numbers.choice(
        (
            lambda: numbers.choice(NUMBERS),
            lambda: numbers.choice(TEXTS),
            lambda: numbers.choice((None, True, False, [], {}, [[]], [{}], {"": []})),
            lambda: nested(numbers.choice((5, 60, 250)), numbers.choice((list, dict))),
            lambda: [numbers.choice(NUMBERS)] * numbers.choice((1, 2, 4, 16, 1000, 30_000)),
            lambda: [numbers.choice(TEXTS[:20]) for _ in range(numbers.randrange(40))],
            lambda: {numbers.choice(TEXTS): numbers.choice(NUMBERS) for _ in range(numbers.randrange(20))},
        )
    )()


# --- bytes ----------------------------------------------------------------------------------------------


def flip_bits(numbers: random.Random, data: bytes, within: int | None = None) -> bytes:
    """A few bits turned, all of them among the first `within` bytes."""
    changed = bytearray(data)
    for _ in range(numbers.choice((1, 1, 2, 8, 64))):
        at = numbers.randrange(min(len(changed), within or len(changed)) or 1)
        if at < len(changed):
            changed[at] ^= 1 << numbers.randrange(8)
    return bytes(changed)


def cut(numbers: random.Random, data: bytes) -> bytes:
    """The end is missing."""
    return data[: numbers.randrange(len(data) + 1)]


def huge_counts(numbers: random.Random, data: bytes, within: int | None = None) -> bytes:
    """Eight or four bytes somewhere become a large number."""
    changed = bytearray(data)
    for _ in range(numbers.choice((1, 1, 3))):
        at = numbers.randrange(max(1, min(len(changed), within or len(changed)) - 8))
        value = numbers.choice([number for number in HUGE if number < 2**64])
        width = numbers.choice((4, 8))
        changed[at : at + width] = (value % 256**width).to_bytes(width, "little")
    return bytes(changed)


def splice(numbers: random.Random, data: bytes) -> bytes:
    """A piece repeated, moved or taken out."""
    start = numbers.randrange(len(data) or 1)
    end = min(len(data), start + numbers.choice((1, 8, 64, 1000)))
    piece = data[start:end] * numbers.choice((0, 2, 2, 50))
    at = numbers.choice((start, numbers.randrange(len(data) or 1)))
    return data[:at] + piece + data[at if at != start else end :]


def noise(numbers: random.Random, data: bytes) -> bytes:
    """A piece made random."""
    start = numbers.randrange(len(data) or 1)
    count = min(len(data) - start, numbers.choice((4, 64, 4096)))
    return data[:start] + numbers.randbytes(count) + data[start + count :]


BYTES: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "bits flipped": flip_bits,
    "cut off": cut,
    "huge counts": huge_counts,
    "pieces moved": splice,
    "noise": noise,
}


# --- JSON -----------------------------------------------------------------------------------------------


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values inside a document."""
    found = [at] if at else []
    if isinstance(value, dict):
        for key in value:
            found += places(value[key], (*at, key))
    elif isinstance(value, list):
        for index in range(min(len(value), 40)):
            found += places(value[index], (*at, index))
    return found


def change_values(numbers: random.Random, document: Any) -> None:
    """Some values replaced, taken out, renamed or repeated, in place."""
    for _ in range(numbers.choice((1, 1, 1, 2, 5))):
        options = places(document)
        if not options:
            return
        *path, last = numbers.choice(options)
        holder = document
        for key in path:
            holder = holder[key]
        what = numbers.randrange(8)
        if what == 0:
            del holder[last]
        elif what == 1 and isinstance(holder, dict):
            holder[numbers.choice(TEXTS)] = holder.pop(last)
        elif what == 2 and isinstance(holder, list):
            holder *= numbers.choice((2, 30, 200))
        elif what == 3 and isinstance(holder[last], int):
            holder[last] += numbers.choice((1, -1, 2, -2, 16))
        else:
            holder[last] = hostile(numbers)


def written(numbers: random.Random, document: Any) -> bytes:
    """A document as text, sometimes with a key twice."""
    text = json.dumps(document, ensure_ascii=numbers.random() < 0.5)
    if isinstance(document, dict) and document and numbers.random() < 0.15:
        key = numbers.choice(list(document))
        text = f"{text[:-1]}, {json.dumps(key)}: {json.dumps(hostile(numbers))}}}"
    return text.encode("utf-8", "surrogatepass")


def bomb(numbers: random.Random, path: Path) -> None:
    """Megabytes of almost nothing, which become a hundred times as much in memory."""
    piece = numbers.choice(("[],", "{},", "0,", '"ab",', '["a","b"],', "[", '{"a":'))
    text = piece * (numbers.choice((1, 12, 40)) << 20 >> 2)
    path.write_text(f'{{"weight_map": [{text}0], "model": [{text}0]}}', "utf-8")


def damage_json(numbers: random.Random, path: Path) -> str:
    """One way at random."""
    chance = numbers.random()
    if chance < 0.01:
        bomb(numbers, path)
        return "repetition"
    if chance < 0.3:
        name = numbers.choice(list(BYTES))
        path.write_bytes(BYTES[name](numbers, path.read_bytes()))
        return name
    document = json.loads(path.read_text("utf-8"))
    change_values(numbers, document)
    path.write_bytes(written(numbers, document))
    return "values changed"


# --- safetensors ----------------------------------------------------------------------------------------


def split_safetensors(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and data of a whole file."""
    (length,) = struct.unpack_from("<Q", data)
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    return header, data[8 + length :]


def joined_safetensors(header: bytes, data: bytes) -> bytes:
    """The same as a file."""
    return struct.pack("<Q", len(header)) + header + data


def damage_safetensors(numbers: random.Random, path: Path) -> str:
    """One way at random."""
    data = path.read_bytes()
    header, tensors = split_safetensors(data)
    chance = numbers.random()
    if chance < 0.35:
        name = numbers.choice(list(BYTES))
        if numbers.random() < 0.6 and name in ("bits flipped", "huge counts"):
            within = len(data) - len(tensors)
            damage = flip_bits if name == "bits flipped" else huge_counts
            path.write_bytes(damage(numbers, data, within))
        else:
            path.write_bytes(BYTES[name](numbers, data))
        return name
    if chance < 0.45:
        path.write_bytes(joined_safetensors(json.dumps(header).encode(), numbers.randbytes(len(tensors))))
        return "random weights"
    names = [name for name in header if name != "__metadata__"]
    entry = header[numbers.choice(names)]
    if chance < 0.6:
        entry["shape"] = _shape(numbers, entry["shape"])
        what = "shapes"
    elif chance < 0.75:
        shift = numbers.choice((1, -1, 64, -64, 2**40))
        entry["data_offsets"] = numbers.choice(
            (
                header[numbers.choice(names)]["data_offsets"],
                [offset + shift for offset in entry["data_offsets"]],
                [entry["data_offsets"][0], entry["data_offsets"][1] + shift],
                entry["data_offsets"][::-1],
                [numbers.choice(HUGE), numbers.choice(HUGE)],
            )
        )
        what = "offsets that overlap or leave"
    elif chance < 0.85:
        old = numbers.choice(names)
        header[numbers.choice((*TEXTS, old + ".bias", "lm_head.weight", "model.norm.bias"))] = header.pop(old)
        what = "names"
    else:
        change_values(numbers, header)
        what = "values changed"
    path.write_bytes(joined_safetensors(written(numbers, header), tensors))
    return what


def _shape(numbers: random.Random, shape: list[int]) -> list[int]:
    changed = list(shape)
    what = numbers.randrange(5)
    if what == 0:
        changed[numbers.randrange(len(changed))] = numbers.choice(HUGE)
    elif what == 1:
        changed = changed[::-1]
    elif what == 2:
        changed = [1] * numbers.randrange(9) + changed
    elif what == 3:
        count = 1
        for size in changed:
            count *= size
        changed = [count]
    else:
        changed = [numbers.choice((0, -1, 1, 2**32, 2**62)) for _ in changed]
    return changed
