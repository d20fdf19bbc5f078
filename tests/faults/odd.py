"""Odd values, and files that were mangled."""

from __future__ import annotations

import json
import math
import random
from typing import Any

from tests.faults.corpus import attack, writable


def value(numbers: random.Random, depth: int = 0) -> Any:
    """Anything that JSON can hold, now and then absurdly large or deep."""
    match numbers.randrange(14):
        case 0:
            return None
        case 1:
            return numbers.choice((True, False))
        case 2:
            return numbers.choice(
                (0, -1, 1, 7, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400)
            )
        case 3:
            return numbers.choice((0.0, -0.0, 1e308, -1e308, 5e-324, 0.5, 1.7e9, 9e15))
        case 4:
            return ""
        case 5:
            return "x" * numbers.choice((10, 300, 70_000))
        case 6 | 7:
            return writable(attack(numbers, 2_000))
        case 8 if depth < 3:
            return [value(numbers, depth + 1) for _ in range(numbers.randrange(5))]
        case 9 if depth < 3:
            return {
                writable(attack(numbers, 60)): value(numbers, depth + 1) for _ in range(numbers.randrange(4))
            }
        case 10:
            return nested(numbers.choice((5, 60, 900)))
        case 11:
            return [0] * numbers.choice((3, 3_000))
        case _:
            return numbers.choice(("NaN", "-1", "2", "true", "null", "user", "2024-01-01", "1e999", "\u0661"))


def nested(depth: int) -> Any:
    """A list in a list in a list."""
    found: Any = []
    for _ in range(depth):
        found = [found]
    return found


def changed(numbers: random.Random, document: Any, times: int) -> Any:
    """A JSON document with some of its values replaced, left out, doubled or exchanged."""
    for _ in range(times):
        places = list(_places(document))
        if not places:
            return value(numbers)
        holder, key = numbers.choice(places)
        match numbers.randrange(6):
            case 0 if isinstance(holder, dict):
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[numbers.choice(list(holder))] = holder[key]
            case 1 if isinstance(holder, list):
                holder.append(holder[key])
            case 2:
                other, there = numbers.choice(places)
                if (isinstance(other, dict) and there in other) or (
                    isinstance(other, list) and there < len(other)
                ):
                    holder[key] = json.loads(json.dumps(other[there]))
            case _:
                holder[key] = value(numbers)
    return document


def _places(document: Any) -> Any:
    waiting = [document]
    while waiting:
        holder = waiting.pop()
        keys = (
            list(holder)
            if isinstance(holder, dict)
            else range(len(holder))
            if isinstance(holder, list)
            else ()
        )
        for key in keys:
            yield holder, key
            waiting.append(holder[key])


def mangled(numbers: random.Random, data: bytes) -> bytes:
    """Bytes that were cut, overwritten, doubled, or that are of another encoding."""
    place = numbers.randrange(len(data) + 1)
    match numbers.randrange(8):
        case 0:
            return data[:place]
        case 1:
            return data[place:]
        case 2:
            return data[:place] + numbers.randbytes(numbers.randrange(1, 30)) + data[place:]
        case 3:
            return data.decode("utf-8", "replace").encode(numbers.choice(("utf-16", "utf-8-sig", "utf-32")))
        case 4:
            return data + data
        case 5:
            return data[:place] + bytes(numbers.randrange(1, 2_000)) + data[place:]
        case 6:
            opening = numbers.choice((b"[", b'{"a":', b"[["))
            return data[:place] + opening * numbers.choice((50, 2_000, 100_000)) + data[place:]
        case _:
            changed = bytearray(data)
            for _ in range(numbers.randrange(1, 12)):
                if changed:
                    changed[numbers.randrange(len(changed))] = numbers.randrange(256)
            return bytes(changed)


def finite(number: float) -> bool:
    """Whether a number is one."""
    return math.isfinite(number)


def check_sentence(sentence: str) -> None:
    """That a refusal is one sentence for people."""
    from tests.faults.oracle import complaint

    assert sentence.strip(), "an empty sentence"
    assert len(sentence) < 3_000, f"a sentence of {len(sentence)} characters: {sentence[:200]}…"
    assert "Traceback" not in sentence, sentence
    assert not complaint(sentence), complaint(sentence)
    assert sentence.count("\n") <= 2, f"a sentence of several lines: {sentence!r}"
