"""Clean and edited side by side: the same text, the same random numbers, exact divergences."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chatterm.decode.context import Context
from chatterm.decode.loop import generate
from chatterm.decode.sampling import Sampler
from chatterm.glass.compare import Continuations, Pair, divergence
from chatterm.glass.edits import edits_of
from chatterm.model.decoder import Decoder
from chatterm.records.inspection import ScaleBlock
from chatterm.sampling import SamplingParameters

IDS = [5, 17, 99, 4, 63, 21, 80]
SAMPLING = SamplingParameters(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, seed=11)
HALF = [ScaleBlock(1, 0.5)]

logits = st.lists(st.floats(-30, 30), min_size=2, max_size=9)


@pytest.fixture(params=["llama, untied", "gemma2, windows and soft-caps"])
def decoder(request, tiny_decoder) -> Decoder:
    return tiny_decoder(request.param)


def pair_of(decoder: Decoder, edits=HALF, capacity: int = 40) -> Pair:
    pair = Pair(decoder, capacity, edits_of(edits, decoder, lambda text: ()))
    pair.read(IDS, lambda: None)
    return pair


def write(pair: Pair, most: int = 12, ends=()) -> Continuations:
    return pair.write(IDS, lambda: Sampler(128), SAMPLING, ends=ends, most=most, go_on=lambda: None)


@given(logits, st.data())
def test_divergence_is_the_sum_that_defines_it(clean, data):
    edited = data.draw(st.lists(st.floats(-30, 30), min_size=len(clean), max_size=len(clean)))
    p, q = (torch.tensor(row, dtype=torch.float64).softmax(-1).tolist() for row in (clean, edited))
    expected = math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)
    found = divergence(torch.tensor(clean, dtype=torch.float64), torch.tensor(edited, dtype=torch.float64))
    assert found == pytest.approx(expected, abs=1e-9)
    assert found >= 0


@given(logits)
def test_nothing_diverges_from_itself(row):
    assert divergence(torch.tensor(row), torch.tensor(row)) == 0


def test_a_token_that_the_clean_model_excludes_adds_nothing():
    clean, edited = torch.tensor([0.0, -math.inf]), torch.tensor([0.0, 0.0])
    assert divergence(clean, edited) == pytest.approx(math.log(2))
    assert divergence(edited, clean) == math.inf


def test_without_edits_both_sides_are_the_same(decoder):
    pair = pair_of(decoder, edits=[])
    replies = write(pair)
    assert replies.clean == replies.edited
    assert replies.kl == [0.0] * 12


def test_each_side_writes_what_it_would_write_alone(decoder):
    replies = write(pair_of(decoder))
    for edits, written in ((None, replies.clean), (HALF, replies.edited)):
        context = Context(decoder, 40, edits and edits_of(edits, decoder, lambda text: ()))
        for _ in context.read(IDS):
            pass
        alone = []
        for step in generate(context, Sampler(128), lambda: SAMPLING):
            alone.append((step.token, step.distribution.logprob(step.token)))
            if len(alone) == 12:
                break
        assert [token for token, _ in alone] == [one.token for one in written]
        assert [logprob for _, logprob in alone] == pytest.approx([one.logprob for one in written], abs=1e-4)
    assert replies.clean != replies.edited


def test_the_divergence_along_the_clean_reply_is_that_of_two_whole_readings(decoder):
    replies = write(pair_of(decoder))
    ids = [*IDS, *(one.token for one in replies.clean)]
    rows = []
    for edits in ((), edits_of(HALF, decoder, lambda text: ())):
        context = Context(decoder, len(ids), edits)
        context.append(ids)
        rows.append([context.logits_after(count) for count in range(len(IDS), len(ids))])
    expected = [divergence(clean, edited) for clean, edited in zip(*rows, strict=True)]
    assert replies.kl == pytest.approx(expected, abs=1e-4)
    assert replies.kl[0] > 0
    assert pair_of(decoder).kl(len(IDS)) == pytest.approx(replies.kl[0], abs=1e-6)


def test_a_continuation_ends_with_its_end_token(decoder):
    free = write(pair_of(decoder))
    end = free.clean[4].token
    replies = write(pair_of(decoder), ends={end})
    first = [one.token for one in free.clean].index(end)
    assert replies.clean == free.clean[: first + 1]
    assert len(replies.kl) == first + 1


def test_a_full_context_ends_both(decoder):
    replies = write(pair_of(decoder, capacity=len(IDS) + 3), most=100)
    assert len(replies.clean) == len(replies.edited) == 3


def test_it_can_be_interrupted(decoder):
    class EnoughError(Exception):
        pass

    calls = []

    def go_on() -> None:
        calls.append(None)
        if len(calls) == 5:
            raise EnoughError

    with pytest.raises(EnoughError):
        pair_of(decoder).write(IDS, lambda: Sampler(128), SAMPLING, ends=(), most=50, go_on=go_on)
    assert len(calls) == 5
