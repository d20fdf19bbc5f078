"""What every tokenizer promises: nothing lost, nothing typed becomes a control token, streaming is exact."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models
from tokenizers import Tokenizer as Backend

from chatterm.checkpoint.tokenizer import Tokenizer, TokenSpan, load_tokenizer, tokenizer_from_folder
from chatterm.errors import UserError

BYTE_LEVEL = ["gpt-2", "llama-bpe", "deepseek-coder", "deepseek-llm"]  # none of them composes characters
BYTE_FALLBACK = ["llama-spm", "gemma-4"]
TRICKY = [
    "👨‍👩‍👧‍👦 🇵🇱 👍🏽",
    "苹果是水果吗？",
    "مرحبا بالعالم",
    "e\u0301 ก็ำ न्दी",
    " \n\r\n\t  x",
    "\x00\x01",
    "￿\ufffd",
]
SPECIAL = ["<|im_end|>", "<|eot_id|>", "<s>", "</s>", "<unk>", "<eos>", "<|endoftext|>", "<0x0A>"]
texts = st.text(st.characters(codec="utf-8"), max_size=40) | st.lists(
    st.sampled_from([*TRICKY, *SPECIAL, "Hello ", " world", "  "]), max_size=6
).map("".join)
# SmolLM2's vocabulary lacks a token for some bytes: those of rare control characters and of planes 4 to 15.
smollm_texts = texts.filter(
    lambda text: not set(text.encode()) & {0xF1, 0xF2, 0x04, 0x06, 0x13, 0x14, 0x16, 0x1D}
)
few = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
Vocabularies = Callable[[str], Tokenizer]


@few
@given(name=st.sampled_from(BYTE_LEVEL + BYTE_FALLBACK), text=texts)
@example(name="llama-spm", text="  two spaces")
@example(name="llama-spm", text=" ")
def test_decoding_gives_the_text_back(vocabulary: Vocabularies, name: str, text: str) -> None:
    if name in BYTE_FALLBACK and "▁" in text:
        return  # stands for a space there
    tokenizer = vocabulary(name)
    ids = tokenizer.encode(text)
    assert not any(tokenizer.is_special(id_) for id_ in ids)
    assert tokenizer.decode(ids) == text


@few
@given(text=smollm_texts)
def test_the_default_model_loses_nothing_that_it_has_bytes_for(
    default_tokenizer: Tokenizer, text: str
) -> None:
    assert default_tokenizer.decode(default_tokenizer.encode(text)) == text


@few
@given(name=st.sampled_from(BYTE_LEVEL), text=texts)
def test_spans_cover_the_text(vocabulary: Vocabularies, name: str, text: str) -> None:
    tokenizer = vocabulary(name)
    position = 0
    for token, start, end in tokenizer.encode_spans(text):
        assert start <= position <= end <= len(text)
        covered = text[start:end].encode()
        assert tokenizer.token_bytes(token) in covered
        position = end
    assert position == len(text)


@few
@given(name=st.sampled_from([*BYTE_LEVEL, *BYTE_FALLBACK, "qwen2", "phi-3"]), data=st.data())
def test_streaming_is_exact(vocabulary: Vocabularies, name: str, data: st.DataObject) -> None:
    tokenizer = vocabulary(name)
    any_id = st.integers(0, tokenizer.vocabulary - 1)
    some_text = texts.map(tokenizer.encode)
    ids = data.draw(st.lists(st.one_of(any_id.map(lambda id_: [id_]), some_text), max_size=8).map(_flat))
    for skip_special in (True, False):
        stream = tokenizer.stream(skip_special=skip_special)
        increments = [stream.push(id_) for id_ in ids]
        whole = tokenizer.decode(ids, skip_special=skip_special)
        assert "".join(increments) + stream.flush() == whole
        assert stream.flush() == ""
        assert not any("\ud800" <= character <= "\udfff" for character in whole)


def _flat(lists: list[list[int]]) -> list[int]:
    return [id_ for ids in lists for id_ in ids]


@few
@given(data=st.data())
def test_decoding_is_that_of_the_tokenizers_library(
    default_metadata: Mapping[str, Any], default_tokenizer: Tokenizer, data: st.DataObject
) -> None:
    ids = data.draw(st.lists(st.integers(0, default_tokenizer.vocabulary - 1), max_size=12))
    names = default_metadata["tokenizer.ggml.tokens"]
    backend = Backend(models.BPE(vocab={name: index for index, name in enumerate(names)}, merges=[]))
    backend.decoder = decoders.ByteLevel()
    control = [index for index, kind in enumerate(default_metadata["tokenizer.ggml.token_type"]) if kind == 3]
    backend.add_special_tokens([names[index] for index in control])
    assert default_tokenizer.decode(ids) == backend.decode(ids)


def test_a_character_waits_for_its_last_byte(default_tokenizer: Tokenizer) -> None:
    ids = default_tokenizer.encode("🎉")
    assert len(ids) > 1
    stream = default_tokenizer.stream()
    assert [stream.push(id_) for id_ in ids] == [*[""] * (len(ids) - 1), "🎉"]
    stream = default_tokenizer.stream()
    assert stream.push(ids[0]) == ""
    assert stream.flush() == "\ufffd"


def test_pieces_read_well(default_tokenizer: Tokenizer, vocabulary: Vocabularies) -> None:
    pieces = [default_tokenizer.piece(id_) for id_ in default_tokenizer.encode("Hi there 🎉")]
    assert pieces == ["Hi", " there", " <0xF0><0x9F>", "<0x8E>", "<0x89>"]
    assert default_tokenizer.piece(2) == "<|im_end|>"
    assert default_tokenizer.piece(default_tokenizer.vocabulary) == "[unused 49152]"
    llama = vocabulary("llama-spm")
    assert [llama.piece(id_) for id_ in llama.encode("Hi 🎉")][:2] == [" Hi", " "]
    assert llama.piece(llama.encode("\x01")[-1]) == "\x01"


def test_the_space_before_a_text_is_taken_off_only_at_its_start(vocabulary: Vocabularies) -> None:
    llama = vocabulary("llama-spm")
    hello, world = llama.encode("Hello"), llama.encode("world")
    assert llama.decode(hello + world) == "Hello world"
    assert llama.decode(world, strip=False) == " world"
    assert llama.decode([1, *hello], skip_special=False) == "<s> Hello"


class TestControlTokens:
    """Control tokens come from templates, never from typing."""

    def test_typed_names_stay_text(self, default_tokenizer: Tokenizer) -> None:
        assert default_tokenizer.encode("<|im_end|>", special=True) == [2]
        assert 2 not in default_tokenizer.encode("<|im_end|>")
        assert default_tokenizer.decode(default_tokenizer.encode("a<|im_end|>b")) == "a<|im_end|>b"

    @few
    @given(before=smollm_texts, after=smollm_texts)
    def test_marked_places_and_only_those_become_control(
        self, default_tokenizer: Tokenizer, before: str, after: str
    ) -> None:
        text = f"{before}<|im_end|>{after}"
        own = TokenSpan(2, len(before), len(before) + len("<|im_end|>"))
        spans = default_tokenizer.encode_marked(text, [own])
        assert [span for span in spans if default_tokenizer.is_special(span.id)] == [own]
        ids = [span.id for span in spans]
        assert ids == [*default_tokenizer.encode(before), 2, *default_tokenizer.encode(after)]
        assert default_tokenizer.decode(ids, skip_special=False) == text
        assert spans[-1].end == len(text)

    @few
    @given(
        name=st.sampled_from(["phi-3", "llama-spm", "llama-bpe", "qwen2", "command-r", "gemma-4"]),
        data=st.data(),
    )
    def test_marking_all_names_is_encoding_with_control_tokens(
        self, vocabulary: Vocabularies, name: str, data: st.DataObject
    ) -> None:
        tokenizer = vocabulary(name)
        names = [
            *map(tokenizer.piece, sorted(tokenizer.end_ids)),
            tokenizer.piece(tokenizer.bos_id or 0),
            "<|user|>",
        ]
        words = st.sampled_from([*names, "Hello", " world", "\n", "\n\n", "  ", " ", "苹果", "<", "|>"])
        text = "".join(data.draw(st.lists(words, max_size=10)))
        found = tokenizer.find_control(text)
        assert all(tokenizer.piece(token) == text[start:end] for token, start, end in found)
        marked = tokenizer.encode_marked(text, found)
        assert [span.id for span in marked] == tokenizer.encode(text, special=True)

    def test_a_token_that_merging_would_make_is_cut(self, tmp_path: Path) -> None:
        vocabulary = {"<": 0, "s": 1, ">": 2, "<s": 3, "<s>": 4}
        backend = Backend(models.BPE(vocab=vocabulary, merges=[("<", "s"), ("<s", ">")]))
        backend.decoder = decoders.ByteLevel()
        backend.add_special_tokens(["<s>"])
        backend.save(str(tmp_path / "tokenizer.json"))
        tokenizer = tokenizer_from_folder(tmp_path)
        assert tokenizer.encode("<s>", special=True) == [4]
        assert tokenizer.encode_spans("s<s>s") == [(1, 0, 1), (0, 1, 2), (1, 2, 3), (2, 3, 4), (1, 4, 5)]

    def test_the_beginning_token_is_added_once(self, vocabulary: Vocabularies) -> None:
        llama = vocabulary("llama-bpe")
        assert llama.encode("Hi", add_bos=True)[0] == llama.bos_id
        assert llama.encode("<|begin_of_text|>Hi", special=True, add_bos=True).count(128000) == 1
        assert llama.encode("", add_bos=True) == [128000]
        gpt = vocabulary("gpt-2")
        assert not gpt.adds_bos
        assert 50256 not in gpt.encode("Hi", add_bos=True)

    def test_ends_are_united(self, vocabulary: Vocabularies) -> None:
        ends = {name: vocabulary(name) for name in ("llama-bpe", "phi-3", "qwen2", "gemma-4")}
        named = {
            name: {tokenizer.piece(id_) for id_ in tokenizer.end_ids} for name, tokenizer in ends.items()
        }
        assert named["llama-bpe"] == {"<|end_of_text|>", "<|eot_id|>"}
        assert named["phi-3"] == {"<|endoftext|>", "<|end|>"}
        assert named["qwen2"] == {"<|endoftext|>", "<|im_end|>", "</s>"}  # no text is cut into the last
        assert named["gemma-4"] == {"<eos>", "<turn|>", "<|tool_response>"}


class TestFolders:
    """Checkpoint folders in all their forms."""

    def test_two_files_are_gpt2(
        self,
        vocabulary_metadata: Callable[[str], Mapping[str, Any]],
        vocabulary: Vocabularies,
        tmp_path: Path,
    ) -> None:
        metadata = vocabulary_metadata("gpt-2")
        names = metadata["tokenizer.ggml.tokens"]
        (tmp_path / "vocab.json").write_text(json.dumps({name: index for index, name in enumerate(names)}))
        (tmp_path / "merges.txt").write_text(
            "#version: 0.2\n" + "\n".join(metadata["tokenizer.ggml.merges"]) + "\n"
        )
        (tmp_path / "special_tokens_map.json").write_text(
            json.dumps({"eos_token": {"content": "<|endoftext|>"}})
        )
        tokenizer = tokenizer_from_folder(tmp_path)
        assert tokenizer.source == "vocab.json"
        assert tokenizer.end_ids == {50256}
        for text in TRICKY:
            assert tokenizer.encode(text) == vocabulary("gpt-2").encode(text)

    def test_post_processing_says_whether_a_beginning_is_added(self, tmp_path: Path) -> None:
        from tokenizers.processors import TemplateProcessing

        backend = _tiny_backend()
        backend.post_processor = TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 3)])
        backend.enable_truncation(1)
        backend.save(str(tmp_path / "tokenizer.json"))
        (tmp_path / "tokenizer_config.json").write_text('{"bos_token": "<bos>"}')
        tokenizer = tokenizer_from_folder(tmp_path)
        assert tokenizer.adds_bos
        assert tokenizer.encode("ab", add_bos=True) == [3, 0, 1]

    def test_markers_that_look_like_control_are_control(self, tmp_path: Path) -> None:
        backend = _tiny_backend()
        backend.add_tokens([AddedToken("<|user|>"), AddedToken("<think>"), AddedToken("<tool>")])
        backend.save(str(tmp_path / "tokenizer.json"))
        tokenizer = tokenizer_from_folder(tmp_path)
        user, think, tool = map(tokenizer.id_of, ("<|user|>", "<think>", "<tool>"))
        assert tokenizer.is_special(user)
        assert user not in tokenizer.encode("<|user|>")
        assert not tokenizer.is_special(think)  # its text is shown
        assert think not in tokenizer.encode("<think>")
        assert tokenizer.encode("<think>", special=True) == [think]
        assert tokenizer.encode("<tool>") == [tool]
        assert [span.id for span in tokenizer.find_control("a<think><|user|>")] == [think, user]

    @pytest.mark.parametrize(
        ("files", "what"),
        [
            ({}, "has no tokenizer"),
            ({"tokenizer.json": "{}"}, r"tokenizer\.json is not readable"),
            ({"tokenizer.json": "no json"}, r"tokenizer\.json is not readable"),
            ({"tokenizer_config.json": "[1]", "tokenizer.json": "{}"}, "is not a JSON object"),
            ({"tokenizer_config.json": "[" * 100_000}, "is not valid JSON"),
            ({"vocab.json": "{}", "merges.txt": ""}, "is no vocabulary"),
            ({"vocab.json": '{"a": "b"}', "merges.txt": ""}, "is no vocabulary"),
        ],
    )
    def test_damage_is_a_sentence(self, files: dict[str, str], what: str, tmp_path: Path) -> None:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match=what):
            tokenizer_from_folder(tmp_path)

    def test_an_unknown_kind_is_named(self, tmp_path: Path) -> None:
        backend = _tiny_backend()
        backend.decoder = decoders.WordPiece()
        backend.save(str(tmp_path / "tokenizer.json"))
        with pytest.raises(UserError, match="WordPiece"):
            tokenizer_from_folder(tmp_path)

    def test_a_checkpoint_leads_to_its_tokenizer(
        self, default_metadata: Mapping[str, Any], tmp_path: Path
    ) -> None:
        gguf, rows = SimpleNamespace(metadata=default_metadata), SimpleNamespace(vocabulary=49152)
        assert load_tokenizer(SimpleNamespace(gguf=gguf, folder=None, architecture=rows)).vocabulary == 49152
        _tiny_backend().save(str(tmp_path / "tokenizer.json"))
        assert load_tokenizer(SimpleNamespace(gguf=None, folder=tmp_path, architecture=rows)).encode(
            "ab"
        ) == [0, 1]


def _tiny_backend() -> Backend:
    backend = Backend(models.BPE(vocab={"a": 0, "b": 1, "<eos>": 2, "<bos>": 3}, merges=[]))
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<eos>", "<bos>"])
    return backend
