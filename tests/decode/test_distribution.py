"""Rows, ranks and masses of a distribution."""

from __future__ import annotations

import math

import pytest
import torch

from chatterm.decode.samplers.candidates import largest, leading
from chatterm.decode.sampling import SampledDistribution, Sampler
from chatterm.sampling import SamplingParameters

NEUTRAL = SamplingParameters(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0)


def run(values: list[float] | torch.Tensor, **changes: object) -> SampledDistribution:
    logits = torch.as_tensor(values)
    return Sampler(logits.numel()).distribution(logits, [0, 1, 2], NEUTRAL.replace(**changes))


def test_rows_are_by_model_probability_with_ranks_from_one() -> None:
    distribution = run([math.log(p) for p in (0.1, 0.4, 0.2, 0.3)], top_k=2, temperature=0.5)
    rows = distribution.top(4)
    assert [row.id for row in rows] == [1, 3, 2, 0]
    assert [row.rank for row in rows] == [1, 2, 3, 4]
    assert [math.exp(row.logprob) for row in rows] == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert [row.sampled for row in rows] == pytest.approx([0.64, 0.36, 0.0, 0.0])
    assert [row.removed_by for row in rows] == [None, None, "top_k", "top_k"]
    assert distribution.kept == 2
    assert distribution.kept_mass == pytest.approx(0.7)
    assert distribution.removals() == [("top_k", 2, pytest.approx(0.3))]
    assert distribution.position == 3


def test_equals_are_ranked_by_id_everywhere() -> None:
    distribution = run([1.0, 2.0, 2.0, 2.0, 1.0], top_k=2)
    assert [(row.id, row.rank) for row in distribution.top(5)] == [(1, 1), (2, 2), (3, 3), (0, 4), (4, 5)]
    assert [distribution.rank(token) for token in range(5)] == [4, 1, 2, 3, 5]
    assert (distribution.removed_by == -1).nonzero().flatten().tolist() == [1, 2]


def test_also_adds_tokens_with_their_true_rank_and_no_token_twice() -> None:
    values = torch.randn(5000, generator=torch.Generator().manual_seed(4))
    distribution = run(values, top_k=3)
    by_rank = sorted(range(5000), key=lambda token: (-float(values[token]), token))
    rows = distribution.top(5, also=[by_rank[4000], by_rank[2], by_rank[70], by_rank[70]])
    assert [row.rank for row in rows] == [1, 2, 3, 4, 5, 71, 4001]
    assert [row.id for row in rows] == [by_rank[row.rank - 1] for row in rows]
    assert distribution.row(by_rank[70]) == rows[5]
    assert distribution.top(0, also=[by_rank[0]])[0].rank == 1
    assert len(distribution.top(10**6)) == 5000


def test_penalties_change_the_sampled_column_and_not_the_models() -> None:
    plain, penalised = run([3.0, 2.0, 1.0, 0.0]), run([3.0, 2.0, 1.0, 0.0], presence_penalty=2.5)
    assert [row[:3] for row in plain.top(4)] == [row[:3] for row in penalised.top(4)]
    assert penalised.row(3).sampled > plain.row(3).sampled
    assert penalised.row(0).sampled < plain.row(0).sampled


def test_a_tiny_removed_mass_is_not_lost_in_rounding() -> None:
    values = torch.full((50_000,), -25.0)
    values[:3] = 0.0
    removal = run(values, top_k=3).removals()[0]
    exact = 49_997 * math.exp(-25.0) / (3 + 49_997 * math.exp(-25.0))
    assert removal.mass == pytest.approx(exact, rel=1e-4)


def test_several_steps_share_out_what_they_removed() -> None:
    values = torch.randn(3000, generator=torch.Generator().manual_seed(5)) * 3
    changes = {"logit_bias": {7: -math.inf}, "top_k": 50, "top_p": 0.9, "min_p": 0.1}
    distribution = run(values, **changes)
    p = torch.softmax(values.double(), 0)
    steps = [removal.step for removal in distribution.removals()]
    assert steps == ["logit_bias", "top_k", "top_p", "min_p"]
    assert distribution.removals()[0] == ("logit_bias", 1, pytest.approx(float(p[7])))
    for removal in distribution.removals():
        of_step = distribution.removed_by == distribution.steps.index(removal.step)
        assert removal.mass == pytest.approx(float(p[of_step].sum()), abs=1e-6)
    assert distribution.kept_mass == pytest.approx(float(p[distribution.removed_by == -1].sum()), abs=1e-6)


def test_an_earlier_distribution_stays_valid_while_the_sampler_goes_on() -> None:
    sampler = Sampler(4000)
    logits = [torch.randn(4000, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
    first = sampler.distribution(logits[0], [], SamplingParameters())
    fresh = Sampler(4000).distribution(logits[0], [], SamplingParameters())
    sampler.distribution(logits[1], [1], SamplingParameters())
    assert first.removals() == fresh.removals()
    assert first.top(20) == fresh.top(20)
    assert first.entropy() == fresh.entropy()
    assert torch.equal(first.logprobs, fresh.logprobs)


def test_a_distribution_does_not_follow_the_tensor_that_it_came_from() -> None:
    buffer = torch.tensor([1.0, 3.0, 2.0])
    distribution = Sampler(3).distribution(buffer, [], NEUTRAL)
    buffer.copy_(torch.tensor([9.0, 0.0, 0.0]))
    assert [row.id for row in distribution.top(3)] == [1, 2, 0]
    assert int(distribution.logprobs.argmax()) == 1


def test_a_sampler_works_inside_and_outside_of_inference_mode() -> None:
    logits = torch.tensor([1.0, 3.0, 2.0], requires_grad=True)
    with torch.inference_mode():
        sampler = Sampler(3)
    outside = sampler.distribution(logits, [], NEUTRAL)
    with torch.inference_mode():
        inside = Sampler(3).distribution(logits * 1.0, [], NEUTRAL)
    assert outside.sampled.tolist() == inside.sampled.tolist()


@pytest.mark.parametrize("size", [1, 7, 255, 256, 2000, 30_000])
@pytest.mark.parametrize("levels", [2, 40, None])
def test_largest_is_a_stable_sort_cut_short(size: int, levels: int | None) -> None:
    values = torch.randn(size, generator=torch.Generator().manual_seed(size))
    if levels:  # many equal values, as bfloat16 makes them
        values = (values * levels / 8).round()
    values[:: max(2, size // 3)] = -math.inf
    ordered = [int(token) for token in torch.sort(values, descending=True, stable=True).indices]
    alive = [token for token in ordered if values[token] > -math.inf]
    for k in (1, 2, 40, size // 2, size, size + 5):
        if k:
            assert largest(values.numpy(), k).tolist() == alive[:k]
    *_, last = leading(values.numpy())
    assert last.tolist() == alive
