"""Tokens longer than any real one: each would go into a reply, and as a candidate over the pipe."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chatterm.checkpoint.open import open_checkpoint
from chatterm.checkpoint.tokenizer import Tokenizer, load_tokenizer
from chatterm.checkpoint.tokenizer.outline import MAX_NODES, MAX_TOKEN, MAX_TOKENS, check_tokens
from chatterm.errors import UserError
from tests.faults import specimens

Write = Callable[[Path, str], Path]


def in_json(folder: Path, token: str) -> Path:
    document = specimens.tokenizer_json()
    document["model"]["vocab"][token] = specimens.VOCABULARY
    (folder / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    return folder


def in_two_files(folder: Path, token: str) -> Path:
    (folder / "tokenizer.json").unlink()
    pieces = (*specimens.PIECES, token)
    (folder / "vocab.json").write_text(json.dumps({piece: at for at, piece in enumerate(pieces)}), "utf-8")
    (folder / "merges.txt").write_text("\n".join(specimens.MERGES), "utf-8")
    return folder


def in_sentencepiece(algorithm: int) -> Write:
    def write(folder: Path, token: str) -> Path:
        (folder / "tokenizer.json").unlink()
        model = specimens.sentencepiece_model(algorithm=algorithm, pieces=(*specimens.PIECES[:250], token))
        (folder / "tokenizer.model").write_bytes(model)
        return folder

    return write


def in_gguf(folder: Path, token: str) -> Path:
    return specimens.gguf_file(folder / "model.gguf", extra=(token,))


def added(folder: Path, token: str) -> Path:
    document = specimens.tokenizer_json()
    sample = document["added_tokens"][0]
    document["added_tokens"].append({**sample, "id": specimens.VOCABULARY, "content": token})
    (folder / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    return folder


def added_beside(folder: Path, token: str) -> Path:
    (folder / "added_tokens.json").write_text(json.dumps({token: specimens.VOCABULARY}), "utf-8")
    return folder


@pytest.mark.parametrize(
    "write",
    [in_json, in_two_files, in_sentencepiece(1), in_sentencepiece(2), in_gguf, added, added_beside],
)
def test_a_token_longer_than_any_real_one_is_refused(tmp_path: Path, write: Write) -> None:
    def load(length: int) -> Tokenizer:
        folder = specimens.folder(tmp_path / str(length))
        checkpoint = open_checkpoint(write(folder, "x" * length))
        shape = replace(checkpoint.architecture, vocabulary=specimens.VOCABULARY + 1)
        return load_tokenizer(replace(checkpoint, architecture=shape))

    assert load(MAX_TOKEN).id_of("x" * MAX_TOKEN) is not None
    with pytest.raises(UserError, match=f"holds a token of {MAX_TOKEN + 1} characters"):
        load(MAX_TOKEN + 1)


def unigram(folder: Path, tokens: list[str]) -> Path:
    document = specimens.tokenizer_json()
    vocabulary = [[piece, -1.0] for piece in (*specimens.PIECES, *tokens)]
    document["model"] = {"type": "Unigram", "unk_id": 0, "vocab": vocabulary, "byte_fallback": False}
    (folder / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    return folder


def test_a_unigram_vocabulary_whose_tree_takes_gigabytes(tmp_path: Path) -> None:
    """Each node takes 340 bytes, and a tree millions of nodes deep ends the process when it is freed."""
    folder = specimens.folder(tmp_path / "model")
    long = [f"{at:03}" + "x" * 8000 for at in range(320)]
    with pytest.raises(UserError, match=r"tokenizer\.json holds a token of 50000 characters"):
        load_tokenizer(open_checkpoint(unigram(folder, ["x" * 50_000])))
    with pytest.raises(UserError, match=r"tokenizer\.json has longer tokens than any real vocabulary"):
        load_tokenizer(open_checkpoint(unigram(folder, long)))
    shared = ["x" * length for length in range(5, 2400)]
    assert sum(map(len, shared)) > MAX_NODES
    assert load_tokenizer(open_checkpoint(unigram(folder, shared))).encode("x" * 100) != []
    (folder / "tokenizer.json").unlink()
    model = specimens.sentencepiece_model(algorithm=1, pieces=(*specimens.PIECES[:250], *long))
    (folder / "tokenizer.model").write_bytes(model)
    with pytest.raises(UserError, match=r"tokenizer\.model has longer tokens than any real vocabulary"):
        load_tokenizer(open_checkpoint(folder))


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer.model"])
def test_the_library_is_not_given_what_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It would take the memory first."""
    folder = specimens.folder(tmp_path / "model")
    token = "x" * (MAX_TOKEN + 1)
    write = in_json if name == "tokenizer.json" else in_sentencepiece(1)
    for module in ("folder", "sentencepiece"):
        monkeypatch.delattr(f"chatterm.checkpoint.tokenizer.{module}.tokenizers.Tokenizer", raising=False)
    with pytest.raises(UserError, match="holds a token of 8193 characters"):
        load_tokenizer(open_checkpoint(write(folder, token)))


def test_more_tokens_than_any_real_vocabulary() -> None:
    with pytest.raises(UserError, match="a test has more tokens than any real vocabulary"):
        check_tokens(["x"] * (MAX_TOKENS + 1), "a test")


@pytest.mark.parametrize(
    "name", ["gpt-2", "llama-bpe", "llama-spm", "qwen2", "gemma-4", "command-r", "falcon"]
)
def test_real_tokens_are_far_shorter(
    vocabulary_metadata: Callable[[str], Mapping[str, Any]], name: str
) -> None:
    assert 8 * max(map(len, vocabulary_metadata(name)["tokenizer.ggml.tokens"])) <= MAX_TOKEN
