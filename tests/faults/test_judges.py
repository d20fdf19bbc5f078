"""What the campaigns of bad input take for broken: a judge that never finds fault proves nothing."""

from __future__ import annotations

import random

import pytest

from tests.faults import templates
from tests.faults.gguf_damage import Parts
from tests.faults.specimens import gguf_file
from tests.faults.warm import check_sentence


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        "no full stop",
        "two\nlines.",
        "a bell\x07.",
        "turned \u202earound.",
        "half \ud800 a character.",
        "x" * 2001 + ".",
        "Unexpected TypeError in the engine: unhashable type.",
        "There is not enough memory for this; a smaller model may fit.",
    ],
)
def test_what_is_no_sentence_for_a_person(sentence: str) -> None:
    with pytest.raises(AssertionError):
        check_sentence(sentence)


def test_a_sentence_for_a_person() -> None:
    check_sentence("model.gguf is cut off: the tensor “a” reaches past its end. Fetch it again.")


@pytest.mark.parametrize(
    "shown",
    [
        templates.SECRET,
        "<class 'str'>",
        "<module 'os'>",
        "{'__builtins__': {}}",
        "root:x:0:0:root",
        "<frame at",
    ],
)
def test_what_shows_that_a_template_got_out(shown: str) -> None:
    assert templates._ESCAPED.search(f"before {shown} after")


def test_every_technique_makes_templates(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("CHATTERM_TEST_SECRET_FILE", str(tmp_path))
    for _, technique in templates.TECHNIQUES:
        assert len({technique(random.Random(number)) for number in range(60)}) > 3


def test_a_file_taken_apart_is_put_together_again(tmp_path) -> None:
    content = gguf_file(tmp_path / "a.gguf").read_bytes()
    assert Parts.of(content).joined() == content
