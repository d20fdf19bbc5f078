"""Rules of generation_config.json and of GGUF files: read with bounds, or left out with a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatterm.checkpoint.describe import describe
from chatterm.checkpoint.open import open_checkpoint
from chatterm.checkpoint.rules import Rules, limits_in_words, read_rules, rules_in_words
from tests.faults import specimens

V = 100


@pytest.mark.parametrize(
    ("stated", "rules"),
    [
        ({}, Rules()),
        ({"suppress_tokens": None, "bad_words_ids": None, "stop_strings": None}, Rules()),
        ({"suppress_tokens": [], "begin_suppress_tokens": [], "bad_words_ids": []}, Rules()),
        ({"suppress_tokens": [9, 9, 3]}, Rules(suppressed=frozenset({3, 9}))),
        ({"suppress_tokens": 9}, Rules(suppressed=frozenset({9}))),
        ({"tokenizer.ggml.suppress_tokens": [4]}, Rules(suppressed=frozenset({4}))),
        ({"begin_suppress_tokens": [0, 99]}, Rules(at_beginning=frozenset({0, 99}))),
        ({"bad_words_ids": [[5], [6, 7], [5]]}, Rules(bad_words=((5,), (6, 7)))),
        ({"sequence_bias": [[[5], -1.5], [[6, 7], 2]]}, Rules(biases=(((5,), -1.5), ((6, 7), 2.0)))),
        (
            {"no_repeat_ngram_size": 3, "min_new_tokens": 2, "min_length": 0},
            Rules(no_repeat=3, least_reply=2),
        ),
        ({"stop_strings": "\n\n"}, Rules(stops=("\n\n",))),
        ({"stop_strings": ["a", "b", "a"]}, Rules(stops=("a", "b"))),
    ],
)
def test_rules_are_read(stated: dict[str, Any], rules: Rules) -> None:
    assert read_rules(stated, V) == (rules, ())
    assert bool(rules) == (rules != Rules())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("suppress_tokens", "9"),
        ("suppress_tokens", [True]),
        ("suppress_tokens", [1.5]),
        ("suppress_tokens", {"9": 1}),
        ("bad_words_ids", [9]),
        ("bad_words_ids", [[]]),
        ("bad_words_ids", [["a"]]),
        ("bad_words_ids", [[1] * 1000]),
        ("bad_words_ids", [[1]] * 30_000),
        ("sequence_bias", {"(9,)": 1.0}),
        ("sequence_bias", [[[1], float("nan")]]),
        ("sequence_bias", [[[1], float("inf")]]),
        ("no_repeat_ngram_size", -1),
        ("min_new_tokens", "3"),
        ("stop_strings", [""]),
        ("stop_strings", ["a" * 1000]),
        ("stop_strings", 3),
    ],
)
def test_what_makes_no_sense_is_left_out_and_said(key: str, value: Any) -> None:
    rules, notices = read_rules({key: value}, V)
    assert not rules
    (notice,) = notices
    assert key in notice and len(notice) < 200


def test_tokens_that_do_not_exist_are_left_out_and_counted() -> None:
    rules, notices = read_rules({"suppress_tokens": [1, -5, V], "bad_words_ids": [[1, V], [2]]}, V)
    assert rules == Rules(suppressed=frozenset({1}), bad_words=((2,),))
    assert "2 of its entries" in notices[0] and "1 of its entries" in notices[1]


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=9)
)
def test_no_value_brings_it_down(value: Any) -> None:
    for key in ("suppress_tokens", "bad_words_ids", "sequence_bias", "min_length", "stop_strings"):
        rules, notices = read_rules({key: value}, V)
        assert rules or notices or not value or value == [None] or rules == Rules()


def test_a_file_says_which_rules_it_has(tmp_path) -> None:
    folder = specimens.folder(tmp_path / "checkpoint")
    (folder / "generation_config.json").write_text('{"suppress_tokens": [9], "max_new_tokens": 20}')
    details = describe(folder)[1]
    assert details["rules"] == "1 tokens suppressed"
    assert details["limits"] == "max_new_tokens 20: not applied"
    assert rules_in_words(Rules()) == "none" and limits_in_words({"temperature": 1}) is None


def test_a_gguf_file_suppresses_tokens_by_the_key_that_llama_cpp_reads(tmp_path) -> None:
    import gguf

    source = gguf.GGUFReader(specimens.gguf_file(tmp_path / "a.gguf"))
    writer = gguf.GGUFWriter(tmp_path / "b.gguf", "llama")
    for name, field in source.fields.items():
        if not name.startswith(("GGUF.", "general.architecture")):
            kind = field.types[0]
            writer.add_key_value(
                name, field.contents(), kind, field.types[-1] if len(field.types) > 1 else None
            )
    writer.add_array("tokenizer.ggml.suppress_tokens", [3, 5])
    for tensor in source.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    checkpoint = open_checkpoint(tmp_path / "b.gguf")
    rules, notices = read_rules(checkpoint.generation_defaults, checkpoint.architecture.vocabulary)
    assert (rules.suppressed, notices) == (frozenset({3, 5}), ())
