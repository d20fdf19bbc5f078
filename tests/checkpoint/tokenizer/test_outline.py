"""What a `tokenizer.json` may ask of the library: hostile ones are refused before they end the process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer as Backend

from chatterm.checkpoint.open import open_checkpoint
from chatterm.checkpoint.tokenizer import load_tokenizer, tokenizer_from_folder
from chatterm.checkpoint.tokenizer.merges import merges_from_scores
from chatterm.checkpoint.tokenizer.outline import broken_tokenizer, check_character_map, check_outline
from chatterm.errors import UserError
from tests.faults import specimens


def load(tmp_path: Path, text: str = "hello world", **changes: Any) -> list[int]:
    folder = specimens.folder(tmp_path / "model")
    document = specimens.tokenizer_json() | changes
    (folder / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    return load_tokenizer(open_checkpoint(folder)).encode(text)


def replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


PADDING = {"direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "!"}


def test_padding_and_truncation_are_never_done(tmp_path: Path) -> None:
    plain = load(tmp_path, padding=None, truncation=None)
    endless = PADDING | {"strategy": {"Fixed": 10**11}, "pad_to_multiple_of": 10**12}
    short = {"direction": "Right", "max_length": 1, "strategy": "OnlySecond", "stride": 0}
    assert load(tmp_path, padding=endless, truncation=short) == plain


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"normalizer": {"type": "Sequence", "normalizers": [replace({"String": "e"}, "ee")] * 40}},
            "make texts longer without end",
        ),
        ({"normalizer": replace({"String": ""}, "a")}, "looks for nothing at all"),
        ({"normalizer": {"type": "Prepend", "prepend": "a" * 1000}}, "a long text in front"),
        (
            {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [split("a")] * 20_000}},
            "make texts longer without end",
        ),
        ({"pre_tokenizer": {"type": "FixedLength", "length": 0}}, "pieces of no length"),
        (
            {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "/////wAAAAA="}},
            "map of characters",
        ),
        ({"pre_tokenizer": split("(((")}, "not readable as a tokenizer"),
        ({"normalizer": {"type": {}}}, "not readable as a tokenizer"),
        ({"added_tokens": [{"content": "x" * 2_000_000}]}, "adds more tokens"),
        ({"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "b"}}, "cannot cut this text"),
    ],
)
def test_what_no_real_tokenizer_asks_for_is_refused(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        load(tmp_path, **changes)


@pytest.mark.parametrize("key", ["normalizer", "pre_tokenizer", "added_tokens", "padding", "post_processor"])
def test_a_key_that_stands_there_twice_hides_nothing(tmp_path: Path, key: str) -> None:
    """The library reads both; what was not looked at took eight gigabytes, or ended the process."""
    folder = specimens.folder(tmp_path / "model")
    document = specimens.tokenizer_json()
    plain = load_tokenizer(open_checkpoint(folder)).encode("hello")
    hidden = {
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": "/////wAAAAA="},
        "pre_tokenizer": {"type": "FixedLength", "length": 0},
        "added_tokens": [{"content": "x" * 2_000_000}],
        "padding": PADDING | {"strategy": {"Fixed": 10**11}, "pad_to_multiple_of": 10**12},
        "post_processor": {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": 5},
    }[key]
    text = json.dumps({key: hidden})[:-1] + ", " + json.dumps(document)[1:]
    (folder / "tokenizer.json").write_text(text, "utf-8")
    assert load_tokenizer(open_checkpoint(folder)).encode("hello") == plain


@pytest.mark.parametrize("missing", ["version", "added_tokens", "normalizer", "post_processor", "truncation"])
def test_what_is_missing_stays_missing(tmp_path: Path, missing: str) -> None:
    document = {key: value for key, value in specimens.tokenizer_json().items() if key != missing}
    text = json.dumps(document)
    ours, _ = check_outline(text.encode(), "a test")
    theirs = Backend.from_buffer(text.encode())
    assert Backend.from_buffer(ours).encode("hello").ids == theirs.encode("hello").ids
    assert json.loads(ours) == {k: v for k, v in document.items() if k not in ("truncation", "padding")}


def test_a_pattern_that_never_ends_is_given_up(tmp_path: Path) -> None:
    assert load(tmp_path, pre_tokenizer=split("(a+)+$"))
    with pytest.raises(UserError, match=r"cannot cut this text into tokens: .*retry-limit"):
        load(tmp_path, "a" * 41 + "b world", pre_tokenizer=split("(a+)+$"))


def test_tokens_put_around_a_text_again_and_again_are_refused(tmp_path: Path) -> None:
    around = specimens.tokenizer_json()["post_processor"]
    twice = around | {"single": around["single"] + around["single"]}
    with pytest.raises(UserError, match="make texts longer without end"):
        load(tmp_path, post_processor={"type": "Sequence", "processors": [twice] * 40})


def test_an_absurd_number_of_a_token_is_refused(tmp_path: Path) -> None:
    document = specimens.tokenizer_json()
    document["model"]["vocab"]["zz"] = 2**32 - 1
    with pytest.raises(UserError, match="numbers its tokens up to 4294967295"):
        load(tmp_path, **document)


def test_many_added_tokens_are_added_together(tmp_path: Path) -> None:
    folder = specimens.folder(tmp_path / "model")
    path = folder / "tokenizer_config.json"
    config = specimens.tokenizer_config()
    first = specimens.VOCABULARY
    config["added_tokens_decoder"] |= {str(first + at): {"content": f"<x{at}>"} for at in range(3000)}
    config["added_tokens_decoder"][str(first + 9000)] = {"content": "<after a gap>"}
    path.write_text(json.dumps(config), "utf-8")
    tokenizer = tokenizer_from_folder(folder)
    assert tokenizer.id_of("<x2999>") == first + 2999
    assert tokenizer.id_of("<after a gap>") is None


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("added_tokens.json", {"\ud800": specimens.VOCABULARY}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"9": {"content": "\udc00\ud800"}}}),
    ],
)
def test_added_tokens_that_are_no_text(tmp_path: Path, file: str, content: dict[str, object]) -> None:
    folder = specimens.folder(tmp_path / "model")
    (folder / file).write_text(json.dumps(content), "utf-8")
    with pytest.raises(UserError, match="adds tokens that cannot be used"):
        load_tokenizer(open_checkpoint(folder))


@pytest.mark.parametrize(
    "content", [b"\xff\xff\xff\xff\0\0\0\0", b"\x03\0\0\0abcdefgh", b"\0\0\0\0abcd", b"abc"]
)
def test_a_damaged_map_of_characters(content: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        check_character_map(content)


def test_a_panic_of_the_library_is_a_sentence() -> None:
    class PanicException(BaseException):  # what pyo3 raises is called so, and is no Exception
        pass

    with (
        pytest.raises(UserError, match="no tokenizer: index out of bounds"),
        broken_tokenizer("no tokenizer"),
    ):
        raise PanicException("index\nout of bounds.")
    with pytest.raises(KeyboardInterrupt), broken_tokenizer("no tokenizer"):
        raise KeyboardInterrupt


def test_tokens_without_end_make_no_merges() -> None:
    with pytest.raises(UserError, match="more than in any real model"):
        merges_from_scores({"a" * 3_000_000: 0.0, "b" * 3_000_000: 0.0})


@pytest.mark.parametrize("value", [{}, [{}, []], "x", True, -1, 1e300])
def test_what_is_no_end_token_is_passed_over(tmp_path: Path, value: Any) -> None:
    folder = specimens.folder(tmp_path / "model")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": value}))
    ends = load_tokenizer(open_checkpoint(folder)).end_ids
    assert ends == {specimens.PIECES.index("<|im_end|>")}
