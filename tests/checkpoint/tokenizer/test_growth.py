"""Steps of a tokenizer that make much of little: seen in the file, and in what they make of a text."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatterm.checkpoint.open import open_checkpoint
from chatterm.checkpoint.tokenizer import Tokenizer, load_tokenizer
from chatterm.checkpoint.tokenizer.growth import MOST_BYTES
from chatterm.checkpoint.tokenizer.outline import MAX_EXPANSION, check_character_map, check_outline
from chatterm.checkpoint.tokenizer.sentencepiece import read_sentencepiece
from chatterm.errors import UserError
from tests.faults import specimens


def step(content: bytes) -> dict[str, Any]:
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(content).decode()}


def load(tmp_path: Path, normalizer: dict[str, Any]) -> Tokenizer:
    folder = specimens.folder(tmp_path / "model")
    document = specimens.tokenizer_json() | {"normalizer": normalizer}
    (folder / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    return load_tokenizer(open_checkpoint(folder))


@pytest.mark.parametrize("end", [b"", b"x\0", b"\0x\0\0"])
def test_a_map_that_makes_a_long_text_of_one_character(tmp_path: Path, end: bytes) -> None:
    text = b"a" * (MAX_EXPANSION + 1)
    for content in (text + b"\0" + end, end + b"\0" + text):
        with pytest.raises(UserError, match="makes a long text of one character"):
            load(tmp_path, step(specimens.character_map(content)))


def test_a_map_in_a_sentencepiece_model(tmp_path: Path) -> None:
    folder = specimens.folder(tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    for length in (3, 65):
        model = specimens.sentencepiece_model(specimens.character_map(b"a" * length))
        (folder / "tokenizer.model").write_bytes(model)
        if length <= MAX_EXPANSION:
            assert load_tokenizer(open_checkpoint(folder)).decode([5]) != ""
        else:
            with pytest.raises(UserError, match="makes a long text of one character"):
                load_tokenizer(open_checkpoint(folder))


def test_maps_larger_than_any_real_one_are_refused() -> None:
    with pytest.raises(ValueError, match="damaged"):
        check_character_map(specimens.character_map(b"a\0" * 3_000_000))


def test_real_maps_pass(train_sentencepiece: Callable[..., Path]) -> None:
    path = train_sentencepiece(model_type="unigram", normalization_rule_name="nmt_nfkc")
    content = read_sentencepiece(path).character_map
    assert check_character_map(content) == 33
    steps: list[dict[str, Any]] = [step(content), {"type": "NFKC"}, {"type": "Lowercase"}]
    steps.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"})
    document = specimens.tokenizer_json() | {"normalizer": {"type": "Sequence", "normalizers": steps}}
    check_outline(json.dumps(document).encode(), "a test")


def test_steps_are_bounded_together(tmp_path: Path) -> None:
    several = {"type": "Sequence", "normalizers": [step(specimens.character_map(b"a" * 60))] * 2}
    with pytest.raises(UserError, match="make texts longer without end"):
        load(tmp_path, several)


def test_a_text_that_becomes_far_longer_is_not_cut(tmp_path: Path) -> None:
    """Each step is one that a real file could have; only the text shows what they make of it."""
    tokenizer = load(tmp_path, step(specimens.character_map(b"a" * 30)))
    few = MOST_BYTES // 100
    assert len(tokenizer.encode("b" * few)) == 30 * few
    with pytest.raises(UserError, match="make the text longer without end"):
        tokenizer.encode("b" * (MOST_BYTES // 20))
    assert len(tokenizer.encode("é" * (MOST_BYTES // 20))) == 2 * (MOST_BYTES // 20)  # not in the map
