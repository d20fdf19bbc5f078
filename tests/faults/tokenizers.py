"""What no real `tokenizer.json` asks for: each changes a sound document, in place."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from typing import Any

from tests.faults import specimens
from tests.faults.damage import TEXTS

Change = Callable[[random.Random, dict[str, Any]], None]


def _replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _padding(numbers: random.Random, document: dict[str, Any]) -> None:
    size = numbers.choice((0, 10**6, 10**10, 2**63))
    document["padding"]["strategy"] = numbers.choice(({"Fixed": size}, "BatchLongest"))
    document["padding"]["pad_to_multiple_of"] = numbers.choice((None, 0, size))
    document["truncation"] = numbers.choice(
        (
            None,
            {
                "direction": "Right",
                "max_length": 1,
                "strategy": "OnlySecond",
                "stride": numbers.choice((0, 9)),
            },
        )
    )


def _growing(numbers: random.Random, document: dict[str, Any]) -> None:
    step = numbers.choice(
        (
            _replace({"String": numbers.choice((" ", "e", ""))}, "ee" * numbers.choice((1, 2, 50_000))),
            _replace({"Regex": numbers.choice(("", "e", "(?=e)", ".*?"))}, "ee"),
            {"type": "Prepend", "prepend": "e" * numbers.choice((1, 100_000))},
            {"type": "ByteLevel"},
            {"type": numbers.choice(("NFKD", "NFC", "Lowercase", "StripAccents", "Nmt"))},
        )
    )
    document["normalizer"] = {"type": "Sequence", "normalizers": [step] * numbers.choice((1, 8, 40, 5000))}


def _patterns(numbers: random.Random, document: dict[str, Any]) -> None:
    pattern = numbers.choice(
        (
            "(e+)+$",
            "(e|ee)+$",
            r"(e*)*\1\1b",
            "(((",
            "",
            r"(?<x>\g<x>e)",
            "((e{1,1000}){1,1000}){1,1000}",
            "[^",
            "\\",
        )
    )
    steps = [_split(pattern)] * numbers.choice((1, 3, 20_000))
    document["pre_tokenizer"] = numbers.choice((steps[0], {"type": "Sequence", "pretokenizers": steps}))
    if numbers.random() < 0.3:
        document["pre_tokenizer"] = {"type": "FixedLength", "length": numbers.choice((0, 1, 2**63))}


def _cycles(numbers: random.Random, document: dict[str, Any]) -> None:
    for key, parts in (
        ("normalizer", "normalizers"),
        ("pre_tokenizer", "pretokenizers"),
        ("decoder", "decoders"),
    ):
        step = document[key]
        for _ in range(numbers.choice((3, 20, 60, 130))):
            step = {"type": "Sequence", parts: [step]}
        document[key] = step


def _processors(numbers: random.Random, document: dict[str, Any]) -> None:
    step = document["post_processor"]
    text = {"Sequence": {"id": "A", "type_id": 0}}
    twice = {**step, "single": [*step["single"], text, text]}
    document["post_processor"] = {"type": "Sequence", "processors": [twice] * numbers.choice((1, 3, 40))}
    step["special_tokens"] = numbers.choice(({}, step["special_tokens"]))


def _vocabulary(numbers: random.Random, document: dict[str, Any]) -> None:
    model = document["model"]
    what = numbers.randrange(8)
    if what == 0:
        model["vocab"]["zz"] = numbers.choice((2**22, 2**31, 2**32 - 1, 2**32, -1))
    elif what == 1:
        model["vocab"] = dict.fromkeys(model["vocab"], 0)
    elif what == 2:
        model["merges"] = [["a", numbers.choice(("b", "zzz", ""))]] * numbers.choice((1, 50_000))
    elif what == 3:
        model |= {"continuing_subword_prefix": "x" * 1000, "end_of_word_suffix": "</w>", "dropout": 0.5}
    elif what == 4:
        pairs = [[piece, numbers.choice((0, -1.0, 1e300))] for piece in model["vocab"]]
        unknown = numbers.choice((None, 0, 10**6))
        document["model"] = {"type": "Unigram", "unk_id": unknown, "vocab": pairs, "byte_fallback": False}
        document["decoder"] = {
            "type": "Metaspace",
            "replacement": "▁",
            "prepend_scheme": "always",
            "split": True,
        }
    elif what == 5:
        document["model"] = {
            "type": numbers.choice(("WordLevel", "WordPiece")),
            "vocab": model["vocab"],
            "unk_token": numbers.choice(("a", "[UNK]")),
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": numbers.choice((0, 100, 10**18)),
        }
    elif what == 6:
        token = "\N{LATIN SMALL LETTER E}" * numbers.choice((8192, 8193, 50_000, 8_000_000))
        model["vocab"] |= {token: len(model["vocab"])}
    else:
        model["vocab"] = {f"{number:x}": number for number in range(numbers.choice((300, 60_000)))}
        model["merges"] = []


def _added(numbers: random.Random, document: dict[str, Any]) -> None:
    sample = document["added_tokens"][0]
    what = numbers.randrange(4)
    if what == 0:
        sample["content"] = numbers.choice(TEXTS)
    elif what == 1:
        sample["id"] = numbers.choice((0, 2**31, 2**32 - 1))
    elif what == 2:
        sample |= {
            "content": numbers.choice((" ", "e", "")),
            "lstrip": True,
            "rstrip": True,
            "normalized": True,
        }
    else:
        count = numbers.choice((100, 20_000, 90_000))
        document["added_tokens"] = [{**sample, "id": 300 + at, "content": f"<{at}>"} for at in range(count)]


def _maps(numbers: random.Random, document: dict[str, Any]) -> None:
    broken = ("", "AAAA", "/////wAAAAA=", "CAAAAP////8A/wD//w==", "====", "AAAAAAAAAAAAAAAAAA==")
    step = {"type": "Precompiled", "precompiled_charsmap": numbers.choice(broken)}
    if numbers.random() < 0.6:
        content = b"e" * numbers.choice((1, 8, 30, 64, 65, 300_000, 3_000_000))
        content = numbers.choice((content, content + b"\0x", b"x\0" + content, b"\0" * 1_000_000))
        step["precompiled_charsmap"] = base64.b64encode(specimens.character_map(content)).decode()
    steps = [step] * numbers.choice((1, 1, 2))
    document["normalizer"] = {"type": "Sequence", "normalizers": [*steps, {"type": "NFKD"}]}


def _slow(numbers: random.Random, document: dict[str, Any]) -> None:
    """Added tokens that the file's own normalizer takes its time for, from nothing to hours in one call."""
    words, tokens = numbers.choice(((1, 1), (3, 2), (3, 2), (300, 1), (300, 100)))
    slow = specimens.slow_tokenizer_json(words, tokens)
    document |= {key: slow[key] for key in ("added_tokens", "normalizer")}
    pattern = numbers.choice(("(a+)+$", "(a|aa)+$", "(a*)*$", "(?:a+)+c", r"([a-z]+)*\d"))
    document["normalizer"]["pattern"] = {"Regex": pattern}
    if numbers.random() < 0.2:
        document["added_tokens"][-1]["content"] = "a" * numbers.choice((9000, 900_000, 1_100_000))


SLOW = "slow normalizers of added tokens"
"""The one damage that the library hears of before anything else can: the alarm may end the engine."""

TOKENIZERS: tuple[tuple[str, Change], ...] = (
    ("padded without end", _padding),
    ("steps that double a text", _growing),
    ("patterns that never end", _patterns),
    ("steps inside each other", _cycles),
    ("tokens put around a text", _processors),
    ("absurd vocabularies", _vocabulary),
    ("added tokens", _added),
    ("maps of characters", _maps),
    (SLOW, _slow),
)
