"""Scores are the log-probabilities of one pass, whatever the cache held before."""

from __future__ import annotations

import pytest
import torch

from chatterm.decode.context import Context
from chatterm.decode.sampling import Sampler
from chatterm.glass import scores as module
from chatterm.glass import vocabulary
from chatterm.glass.ranks import EVERY, rank_curve, rank_points
from chatterm.glass.scores import scores
from chatterm.sampling import SamplingParameters


def go_on() -> None:
    pass


def expected(context: Context, ids: list[int]) -> torch.Tensor:
    tokens = torch.tensor(ids)
    decoder = context.decoder
    return decoder(tokens, decoder.new_cache(len(ids)), last_only=False).log_softmax(-1)


@pytest.mark.parametrize("held", [0, 1, 17, 30, 40])
@pytest.mark.parametrize("first", [1, 12, 29])
def test_scores_are_those_of_one_pass(context: Context, held, first, monkeypatch):
    monkeypatch.setattr(module, "READ_AT_ONCE", 7)
    monkeypatch.setattr(vocabulary, "MOST_LOGITS", 128 * 3)
    ids = context.tokens[:30]
    other = Context(context.decoder, 64)
    if held:
        other.append(context.tokens[:held])
    logprobs = expected(context, ids)
    found = list(scores(other, ids, first, go_on))
    assert len(found) == len(ids) - first
    for position, score in enumerate(found, start=first):
        row = logprobs[position - 1]
        assert score.logprob == pytest.approx(float(row[ids[position]]), abs=5e-5)
        assert score.entropy == pytest.approx(float(torch.special.entr(row.exp()).sum()), abs=1e-4)
        above = int((row > row[ids[position]] + 1e-4).sum())
        below = int((row < row[ids[position]] - 1e-4).sum())
        assert above < score.rank <= 128 - below
    assert other.tokens == context.tokens[: max(held, 30)], "nothing that was read is lost"
    after = other.logits_after(30).log_softmax(-1)
    assert (after - logprobs[-1]).abs().max() < 5e-5


def test_a_text_that_goes_another_way_is_read_anew(context: Context):
    ids = [*context.tokens[:10], 3, 4, 5]
    logprobs = expected(context, ids)
    found = list(scores(context, ids, 9, go_on))
    assert [score.logprob for score in found] == pytest.approx(
        [float(logprobs[position - 1, ids[position]]) for position in range(9, 13)], abs=5e-5
    )


def test_rank_points_hold_the_first_ranks_and_the_last():
    for vocabulary_, points in ((49_152, 200), (20, 200), (262_144, 50)):
        ranks = rank_points(vocabulary_, points)
        assert ranks == sorted(set(ranks))
        assert ranks[: min(EVERY, vocabulary_)] == list(range(1, min(EVERY, vocabulary_) + 1))
        assert ranks[-1] == vocabulary_
        assert len(ranks) <= points + EVERY


def test_the_curve_holds_the_probabilities_of_its_ranks():
    logits = torch.randn(5000, generator=torch.Generator().manual_seed(2)) * 3
    logits[7] = logits[8] = logits.max() + 1  # a tie: the lower id first
    parameters = SamplingParameters(temperature=0.5, top_k=100, top_p=1, min_p=0)
    step = Sampler(5000).distribution(logits, [1], parameters)
    curve = rank_curve(step, 100)
    p, order = logits.double().softmax(-1).sort(descending=True, stable=True)
    assert curve.p == pytest.approx([float(p[rank - 1]) for rank in curve.ranks], rel=1e-4)
    drawn = [float(step.sampled[order[rank - 1]]) for rank in curve.ranks]
    assert curve.sampled == pytest.approx(drawn, abs=1e-12)
    assert all(
        (sampled > 0) == (rank <= 100) for rank, sampled in zip(curve.ranks, curve.sampled, strict=True)
    )


def test_the_slope_of_zipfs_law_is_minus_one():
    logits = -torch.arange(1, 5001, dtype=torch.float32).log()
    step = Sampler(5000).distribution(logits, [1], SamplingParameters())
    assert rank_curve(step, 100).slope == pytest.approx(-1, abs=1e-4)
    flat = Sampler(50).distribution(torch.zeros(50), [1], SamplingParameters())
    assert rank_curve(flat, 100).slope == pytest.approx(0, abs=1e-6)
    alone = torch.full((50,), -torch.inf)
    alone[4] = 1.0
    assert rank_curve(Sampler(50).distribution(alone, [1], SamplingParameters()), 10).slope is None
