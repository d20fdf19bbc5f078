"""Damaged checkpoints: refused with one sentence, or loaded and run, in an engine that lives on."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.faults import specimens
from tests.faults.campaign import Campaign
from tests.faults.damage import (
    BYTES,
    NUMBERS,
    TEXTS,
    bomb,
    change_values,
    damage_json,
    damage_safetensors,
    nested,
    written,
)
from tests.faults.gguf_damage import damage_gguf
from tests.faults.tokenizers import SLOW, TOKENIZERS
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


def _rotary(numbers: random.Random, place: Path) -> tuple[Path, str]:
    """Scalings of rotary embeddings with numbers that no model has, alone sound or not."""
    folder = _copy("folder", place)
    path = folder / "config.json"
    document = json.loads(path.read_text("utf-8"))
    half = specimens.WIDTH // specimens.HEADS // 2
    odd = (*NUMBERS, math.e, -10.0, 10.0, 1e-30, 1e30, 5e-324)
    scaling = {
        "rope_type": numbers.choice(("yarn", "yarn", "yarn", "longrope", "llama3", "linear", "dynamic"))
    }
    scaling |= {"factor": numbers.choice((4.0, math.e)), "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    scaling |= {key: [numbers.choice((1.0, *odd))] * half for key in ("short_factor", "long_factor")}
    keys = (
        "mscale",
        "mscale_all_dim",
        "attention_factor",
        "beta_fast",
        "beta_slow",
        "factor",
        "low_freq_factor",
    )
    scaling |= {key: numbers.choice(odd) for key in numbers.sample(keys, numbers.choice((1, 2, 2)))}
    document["rope_scaling"] = scaling
    path.write_bytes(written(numbers, document))
    return folder, "config.json: rotary scaling"


def _tokenizer(numbers: random.Random, place: Path) -> tuple[Path, str]:
    """Steps that no tokenizer takes."""
    folder = _copy("folder", place)
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text("utf-8"))
    what, change = numbers.choice(TOKENIZERS)
    change(numbers, document)
    path.write_bytes(written(numbers, document))
    if numbers.random() < 0.2:  # what it makes of a long text
        (folder / "chat_template.jinja").write_text("{{ 'e' * 130000 }}")
    return folder, f"tokenizer.json: {what}"


def _sentencepiece(numbers: random.Random, place: Path) -> tuple[Path, str]:
    folder = _copy("folder", place)
    (folder / "tokenizer.json").unlink()
    exploding = specimens.character_map(b"e" * numbers.choice((3, 64, 65, 900_000)))
    token = "e" * numbers.choice((8192, 8193, 5_000_000))
    data = specimens.sentencepiece_model(
        numbers.choice((b"", b"\xff\xff\xff\xff\0\0\0\0", b"\x04\0\0\0\xff\xff\xff\xff", exploding)),
        algorithm=numbers.choice((1, 2, 2, 3)),
        odd_score=numbers.choice((-9.0, float("nan"))),
        pieces=(*specimens.PIECES[:250], *numbers.choice(((), (), (token,)))),
    )
    name = numbers.choice(list(BYTES))
    (folder / "tokenizer.model").write_bytes(BYTES[name](numbers, data) if numbers.random() < 0.7 else data)
    return folder, f"tokenizer.model: {name}"


def _merges(numbers: random.Random, place: Path) -> tuple[Path, str]:
    folder = _copy("folder", place)
    (folder / "tokenizer.json").unlink()
    pieces = (*specimens.PIECES, *numbers.choice(((), (), ("e" * numbers.choice((8193, 8_000_000)),))))
    (folder / "vocab.json").write_text(json.dumps({piece: at for at, piece in enumerate(pieces)}), "utf-8")
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
    (3, _rotary),
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
    verdict = ENGINE.look_at(path, alarmed=what.endswith(SLOW))
    shutil.rmtree(place)
    outcome = "loads and runs" if verdict.refusal is None else "refused"
    return f"{what.partition(':')[0]}, {'ended by the alarm' if verdict.ended else outcome}"


CAMPAIGN = Campaign(
    "checkpoints",
    "A damaged checkpoint is refused with one sentence, or loads and runs, in under 5 seconds and 1 GB; the "
    "engine lives on, or its alarm ends it and the sentence says so.",
    case,
    short=90,
    long=10_000,
)
