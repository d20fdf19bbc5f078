"""Beginnings, named tokens and added tokens of folders, each as transformers has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.processors import (
    BertProcessing,
    ByteLevel,
    RobertaProcessing,
    Sequence,
    TemplateProcessing,
)

from chatterm.checkpoint.describe import describe
from chatterm.checkpoint.tokenizer import tokenizer_from_folder
from chatterm.checkpoint.tokenizer.pieces import BYTE_OF
from chatterm.errors import UserError
from tests.faults import specimens

NAMES = ["<s>", "</s>", "<|im_end|>", "<x>"]
WORDS = [*sorted(BYTE_OF), "en", "end"]
TEXT = "end a zebra yak"


def template(single: str) -> TemplateProcessing:
    return TemplateProcessing(
        single=single, pair=f"{single} $B", special_tokens=[(name, NAMES.index(name)) for name in NAMES]
    )


PROCESSORS = {
    "none": None,
    "bytes": ByteLevel(trim_offsets=False),
    "nothing around": template("$A"),
    "a beginning": template("<s> $A"),
    "both": template("<s> $A </s>"),
    "an end": template("$A </s>"),
    "another": template("<x> $A"),
    "two": template("<s> <x> $A"),
    "in a sequence": Sequence([ByteLevel(trim_offsets=False), template("<s> $A")]),
    "roberta": RobertaProcessing(("</s>", 1), ("<s>", 0)),
    "bert": BertProcessing(("</s>", 1), ("<s>", 0)),
}


def backend(added: list[str] = NAMES) -> Tokenizer:
    vocabulary = {name: index for index, name in enumerate([*NAMES, *WORDS])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[("e", "n"), ("en", "d")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(added)
    return made


def write(folder: Path, made: Tokenizer | None, config: dict[str, Any], **files: Any) -> None:
    if made is not None:
        made.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", **config}
    for name, content in {"tokenizer_config": config, "config": {"model_type": "llama"}, **files}.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


def theirs(folder: Path, kind: Any = transformers.PreTrainedTokenizerFast) -> Any:
    return kind.from_pretrained(folder)


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("bos", [{}, {"bos_token": "<s>"}])
@pytest.mark.parametrize("flag", [None, True, False])
def test_a_text_begins_as_in_transformers(
    name: str, bos: dict[str, str], flag: bool | None, tmp_path: Path
) -> None:
    made = backend()
    if PROCESSORS[name] is not None:
        made.post_processor = PROCESSORS[name]
    write(tmp_path, made, {**bos, **({} if flag is None else {"add_bos_token": flag})})
    expected = theirs(tmp_path)(TEXT).input_ids
    after = 1 if expected[-1] == 1 else 0  # an end is not written: the text goes on
    tokenizer = tokenizer_from_folder(tmp_path)
    assert tokenizer.encode(TEXT, add_bos=True) == expected[: len(expected) - after]
    assert tokenizer.adds_bos == (expected[0] < len(NAMES))
    said = flag is not None and flag != tokenizer.adds_bos
    assert bool(tokenizer.notices) == said
    assert not said or "as in transformers" in tokenizer.notices[0]


def test_what_the_template_wrote_is_not_written_again(tmp_path: Path) -> None:
    made = backend()
    made.post_processor = PROCESSORS["two"]
    write(tmp_path, made, {})
    tokenizer = tokenizer_from_folder(tmp_path)
    assert tokenizer.begins == (0, 3)
    assert tokenizer.encode("<s><x>a", special=True, add_bos=True)[:3] == [0, 3, 4 + WORDS.index("a")]
    assert tokenizer.encode("", add_bos=True) == [0, 3]


@pytest.mark.parametrize("flag", [None, True, False])
def test_two_files_go_by_the_flag(flag: bool | None, tmp_path: Path) -> None:
    config = {"tokenizer_class": "GPT2Tokenizer", "bos_token": "<s>"}
    write(tmp_path, None, config | ({} if flag is None else {"add_bos_token": flag}))
    vocabulary = {name: index for index, name in enumerate([*NAMES, *WORDS])}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_text("#version: 0.2\ne n\nen d\n")
    expected = theirs(tmp_path, transformers.GPT2Tokenizer)(TEXT).input_ids
    assert tokenizer_from_folder(tmp_path).encode(TEXT, add_bos=True) == expected


LISTED = [
    "zebra",
    {"__type": "AddedToken", "content": "yak", "special": True, "lstrip": False, "rstrip": False,
     "normalized": False, "single_word": False},
]  # fmt: skip
NAMED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a list": ({"extra_special_tokens": LISTED}, {}),
    "its older name": ({"additional_special_tokens": LISTED}, {}),
    "a mapping": ({"extra_special_tokens": {"boi": "<x>", "image_token": "zebra"}}, {}),
    "as it is saved": ({"boi": "<x>", "model_specific_special_tokens": {"boi": "<x>"}}, {}),
    "keys of its own": ({"image_token": "<x>", "audio_token": LISTED[1], "boi": "<x>"}, {}),
    "both": ({"extra_special_tokens": {"boi": "<x>"}, "additional_special_tokens": ["zebra"]}, {}),
    "the map": ({"pad_token": "<s>"}, {"pad_token": "<x>", "image_token": "zebra"}),
    "the map, as mappings": ({}, {"pad_token": {"content": "<x>", "lstrip": True}, "unk_token": "<s>"}),
    "a mapping in the map": ({}, {"extra_special_tokens": {"boi": "<x>"}}),
    "a token that is missing": ({"pad_token": "[PAD]", "mask_token": None}, {}),
}


@pytest.mark.parametrize("name", NAMED)
def test_tokens_are_named_as_in_transformers(name: str, tmp_path: Path) -> None:
    config, mapped = NAMED[name]
    write(tmp_path, backend(), config, **({"special_tokens_map": mapped} if mapped else {}))
    other = theirs(tmp_path)
    tokenizer = tokenizer_from_folder(tmp_path, rows=1000)
    assert tokenizer.names == other.special_tokens_map
    assert tokenizer.vocabulary == len(other)
    for text in (TEXT, "<x>a[PAD]b"):
        expected = other(text, add_special_tokens=False).input_ids
        assert tokenizer.encode(text, special=True) == expected
    assert all(tokenizer.is_special(token) for token in other.all_special_ids)


def test_the_map_is_only_asked_for_what_a_newer_configuration_does_not_say(tmp_path: Path) -> None:
    config = {"pad_token": "<s>", "added_tokens_decoder": {"3": {"content": "<x>", "special": True}}}
    write(tmp_path, backend(), config, special_tokens_map={"pad_token": "<x>"})
    assert tokenizer_from_folder(tmp_path).names["pad_token"] == theirs(tmp_path).pad_token == "<s>"


class TestRows:
    """Tokens that the embedding has no row for."""

    COUNT = len(NAMES) + len(WORDS)

    @pytest.mark.parametrize("special", [False, True])
    def test_added_tokens_beyond_them_are_text(self, special: bool, tmp_path: Path) -> None:
        made = backend()
        write(tmp_path, made, {})
        plain = tokenizer_from_folder(tmp_path).encode(TEXT, special=True)
        made.add_tokens([AddedToken("zebra", special=special), AddedToken("<|yak|>", special=special)])
        write(tmp_path, made, {})
        tokenizer = tokenizer_from_folder(tmp_path, rows=self.COUNT)
        assert tokenizer.encode(TEXT, special=True) == plain
        assert max(tokenizer.encode("<|yak|>", special=True)) < self.COUNT == tokenizer.vocabulary
        assert tokenizer.notices == (
            "2 of its tokens (“zebra”, “<|yak|>”) have no row in the embedding, so they are read as text.",
        )
        assert tokenizer_from_folder(tmp_path, rows=self.COUNT + 2).notices == ()

    def test_those_that_have_a_row_stay(self, tmp_path: Path) -> None:
        made = backend()
        made.add_tokens(["zebra", "yak"])
        write(tmp_path, made, {})
        expected = theirs(tmp_path)("zebra yak", add_special_tokens=False).input_ids
        found = tokenizer_from_folder(tmp_path, rows=self.COUNT + 1).encode("zebra yak")
        assert found[:2] == expected[:2]
        assert max(found) == self.COUNT

    def test_words_beyond_them_are_cut_on(self, tmp_path: Path) -> None:
        write(tmp_path, backend(), {})
        tokenizer = tokenizer_from_folder(tmp_path, rows=self.COUNT - 1)
        assert tokenizer.encode("end") == [self.COUNT - 2, 4 + WORDS.index("d")]

    def test_what_only_the_configuration_adds_is_left_out_without_a_word(self, tmp_path: Path) -> None:
        write(tmp_path, backend(), {"pad_token": "[PAD]", "extra_special_tokens": ["zebra"]})
        tokenizer = tokenizer_from_folder(tmp_path, rows=self.COUNT)
        assert tokenizer.vocabulary == self.COUNT
        assert tokenizer.names["pad_token"] == "[PAD]"
        assert tokenizer.notices == ()

    def test_a_beginning_or_an_end_beyond_them_is_none(self, tmp_path: Path) -> None:
        made = backend()
        made.add_special_tokens(["<late>"])
        made.post_processor = TemplateProcessing(single="<late> $A", special_tokens=[("<late>", self.COUNT)])
        write(tmp_path, made, {"eos_token": "<late>", "bos_token": "<late>"})
        tokenizer = tokenizer_from_folder(tmp_path, rows=self.COUNT)
        assert not tokenizer.adds_bos
        assert tokenizer.bos_id is None
        assert max(tokenizer.end_ids) < self.COUNT

    def test_a_unigram_vocabulary_is_cut_short(self, tmp_path: Path) -> None:
        scored = [("<unk>", 0.0), ("▁", -2.0), ("a", -3.0), ("b", -3.0), ("ab", -1.0)]
        made = Tokenizer(models.Unigram(vocab=scored, unk_id=0))
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.decoder = decoders.Metaspace()
        write(tmp_path, made, {})
        assert tokenizer_from_folder(tmp_path).encode("ab") == [1, 4]
        assert tokenizer_from_folder(tmp_path, rows=4).encode("ab") == [1, 2, 3]
        with pytest.raises(UserError, match="that the model has no place for"):
            tokenizer_from_folder(tmp_path, rows=0)


@pytest.mark.parametrize("stated", [False, True])
def test_a_marker_that_was_never_added_is_one_all_the_same(stated: bool, tmp_path: Path) -> None:
    """In the vocabulary only; llama.cpp knows it by its name, or `generation_config.json` states it."""
    files = {"generation_config": {"eos_token_id": [1, 3, 4 + WORDS.index("!")]}} if stated else {}
    write(tmp_path, backend(["<s>", "</s>"]), {}, **files)
    tokenizer = tokenizer_from_folder(tmp_path)
    assert tokenizer.encode("a<|im_end|>", special=True)[1:] == [2]
    assert 2 not in tokenizer.encode("a<|im_end|>")
    assert {1, 2} <= tokenizer.end_ids
    assert tokenizer.is_special(3) == stated
    assert tokenizer.decode(tokenizer.encode("a!")) == "a!"


def test_a_description_says_where_texts_begin_and_replies_end(tmp_path: Path) -> None:
    folder = specimens.folder(tmp_path / "model")
    config = specimens.tokenizer_config() | {"add_bos_token": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text(
        "{{ sot_token }}{% for m in messages %}{{ m.content }}{% endfor %}"
    )
    _, details = describe(folder)
    assert details["begins_with"] == "<|im_start|>"
    assert details["ends_with"] == "<|im_end|>"
    assert details["chat_template"] == "chat_template.jinja"
    notes = str(details["notes"])
    assert notes.startswith("tokenizer_config.json says that texts begin without a beginning token")
    assert "writes sot_token, which the checkpoint does not name" in notes
    (folder / "tokenizer.json").unlink()
    assert "has no tokenizer" in str(describe(folder)[1]["notes"])
