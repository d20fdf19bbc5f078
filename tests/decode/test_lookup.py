"""Guessing ahead saves steps and changes nothing: the same tokens from the same distributions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chatterm.checkpoint.open import open_checkpoint
from chatterm.decode.context import Context
from chatterm.decode.lookup import GRAM, Guesser, Lookup
from chatterm.decode.loop import Step, generate
from chatterm.decode.sampling import Sampler
from chatterm.model.decoder import Decoder
from chatterm.model.load import load_decoder
from chatterm.model.vectors import NARROW
from chatterm.sampling import SamplingParameters

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.parity import reference
from benchmarks.parity.cases import CASES

PROMPT = [5, 17, 99, 4, 63, 21, 80, 5, 17, 99, 4, 63, 21, 80, 5, 17, 99]
REPEATING = SamplingParameters(temperature=0.0)
SAMPLERS = {
    "greedy": REPEATING,
    "plain": SamplingParameters(temperature=0.4, top_k=0, top_p=1.0, min_p=0.0, seed=3),
    "default": SamplingParameters(seed=1),
    "truncated": SamplingParameters(temperature=0.7, typical_p=0.8, top_n_sigma=2.0, seed=4),
    "penalties": SamplingParameters(
        repetition_penalty=1.1, frequency_penalty=0.2, presence_penalty=0.1, seed=5
    ),
    "dry": SamplingParameters(dry_multiplier=0.5, dry_sequence_breakers=(), seed=6),
    "xtc": SamplingParameters(xtc_probability=0.5, seed=7),
    "mirostat": SamplingParameters(mirostat=2, mirostat_tau=2.0, seed=8),
    "bias": SamplingParameters(temperature=0.3, logit_bias={7: 4.0, 9: 4.0}, seed=9),
}


@pytest.fixture(scope="module", params=[torch.float32, NARROW])
def decoder(request, tmp_path_factory) -> Decoder:
    """A tiny model with random weights."""
    (case,) = [case for case in CASES if case.name == "llama, untied"]
    folder = tmp_path_factory.mktemp("tiny")
    reference.save(case, reference.make_model(case), folder)
    made = load_decoder(open_checkpoint(folder), cache_dtype=request.param, threads=1)
    if made.most_ahead == 0:
        pytest.skip("no native operator here")
    return made


def write(
    decoder: Decoder, most: int, steer: Callable[[], SamplingParameters], between=lambda context: None
) -> tuple[list[Step], Context]:
    context = Context(decoder, len(PROMPT) + 60)
    context.append(PROMPT)
    steps = []
    for step in generate(context, Sampler(decoder.architecture.vocabulary), steer):
        steps.append(step)
        between(context)
        if len(steps) == most:
            break
    return steps, context


def assert_same(ours: list[Step], theirs: list[Step]) -> None:
    assert [step.token for step in ours] == [step.token for step in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.position == other.position
        assert torch.equal(mine.distribution.logprobs, other.distribution.logprobs)
        assert torch.equal(mine.distribution.sampled, other.distribution.sampled)


@pytest.fixture
def always(monkeypatch) -> list[list[int]]:
    """Every guess is read, whether it pays or not; returns the guesses that were made."""
    made: list[list[int]] = []

    def guess(self: Guesser, token: int, most: int) -> list[int]:
        self._lookup.extend([token])
        found = self._lookup.continuation(max(0, most))[:most]
        made.append(found)
        return found

    monkeypatch.setattr(Guesser, "guess", guess)
    return made


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_reply_is_the_same_with_and_without_guesses(name, decoder, always, monkeypatch):
    guessed, context = write(decoder, 60, lambda: SAMPLERS[name])
    assert len(guessed) == 60 and context.cache.length == len(context.tokens)
    monkeypatch.setattr(Context, "most_ahead", 0)
    alone, _ = write(decoder, 60, lambda: SAMPLERS[name])
    assert_same(guessed, alone)


def test_guesses_are_read_and_some_are_right(decoder, always, monkeypatch):
    taken = []
    original = Context._take_ahead
    monkeypatch.setattr(Context, "_take_ahead", lambda self: taken.append(1) or original(self))
    biased = SamplingParameters(temperature=0.0, logit_bias={7: 100.0})
    steps, _ = write(decoder, 30, lambda: biased)
    assert {step.token for step in steps} == {7}
    assert len(taken) >= 20
    assert any(always)


def test_new_parameters_take_effect_on_the_very_next_token(decoder, always, monkeypatch):
    def steering() -> Callable[[], SamplingParameters]:
        asked = iter(range(1000))
        return lambda: (
            SamplingParameters(temperature=0.0, logit_bias={7: 100.0})
            if next(asked) < 15
            else SAMPLERS["plain"]
        )

    guessed, _ = write(decoder, 40, steering())
    monkeypatch.setattr(Context, "most_ahead", 0)
    assert_same(guessed, write(decoder, 40, steering())[0])
    assert [step.token for step in guessed[:15]] == [7] * 15
    assert guessed[15].parameters is SAMPLERS["plain"]


def test_looking_back_between_two_tokens_disturbs_nothing(decoder, always, monkeypatch):
    def look_back(context: Context) -> None:
        context._kept.clear()
        context.logits_after(len(context.tokens) // 2)
        context.logits_after(len(context.tokens))

    biased = SamplingParameters(temperature=0.5, logit_bias={7: 6.0}, seed=2)
    guessed, _ = write(decoder, 40, lambda: biased, look_back)
    monkeypatch.setattr(Context, "most_ahead", 0)
    assert_same(guessed, write(decoder, 40, lambda: biased)[0])


def test_after_a_stopped_reply_the_context_goes_on_as_if_nothing_had_been_guessed(decoder, always):
    biased = SamplingParameters(temperature=0.0, logit_bias={7: 100.0})
    _, context = write(decoder, 25, lambda: biased)
    ids = [*context.tokens[:-5], 1, 2, 3]
    context.begin(ids)
    list(context.read(ids))
    fresh = Context(decoder, context.capacity)
    fresh.append(ids)
    torch.testing.assert_close(
        context.logits_after(len(ids)), fresh.logits_after(len(ids)), rtol=0, atol=2e-3
    )
    assert context.tokens == ids and context.cache.length == len(ids)


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 9))
def test_a_continuation_is_what_followed_the_same_tokens(tokens, count):
    lookup = Lookup()
    lookup.extend(tokens)
    found = lookup.continuation(count)
    recent = tokens[-GRAM:]
    starts = [at for at in range(GRAM, len(tokens)) if tokens[at - GRAM : at] == recent]
    if not starts or len(tokens) < GRAM:
        assert found == []
        return
    whole = list(tokens)
    for offset in range(count):
        whole.append(whole[starts[-1] + offset])
    assert found == whole[len(tokens) :]


def test_guessing_stops_where_guesses_are_wrong_and_starts_where_they_are_right():
    wrong = Guesser([1, 2, 3, 9])
    for turn in range(200):  # the same three tokens, each time followed by another one
        for token in (1, 2, 3):
            wrong.guess(token, 7)
        guess = wrong.guess(10 + turn, 7)
    assert guess == []
    assert wrong.guess(1, 7) == []
    right = Guesser([1, 2, 3, 4, 5])
    for _ in range(20):
        guesses = [right.guess(token, 7) for token in (1, 2, 3, 4, 5)]
    assert all(len(guess) == 7 for guess in guesses)
    assert guesses[-1] == [1, 2, 3, 4, 5, 1, 2]


def test_guessing_stops_where_reading_along_costs_too_much():
    guesser = Guesser([1, 2, 3] * 20)
    for token in (1, 2, 3) * 20:
        guesser.guess(token, 7)
    assert guesser.guess(1, 7)
    guesser.learn(1, 1.0)
    for _ in range(20):
        guesser.learn(8, 8.0)
    assert guesser.guess(2, 7) == []
    for _ in range(500):
        guesser.learn(1, 1.0)
    assert guesser.guess(3, 7)
