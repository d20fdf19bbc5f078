"""Damaged checkpoints: refused with one sentence, or loaded and run, in an engine that lives on."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tests.faults import specimens
from tests.faults.campaign import Campaign
from tests.faults.damage import (
    BYTES,
    TEXTS,
    bomb,
    change_values,
    damage_json,
    damage_safetensors,
    nested,
    written,
)
from tests.faults.gguf_damage import damage_gguf
from tests.faults.warm import WarmEngine

BLOCKS = ("F32", "F16", "Q8_0", "Q4_0", "Q5_1")


@cache
def _shelf() -> Path:
    """Sound specimens, made once; copied for every case."""
    shelf = Path(tempfile.mkdtemp(prefix="chatterm-specimens-"))
    specimens.folder(shelf / "folder")
    specimens.folder(shelf / "sharded", sharded=True)
    for blocks in BLOCKS:
        specimens.gguf_file(shelf / f"{blocks}.gguf", blocks=blocks)
    import atexit

    atexit.register(shutil.rmtree, shelf, ignore_errors=True)
    return shelf


ENGINE = WarmEngine(lambda: _shelf() / "folder")


def _copy(name: str, place: Path) -> Path:
    target = place / f"model{Path(name).suffix}"
    source = _shelf() / name
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
    return target


# --- one way each: damage a specimen in a folder, and say where it is and what was done -------------------


def _gguf(numbers: random.Random, place: Path) -> tuple[Path, str]:
    path = _copy(f"{numbers.choice(BLOCKS)}.gguf", place)
    return path, f"GGUF: {damage_gguf(numbers, path)}"


def _safetensors(numbers: random.Random, place: Path) -> tuple[Path, str]:
    folder = _copy("folder", place)
    return folder, f"safetensors: {damage_safetensors(numbers, folder / 'model.safetensors')}"


def _json_file(name: str) -> Callable[[random.Random, Path], tuple[Path, str]]:
    def damage(numbers: random.Random, place: Path) -> tuple[Path, str]:
        folder = _copy("folder", place)
        if name == "tokenizer_config.json":
            (folder / "chat_template.jinja").unlink()
        return folder, f"{name}: {damage_json(numbers, folder / name)}"

    return damage


def _tokenizer(numbers: random.Random, place: Path) -> tuple[Path, str]:
    """Steps that no tokenizer takes."""
    folder = _copy("folder", place)
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text("utf-8"))
    what, change = numbers.choice(_TOKENIZERS)
    change(numbers, document)
    path.write_bytes(written(numbers, document))
    return folder, f"tokenizer.json: {what}"


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
    what = numbers.randrange(7)
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
    text = numbers.choice(
        ("", "AAAA", "/////wAAAAA=", "CAAAAP////8A/wD//w==", "====", "AAAAAAAAAAAAAAAAAA==")
    )
    document["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": text}


_TOKENIZERS: tuple[tuple[str, Callable[[random.Random, dict[str, Any]], None]], ...] = (
    ("padded without end", _padding),
    ("steps that double a text", _growing),
    ("patterns that never end", _patterns),
    ("steps inside each other", _cycles),
    ("tokens put around a text", _processors),
    ("absurd vocabularies", _vocabulary),
    ("added tokens", _added),
    ("maps of characters", _maps),
)


def _sentencepiece(numbers: random.Random, place: Path) -> tuple[Path, str]:
    folder = _copy("folder", place)
    (folder / "tokenizer.json").unlink()
    data = specimens.sentencepiece_model(
        numbers.choice((b"", b"\xff\xff\xff\xff\0\0\0\0", b"\x04\0\0\0\xff\xff\xff\xff")),
        algorithm=numbers.choice((1, 2, 2, 3)),
        odd_score=numbers.choice((-9.0, float("nan"))),
    )
    name = numbers.choice(list(BYTES))
    (folder / "tokenizer.model").write_bytes(BYTES[name](numbers, data) if numbers.random() < 0.9 else data)
    return folder, f"tokenizer.model: {name}"


def _merges(numbers: random.Random, place: Path) -> tuple[Path, str]:
    folder = _copy("folder", place)
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(
        json.dumps({piece: at for at, piece in enumerate(specimens.PIECES)}), "utf-8"
    )
    (folder / "merges.txt").write_text("\n".join(("#version: 0.2", *specimens.MERGES)), "utf-8")
    if numbers.random() < 0.5:
        return folder, f"vocab.json: {damage_json(numbers, folder / 'vocab.json')}"
    name = numbers.choice(list(BYTES))
    path = folder / "merges.txt"
    path.write_bytes(BYTES[name](numbers, path.read_bytes()) * numbers.choice((1, 1, 1, 3000)))
    return folder, f"merges.txt: {name}"


def _template(numbers: random.Random, place: Path) -> tuple[Path, str]:
    folder = _copy("folder", place)
    path = folder / "chat_template.jinja"
    name = numbers.choice((*BYTES, "signs"))
    if name != "signs":
        path.write_bytes(BYTES[name](numbers, path.read_bytes()))
        return folder, f"chat_template.jinja: {name}"
    text = path.read_text("utf-8")
    for _ in range(numbers.choice((1, 3, 10))):
        at = numbers.randrange(len(text))
        sign = numbers.choice(("{{", "}}", "{%", "%}", "(", ")", "'", "|", "~", "{#", "[", "]", *TEXTS))
        text = text[:at] + sign * numbers.choice((1, 1, 30, 3000)) + text[at:]
    path.write_text(text, "utf-8", errors="surrogatepass")
    return folder, f"chat_template.jinja: {name}"


def _index(numbers: random.Random, place: Path) -> tuple[Path, str]:
    folder = _copy("sharded", place)
    path = folder / "model.safetensors.index.json"
    if numbers.random() < 0.5:
        return folder, f"model.safetensors.index.json: {damage_json(numbers, path)}"
    document = json.loads(path.read_text("utf-8"))
    names = document["weight_map"]
    for name in numbers.sample(list(names), numbers.choice((1, 3))):
        names[name] = numbers.choice(
            (*TEXTS, "../model/config.json", "config.json", "/dev/zero", "model.safetensors")
        )
    if numbers.random() < 0.2:
        names |= {
            f"t{number}": f"model-{number}.safetensors" for number in range(numbers.choice((500, 5000)))
        }
    path.write_bytes(written(numbers, document))
    return folder, "model.safetensors.index.json: names that lead out"


def _links(numbers: random.Random, place: Path) -> tuple[Path, str]:
    """Files of the folder are links: in circles, to nowhere, out of the folder, to what never ends."""
    folder = _copy("sharded", place)
    outside = place / "outside"
    outside.mkdir()
    file = numbers.choice(sorted(folder.iterdir()))
    kept = outside / file.name
    file.rename(kept)
    file.symlink_to(
        numbers.choice((kept, file, "nowhere", "/dev/zero", "/etc/passwd", "..", Path("..") / "outside"))
    )
    if numbers.random() < 0.1:
        file.unlink()
        os.mkfifo(file)
    return folder, "links"


def _bomb(numbers: random.Random, place: Path) -> tuple[Path, str]:
    folder = _copy("sharded", place)
    name = numbers.choice(
        ("config.json", "tokenizer.json", "model.safetensors.index.json", "generation_config.json")
    )
    bomb(numbers, folder / name)
    return folder, "repetition"


def _deep(numbers: random.Random, place: Path) -> tuple[Path, str]:
    folder = _copy("folder", place)
    path = folder / numbers.choice(("config.json", "tokenizer_config.json", "generation_config.json"))
    document = json.loads(path.read_text("utf-8"))
    document[numbers.choice(list(document))] = nested(numbers.choice((50, 300)), numbers.choice((list, dict)))
    change_values(numbers, document)
    path.write_bytes(written(numbers, document))
    return folder, "deep nesting"


WAYS: tuple[tuple[int, Callable[[random.Random, Path], tuple[Path, str]]], ...] = (
    (26, _gguf),
    (22, _safetensors),
    (14, _json_file("config.json")),
    (7, _json_file("tokenizer.json")),
    (10, _tokenizer),
    (4, _json_file("tokenizer_config.json")),
    (4, _json_file("generation_config.json")),
    (2, _json_file("special_tokens_map.json")),
    (2, _json_file("added_tokens.json")),
    (5, _sentencepiece),
    (3, _merges),
    (5, _template),
    (5, _index),
    (3, _links),
    (2, _deep),
    (0.3, _bomb),
)


def case(numbers: random.Random, place: Path) -> str:
    """One damaged checkpoint, described, loaded and run."""
    (way,) = numbers.choices([way for _, way in WAYS], [weight for weight, _ in WAYS])
    path, what = way(numbers, place)
    verdict = ENGINE.look_at(path)
    shutil.rmtree(place)
    return f"{what.partition(':')[0]}, {'loads and runs' if verdict.refusal is None else 'refused'}"


CAMPAIGN = Campaign(
    "checkpoints",
    "A damaged checkpoint is refused with one sentence, or loads and runs, in under 5 seconds and 1 GB; the "
    "engine lives on.",
    case,
    short=150,
    long=10_000,
)
