"""Tokenizers rebuilt from GGUF metadata against llama.cpp's test vectors and transformers."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers
from transformers.tokenization_utils_base import generate_merges

from chatterm.checkpoint.tokenizer import Tokenizer, tokenizer_from_folder, tokenizer_from_gguf
from chatterm.checkpoint.tokenizer.merges import merges_from_scores
from chatterm.checkpoint.tokenizer.pre_tokenizers import RULES
from chatterm.errors import UserError

WITH_VECTORS = [
    "command-r",
    "deepseek-coder",
    "deepseek-llm",
    "falcon",
    "gemma-4",
    "gpt-2",
    "llama-bpe",
    "llama-spm",
    "mpt",
    "phi-3",
    "qwen2",
    "qwen35",
    "refact",
    "starcoder",
]
texts = st.text(st.characters(codec="utf-8"), max_size=60)
words = st.lists(
    st.sampled_from(
        [
            "Hello",
            " world",
            "'s",
            "12345",
            " 3",
            "\n",
            "\r\n",
            "  ",
            "\t",
            "苹果",
            "。",
            "é",
            "e\u0301",
            "🎉",
            "👩‍🚀",
            "ا",
        ]
    ),
    max_size=12,
).map("".join)
few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", WITH_VECTORS)
def test_ids_are_those_of_the_vectors(
    name: str,
    vectors: Callable[[str], list[tuple[str, list[int]]]],
    vocabulary: Callable[[str], Tokenizer],
) -> None:
    tokenizer = vocabulary(name)
    cases = vectors(name)
    assert len(cases) > 40
    for text, expected in cases:
        if name == "qwen35" and unicodedata.normalize("NFC", text) != text:
            continue  # llama.cpp does not compose characters; the model's tokenizer.json does
        assert tokenizer.encode(text) == expected, text


def _tokens(metadata: Mapping[str, Any]) -> dict[str, int]:
    return {token: index for index, token in enumerate(metadata["tokenizer.ggml.tokens"])}


def _merges(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]


TRANSFORMERS = {
    "gpt-2": transformers.GPT2Tokenizer,
    "qwen2": transformers.Qwen2Tokenizer,
    "mpt": transformers.GPTNeoXTokenizer,
    "command-r": transformers.CohereTokenizer,
}


@pytest.fixture(scope="session", params=sorted(TRANSFORMERS))
def pair(
    request: pytest.FixtureRequest,
    vocabulary_metadata: Callable[[str], Mapping[str, Any]],
    vocabulary: Callable[[str], Tokenizer],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Tokenizer, Tokenizer, Any]:
    """One vocabulary three ways: from GGUF, from the `tokenizer.json` of transformers, in transformers."""
    metadata = vocabulary_metadata(request.param)
    theirs = TRANSFORMERS[request.param](vocab=_tokens(metadata), merges=_merges(metadata))
    control = [
        token
        for token, kind in zip(
            metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"], strict=True
        )
        if kind == 3
    ]
    theirs.add_special_tokens({"additional_special_tokens": control[:20]})
    folder = tmp_path_factory.mktemp(request.param)
    theirs.save_pretrained(folder)
    return vocabulary(request.param), tokenizer_from_folder(folder), theirs


@few
@given(text=texts | words)
def test_gguf_and_tokenizer_json_and_transformers_agree(
    pair: tuple[Tokenizer, Tokenizer, Any], text: str
) -> None:
    rebuilt, from_json, theirs = pair
    expected = theirs.encode(text, add_special_tokens=False)
    assert from_json.encode(text) == expected
    if not _has_user_defined(rebuilt, expected, text):
        assert rebuilt.encode(text) == expected


def _has_user_defined(tokenizer: Tokenizer, ids: list[int], text: str) -> bool:
    """Whether the text holds runs of spaces that GGUF has as added tokens and a bare class has not."""
    return "  " in text and any(tokenizer.piece(id_).strip(" ") == "" for id_ in tokenizer.encode(text))


@pytest.fixture(scope="session")
def default_pair(default_tokenizer: Tokenizer, default_folder: Path) -> tuple[Tokenizer, Tokenizer]:
    """SmolLM2's vocabulary from GGUF and from `tokenizer.json`."""
    return default_tokenizer, tokenizer_from_folder(default_folder)


@few
@given(text=texts | words)
def test_the_default_model_reads_the_same_in_both_forms(
    default_pair: tuple[Tokenizer, Tokenizer], text: str
) -> None:
    rebuilt, from_json = default_pair
    assert rebuilt.encode_spans(text) == from_json.encode_spans(text)
    assert rebuilt.encode(text, special=True) == from_json.encode(text, special=True)


def test_both_forms_of_the_default_model_know_the_same(default_pair: tuple[Tokenizer, Tokenizer]) -> None:
    for tokenizer in default_pair:
        assert tokenizer.vocabulary == 49152
        ends = {tokenizer.piece(id_) for id_ in tokenizer.end_ids}
        assert ends == {"<|im_end|>", "<|endoftext|>", "<reponame>"}
        assert tokenizer.bos_id == 1
        assert not tokenizer.adds_bos


@pytest.mark.parametrize("name", ["llama-spm", "phi-3", "baichuan"])
def test_merges_are_rebuilt_as_transformers_rebuilds_them(
    name: str, vocabulary_metadata: Callable[[str], Mapping[str, Any]]
) -> None:
    metadata = vocabulary_metadata(name)
    names, scores = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.scores"]
    for scale in (1, 0.01):  # coarse scores make ties
        scored = {token: round(score * scale) for token, score in zip(names, scores, strict=True)}
        assert merges_from_scores(scored) == generate_merges(_tokens(metadata), scored)


@given(
    scores=st.dictionaries(
        st.text("ab▁🎉", max_size=5), st.sampled_from([0, 1, -1.5]) | st.floats(-9, 9), max_size=40
    )
)
def test_merges_of_any_scores_are_those_of_transformers(scores: dict[str, float]) -> None:
    ids = {token: index for index, token in enumerate(scores)}
    assert merges_from_scores(scores) == generate_merges(ids, scores)


@few
@given(text=texts | words)
def test_sentencepiece_from_gguf_agrees_with_transformers(
    vocabulary_metadata: Callable[[str], Mapping[str, Any]], vocabulary: Callable[[str], Tokenizer], text: str
) -> None:
    theirs = _llama(vocabulary_metadata("llama-spm"))
    if not text.startswith(
        (" ", "▁")
    ):  # there transformers' class and its older files differ; see the vectors
        assert vocabulary("llama-spm").encode(text) == theirs.encode(text, add_special_tokens=False)


_llamas: dict[int, Any] = {}


def _llama(metadata: Mapping[str, Any]) -> Any:
    if id(metadata) not in _llamas:
        scores = dict(zip(metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.scores"], strict=True))
        skipped = {
            token
            for token, kind in zip(scores, metadata["tokenizer.ggml.token_type"], strict=True)
            if kind != 1
        }
        merges = generate_merges(_tokens(metadata), scores, skip_tokens=skipped)
        _llamas[id(metadata)] = transformers.LlamaTokenizer(vocab=_tokens(metadata), merges=merges)
    return _llamas[id(metadata)]


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_cuts_text_and_loses_nothing(name: str) -> None:
    rule = RULES[name]
    text = "Hello, world's 12345 — 苹果是水果。 e\u0301 naïve\r\n\n  Ça  va?\t🎉👩‍🚀 مرحبا a_b `x` ½²"
    pieces = rule.pre_tokenizer().pre_tokenize_str(text)
    assert len(pieces) > 1
    ends = [end for _, (_, end) in pieces]
    starts = [start for _, (start, _) in pieces]
    assert starts[0] == 0
    assert ends[-1] == len(text)
    assert all(start <= end for start, end in zip(starts[1:], ends[:-1], strict=True))
    if rule.bytes:
        assert "".join(piece for piece, _ in pieces) == "".join(
            piece for piece, _ in pre_tokenizers.ByteLevel(False, use_regex=False).pre_tokenize_str(text)
        )


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("gpt-2", "It's  1234 x", ["It", "'s", "·", "·1234", "·x"]),
        ("smollm", "It's 123", ["It", "'s", "·", "1", "2", "3"]),
        ("llama-bpe", "It'S 1234567", ["It", "'S", "·", "123", "456", "7"]),
        ("qwen2", "It's 123", ["It", "'s", "·", "1", "2", "3"]),
        ("deepseek-v3", "a 1234 !b", ["a", "·", "123", "4", "·!", "b"]),
        ("gpt-4o", "HelloWorld's 1234", ["Hello", "World's", "·", "123", "4"]),
        ("tekken", "HelloWorld 12", ["Hello", "World", "·", "1", "2"]),
        ("falcon", "a: 1234", ["a", ":", "·", "123", "4"]),
        ("kimi-k2", "abc's 1234 x", ["abc's", "·", "123", "4", "·x"]),
        ("afmoe", "1234567", ["1", "234", "567"]),
        ("tiny_aya", "1234567", ["1", "234", "567"]),
        ("superbpe", "x 1234567", ["x·", "1", "234", "567"]),
        ("jais-2", "a     b", ["a", "····", "·b"]),
        ("bloom", "Hi, you (x)", ["Hi", ",", "·you", "·(", "x", ")"]),
        ("exaone-moe", "ab cd 12", ["ab·cd", "·", "1", "2"]),
        ("laguna", "a\n\nb", ["a", "NN", "b"]),
        ("ufakzeka", "It's", ["It", "'s"]),
    ],
)
def test_rules_cut_where_their_models_do(name: str, text: str, expected: list[str]) -> None:
    cut = [
        piece.replace("Ġ", "·").replace("Ċ", "N")
        for piece, _ in RULES[name].pre_tokenizer().pre_tokenize_str(text)
    ]
    assert cut == expected


def test_kimi_keeps_chinese_apart() -> None:
    pieces = RULES["kimi-k2"].pre_tokenizer().pre_tokenize_str("看abc中文x")
    assert [span for _, span in pieces] == [(0, 1), (1, 4), (4, 6), (6, 7)]


class TestRefusals:
    """What cannot be read exactly is not read at all."""

    def test_an_unknown_rule_is_named(self, default_metadata: Mapping[str, Any]) -> None:
        with pytest.raises(UserError, match="'made-up'"):
            tokenizer_from_gguf({**default_metadata, "tokenizer.ggml.pre": "made-up"})

    def test_a_missing_rule_is_not_guessed(
        self, vocabulary_metadata: Callable[[str], Mapping[str, Any]]
    ) -> None:
        with pytest.raises(UserError, match=r"tokenizer\.ggml\.pre is missing"):
            tokenizer_from_gguf(vocabulary_metadata("aquila"))

    def test_a_missing_rule_is_known_where_the_architecture_has_only_one(
        self, vocabulary: Callable[[str], Tokenizer]
    ) -> None:
        assert vocabulary("gpt-neox").encode("Hello world's 123") == vocabulary("mpt").encode(
            "Hello world's 123"
        )

    @pytest.mark.parametrize(("name", "what"), [("bert-bge", "WordPiece"), ("nomic-bert-moe", "unigram")])
    def test_tokenizers_of_encoders_are_named(
        self, name: str, what: str, vocabulary_metadata: Callable[[str], Mapping[str, Any]]
    ) -> None:
        with pytest.raises(UserError, match=what):
            tokenizer_from_gguf(vocabulary_metadata(name))

    @pytest.mark.parametrize(
        "damage",
        [
            {"tokenizer.ggml.tokens": None},
            {"tokenizer.ggml.tokens": []},
            {"tokenizer.ggml.tokens": [1, 2]},
            {"tokenizer.ggml.token_type": [1]},
            {"tokenizer.ggml.token_type": ["x"] * 49152},
            {"tokenizer.ggml.merges": None},
            {"tokenizer.ggml.merges": "x"},
            {"tokenizer.ggml.scores": "x"},
            {"tokenizer.ggml.model": "abacus"},
            {"tokenizer.ggml.model": ["gpt2"]},
            {"tokenizer.ggml.model": None},
            {"tokenizer.ggml.pre": 7},
        ],
    )
    def test_damage_is_a_sentence(self, damage: dict[str, Any], default_metadata: Mapping[str, Any]) -> None:
        with pytest.raises(UserError, match="This GGUF file"):
            tokenizer_from_gguf({**default_metadata, **damage})

    def test_odd_tokens_and_merges_do_no_harm(self, default_metadata: Mapping[str, Any]) -> None:
        tokens = list(default_metadata["tokenizer.ggml.tokens"])
        tokens[40000], tokens[40001], tokens[40002] = "", tokens[500], "\udce4"
        merges = [*default_metadata["tokenizer.ggml.merges"], "no such", "", "x"]
        tokenizer = tokenizer_from_gguf(
            {**default_metadata, "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.merges": merges}
        )
        assert tokenizer.decode(tokenizer.encode("The best thing")) == "The best thing"
        assert tokenizer.piece(40002) == "[token 40002]"
        assert tokenizer.piece(10**6) == "[unused 1000000]"
        assert tokenizer.token_bytes(-1) == b""
