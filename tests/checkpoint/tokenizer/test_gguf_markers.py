"""Turn markers in GGUF files whose types are wrong or missing; expected values are those of llama.cpp b11434.

They were read off `xllamacpp` 2026.10.11549 (`/tokenize` with special tokens; where `/completion` stops) with
files that differ in nothing but these keys.
"""

from __future__ import annotations

from typing import Any

import pytest

from chatterm.checkpoint.tokenizer import tokenizer_from_gguf
from chatterm.checkpoint.tokenizer.gguf_vocabulary import TokenType
from chatterm.checkpoint.tokenizer.pieces import BYTE_OF

LETTERS = sorted(BYTE_OF)
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ENDING = {
    *("</s>", "<EOT>", "<PAD>", "<REPO>", "<end_of_turn>", "<end_of_utterance>", "<eos>", "<fim-pad>"),
    *("<fim-repo>", "<fim_pad>", "<reponame>", "<turn|>", "<|calls|>", "<|call|>", "<|end_of_text|>"),
    *("<|end|>", "<|eom_id|>", "<|eot_id|>", "<|file_sep|>", "<|fim_pad|>", "<|fim_repo|>", "<|flush|>"),
    *("<|repo_name|>", "<|return|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[EOS]", "[EOT]", "[PAD]"),
    *("[e~[", "_<EOT>"),
}
NOT_ENDING = {
    *(
        "<MID>",
        "<PRE>",
        "<SUF>",
        "<fim-middle>",
        "<fim-prefix>",
        "<fim-suffix>",
        "<fim_middle>",
        "<fim_prefix>",
    ),
    *(
        "<fim_suffix>",
        "<|code_middle|>",
        "<|code_prefix|>",
        "<|code_suffix|>",
        "<|fim_middle|>",
        "<|fim_prefix|>",
    ),
    *("<|fim_suffix|>", "<|middle|>", "<|prefix|>", "<|suffix|>", "<｜fim▁begin｜>", "<｜fim▁end｜>"),
    *("<｜fim▁hole｜>", "▁<MID>", "▁<PRE>", "▁<SUF>"),
}


def metadata(
    *more: str, types: dict[str, int] | None = None, merges: list[str] | None = None, **stated: Any
) -> dict[str, Any]:
    tokens = [*SPECIALS, *more, *LETTERS, *(merge.replace(" ", "") for merge in merges or ())]
    kinds = [3 if token in (*SPECIALS, *more) else 1 for token in tokens]
    for name, kind in (types or {}).items():
        kinds[tokens.index(name)] = int(kind)
    found = {"model": "gpt2", "pre": "gpt-2", "tokens": tokens, "merges": merges or [], "token_type": kinds}
    found |= {"eos_token_id": 0, **stated}
    return {f"tokenizer.ggml.{key}": value for key, value in found.items() if value is not None}


@pytest.mark.parametrize(
    "kind", [TokenType.NORMAL, TokenType.USER_DEFINED, TokenType.UNUSED, TokenType.BYTE, 0]
)
@pytest.mark.parametrize("eos", [0, 2])
def test_the_end_of_a_turn_is_one_token_of_whatever_type(kind: int, eos: int) -> None:
    tokenizer = tokenizer_from_gguf(metadata(types={"<|im_end|>": kind}, eos_token_id=eos))
    assert tokenizer.encode("a<|im_end|>b", special=True)[1:-1] == [2]
    assert tokenizer.end_ids == {0, 2}
    assert tokenizer.is_special(2)
    assert 2 not in tokenizer.encode("a<|im_end|>b")


@pytest.mark.parametrize("name", sorted(ENDING | NOT_ENDING))
def test_every_name_that_llama_cpp_goes_by(name: str) -> None:
    tokenizer = tokenizer_from_gguf(metadata(name, types={name: TokenType.NORMAL}))
    assert tokenizer.encode(f"a{name}b", special=True)[1:-1] == [3]
    assert tokenizer.end_ids == {0, 2, *([3] if name in ENDING else [])}


@pytest.mark.parametrize("role", ["eos", "eot", "eom"])
@pytest.mark.parametrize("name", ["<|fin|>", "[END]", "[[MSG]]", "</turn>", "STOP"])
def test_an_end_that_the_file_states_is_a_marker_whatever_it_is_called(role: str, name: str) -> None:
    """llama.cpp ends there, too, but cuts its name in the prompt into letters."""
    stated = {f"{role}_token_id": 3}
    tokenizer = tokenizer_from_gguf(metadata(name, types={name: TokenType.NORMAL}, **stated))
    assert tokenizer.encode(f"a{name}b", special=True)[1:-1] == [3]
    assert 3 in tokenizer.end_ids


@pytest.mark.parametrize("role", ["bos", "padding", "unknown", "seperator", "mask", "fim_pre", "fim_sep"])
def test_other_stated_tokens_are_markers_too(role: str) -> None:
    stated = {f"{role}_token_id": 3}
    tokenizer = tokenizer_from_gguf(metadata("<thing>", types={"<thing>": TokenType.NORMAL}, **stated))
    assert tokenizer.is_special(3)
    assert tokenizer.encode("<thing>", special=True) == [3]


def test_words_that_the_file_states_stay_words() -> None:
    """Small models end at a newline, and some are padded with "!"."""
    newline, exclaim, word = 3 + LETTERS.index("Ċ"), 3 + LETTERS.index("!"), 3 + len(LETTERS)
    found = metadata(merges=["e n"], eos_token_id=newline, padding_token_id=exclaim, eot_token_id=word)
    tokenizer = tokenizer_from_gguf(found)
    assert tokenizer.end_ids == {0, 2, newline, word}
    assert tokenizer.encode("en!\n") == [word, exclaim, newline]
    assert tokenizer.decode([word, exclaim, newline]) == "en!\n"


def test_without_types_markers_are_known_by_their_shape() -> None:
    tokenizer = tokenizer_from_gguf(metadata("<think>", token_type=None))
    assert tokenizer.encode("<|im_start|>a<|im_end|>", special=True) == [1, 4 + LETTERS.index("a"), 2]
    assert tokenizer.end_ids == {0, 2}
    assert 1 not in tokenizer.encode("<|im_start|>")


def test_a_sentencepiece_vocabulary_without_types() -> None:
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "</", "s>", "▁a"]
    found = {"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": tokens}
    tokenizer = tokenizer_from_gguf(found | {"tokenizer.ggml.scores": [0.0] * len(tokens)})
    assert tokenizer.encode("<s>a</s>", special=True, add_bos=True) == [1, 263, 2]
    assert tokenizer.encode("aé", add_bos=True) == [1, 263, 3 + 0xC3, 3 + 0xA9]
    assert tokenizer.decode(tokenizer.encode("aé</s>")) == "aé</s>"
    assert (tokenizer.end_ids, tokenizer.bos_id, tokenizer.names["unk_token"]) == ({2}, 1, "<unk>")


def test_html_stays_text_where_it_is_matched_in_any_text() -> None:
    """Gemma 3 and Phi-3 have it as a word; llama.cpp ends the reply there."""
    tokenizer = tokenizer_from_gguf(metadata("</s>", types={"</s>": TokenType.USER_DEFINED}))
    assert tokenizer.encode("</s>") == [3]
    assert tokenizer.end_ids == {0, 2}
    tokenizer = tokenizer_from_gguf(metadata("<|tool_response>", "</s>", types={"</s>": TokenType.NORMAL}))
    assert not tokenizer.is_special(4)  # Gemma 4


def test_what_separates_messages_does_not_end_a_reply() -> None:
    names = ("<|end|>", "<|return|>", "<|call|>")
    tokenizer = tokenizer_from_gguf(metadata(*names, types=dict.fromkeys(names, TokenType.NORMAL)))
    assert tokenizer.end_ids == {0, 2, 4, 5}
    assert tokenizer.encode("<|end|>", special=True) == [3]


def test_gemma_4_begins_with_its_beginning_token_whatever_the_file_says() -> None:
    found = metadata("<bos>", bos_token_id=3, add_bos_token=False) | {"tokenizer.ggml.model": "gemma4"}
    assert tokenizer_from_gguf(found).encode("a", add_bos=True)[0] == 3


@pytest.mark.parametrize("rows", [None, 1000])
def test_tokens_beyond_the_rows_are_text(rows: int | None) -> None:
    found = metadata(merges=["e n", "en d"])
    more = [*found["tokenizer.ggml.tokens"], "<|late|>", "zebra"]
    found |= {
        "tokenizer.ggml.tokens": more,
        "tokenizer.ggml.token_type": [*found["tokenizer.ggml.token_type"], 3, 4],
    }
    assert tokenizer_from_gguf(found, rows).encode("<|late|>zebra", special=True) == [
        len(more) - 2,
        len(more) - 1,
    ]
    assert tokenizer_from_gguf(found, rows).notices == ()


def test_and_words_beyond_them_are_cut_on() -> None:
    found = metadata(merges=["e n", "en d"])
    count = len(found["tokenizer.ggml.tokens"])
    tokenizer = tokenizer_from_gguf(found, count - 1)
    assert tokenizer.encode("end") == [count - 2, 3 + LETTERS.index("d")]
    assert tokenizer.vocabulary == count - 1
    assert tokenizer.notices == (
        "1 of its tokens (“end”) have no row in the embedding, so they are read as text.",
    )
