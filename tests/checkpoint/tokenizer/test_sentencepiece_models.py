"""`tokenizer.model` files against the sentencepiece library itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatterm.checkpoint.tokenizer import Tokenizer, tokenizer_from_folder
from chatterm.errors import UserError

RAW = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
MODELS = {
    "bpe": {"model_type": "bpe", **RAW},
    "bpe without a space before": {"model_type": "bpe", "add_dummy_prefix": False, **RAW},
    "bpe with own symbols": {"model_type": "bpe", "user_defined_symbols": "<turn>,\n\n", **RAW},
    "unigram": {"model_type": "unigram", **RAW},
    "unigram, normalised": {"model_type": "unigram", "normalization_rule_name": "nmt_nfkc"},
}
few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
texts = st.text(st.characters(codec="utf-8", exclude_characters="▁"), max_size=40) | st.lists(
    st.sampled_from(
        ["The ", "best", " thing", "  ", "\n", "\n\n", "苹果", "é", "🎉", "12", "<turn>", "</s>", "<s>"]
    ),
    max_size=10,
).map("".join)

Both = tuple[Tokenizer, sentencepiece.SentencePieceProcessor]


@pytest.fixture(scope="session")
def both(train_sentencepiece: Callable[..., Path]) -> Callable[[str], Both]:
    @cache
    def load(name: str) -> Both:
        path = train_sentencepiece(**MODELS[name])
        return tokenizer_from_folder(path.parent), sentencepiece.SentencePieceProcessor(model_file=str(path))

    return load


@few
@given(name=st.sampled_from(sorted(MODELS)), text=texts)
def test_ids_are_those_of_sentencepiece(both: Callable[[str], Both], name: str, text: str) -> None:
    ours, theirs = both(name)
    if name == "bpe with own symbols" and text.startswith(("<turn>", "\n\n")):
        return  # sentencepiece puts a space before a first symbol, transformers does not
    assert ours.encode(text) == theirs.encode(text)


@few
@given(name=st.sampled_from([name for name in sorted(MODELS) if name != "unigram, normalised"]), text=texts)
def test_decoding_gives_the_text_back(both: Callable[[str], Both], name: str, text: str) -> None:
    ours, _ = both(name)
    assert ours.decode(ours.encode(text)) == text
    spans = ours.encode_spans(text)
    assert all(0 <= span.start <= span.end <= len(text) for span in spans)


def test_what_it_knows_of_its_tokens(both: Callable[[str], Both]) -> None:
    ours, _ = both("bpe")
    assert ours.names["bos_token"] == "<s>"
    assert (ours.bos_id, ours.adds_bos) == (1, True)
    assert ours.end_ids == {2}
    assert ours.encode("Hi", add_bos=True)[0] == 1
    assert ours.encode("<s>Hi", special=True, add_bos=True).count(1) == 1
    assert ours.encode("<s>Hi").count(1) == 0
    assert ours.token_bytes(ours.encode("€")[-1]) == b"\xac"


def test_a_tokenizer_json_goes_first(train_sentencepiece: Callable[..., Path], tmp_path: Path) -> None:
    model = train_sentencepiece(**MODELS["bpe"])
    (tmp_path / "tokenizer.model").write_bytes(model.read_bytes())
    assert tokenizer_from_folder(tmp_path).source == "tokenizer.model"
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=r"tokenizer\.json is not readable"):
        tokenizer_from_folder(tmp_path)


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "words"])
def test_damage_is_a_sentence(damage: str, train_sentencepiece: Callable[..., Path], tmp_path: Path) -> None:
    whole = train_sentencepiece(**MODELS["bpe"]).read_bytes()
    data = {"empty": b"", "text": b"not a model", "cut": whole[: len(whole) // 2 + 1]}.get(damage)
    if data is None:
        data = train_sentencepiece(model_type="word", byte_fallback=False, vocab_size=60).read_bytes()
    (tmp_path / "tokenizer.model").write_bytes(data)
    with pytest.raises(UserError, match=r"tokenizer\.model"):
        tokenizer_from_folder(tmp_path)


@few
@given(data=st.binary(max_size=80))
def test_any_bytes_make_a_tokenizer_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any-bytes"
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.model").write_bytes(data)
    try:
        tokenizer_from_folder(folder).encode("Hello")
    except UserError as error:
        assert "tokenizer.model" in error.sentence


def test_side_files_add_tokens_and_names(train_sentencepiece: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(train_sentencepiece(**MODELS["bpe"]).read_bytes())
    count = 370
    decoder = {
        str(count): {"content": "<|im_start|>", "special": True},
        str(count + 1): {"content": "<|im_end|>", "special": False},
        str(count + 2): {"content": "<tool>", "special": False},
    }
    config = {"added_tokens_decoder": decoder, "eos_token": {"content": "<|im_end|>"}, "add_bos_token": False}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 7]}))
    tokenizer = tokenizer_from_folder(tmp_path)
    assert tokenizer.vocabulary == count + 3
    assert not tokenizer.adds_bos
    assert tokenizer.end_ids == {2, 7, count + 1}
    assert tokenizer.encode("<|im_start|>", special=True) == [count]
    assert count not in tokenizer.encode("<|im_start|>")
    assert tokenizer.is_special(count + 1)
    assert not tokenizer.is_special(count + 2)
    assert tokenizer.encode("<tool>") == [count + 2]
