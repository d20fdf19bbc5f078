"""What the campaigns of bad input take for broken: a judge that never finds fault proves nothing."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.faults import soak, templates
from tests.faults.gguf_damage import Parts
from tests.faults.specimens import gguf_file
from tests.faults.warm import check_sentence

MEGABYTE = 1 << 20


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


def held(rounds: int, engine_step: int = 0, interface_step: int = 0) -> list[soak.Held]:
    """Rounds with two models, one twice as large as the other, and so many bytes more in each round."""
    models = [number // soak.SWITCH_EVERY % 2 for number in range(rounds)]
    return [
        soak.Held(
            interface=100 * MEGABYTE + number * interface_step,
            engine=400 * MEGABYTE * (model + 1) + number * engine_step,
            files=20,
            threads=7,
            processes=3,
            model=model,
        )
        for number, model in enumerate(models)
    ]


def test_memory_that_grows_with_the_rounds() -> None:
    for rounds in (1, 40, 90, 180):
        soak.judge(held(rounds))
    soak.judge(held(180, MEGABYTE // 4, MEGABYTE // 8))  # a cache that fills
    with pytest.raises(AssertionError, match="engine with model 0: "):
        soak.judge(held(180, engine_step=MEGABYTE))
    with pytest.raises(AssertionError, match="interface: "):
        soak.judge(held(180, interface_step=MEGABYTE // 2))


@pytest.mark.parametrize("what", ["files", "threads", "processes"])
def test_what_stays_open(what: str) -> None:
    rounds = held(5)
    with pytest.raises(AssertionError, match=what):
        soak.judge([*rounds, replace(rounds[-1], **{what: 30})])
