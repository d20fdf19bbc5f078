"""The draw: its frequencies, and what it depends on; and Mirostat, which steers itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from msgspec import structs

from chatterm.decode.sampling import Sampler
from chatterm.sampling import SamplingParameters
from tests.decode.sampled import DEFAULT, NEUTRAL, logits_of, run

# --- the draw -------------------------------------------------------------------------------------------

CHAINS = {
    "plain": NEUTRAL,
    "default": DEFAULT,
    "hot": NEUTRAL.replace(temperature=2.5, top_k=25),
    "penalised": DEFAULT.replace(repetition_penalty=1.3, frequency_penalty=0.4),
    "typical": NEUTRAL.replace(typical_p=0.9),
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("along", ["positions", "seeds"])
def test_drawn_frequencies_match_the_shown_probabilities(name: str, along: str) -> None:
    """Chi-square over fixed seeds, so the outcome is fixed too."""
    parameters, draws = CHAINS[name], 6000
    sampler = Sampler(60)
    distribution = sampler.distribution(logits_of(8, 60, 1.5), [1, 2, 3, 2], parameters)
    counts = torch.zeros(60)
    for number in range(draws):
        seed, position = (11, number) if along == "positions" else (number, 4)
        counts[sampler.draw(distribution, structs.replace(parameters, seed=seed), position)] += 1

    expected = distribution.sampled * draws
    assert bool((counts[expected == 0] == 0).all())
    assert chi_square_z(counts, expected) < 3.1  # 1 in 1000


def chi_square_z(counts: torch.Tensor, expected: torch.Tensor) -> float:
    """The chi-square statistic as a standard normal score (Wilson and Hilferty, 1931), rare tokens pooled."""
    common = expected >= 5
    observed, wanted = counts[common].double(), expected[common]
    if float(expected[~common].sum()) > 0:
        observed = torch.cat([observed, counts[~common].sum()[None]])
        wanted = torch.cat([wanted, expected[~common].sum()[None]])
    freedom = wanted.numel() - 1
    statistic = float(((observed - wanted) ** 2 / wanted).sum())
    spread = 2 / (9 * freedom)
    return ((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)


def test_the_chi_square_score_notices_a_wrong_distribution() -> None:
    sampler, draws = Sampler(60), 12_000
    distribution = sampler.distribution(logits_of(8, 60, 1.5), [], NEUTRAL)
    other = sampler.distribution(logits_of(8, 60, 1.5), [], NEUTRAL.replace(temperature=1.1))
    counts = torch.zeros(60)
    for position in range(draws):
        counts[sampler.draw(distribution, NEUTRAL, position)] += 1
    assert chi_square_z(counts, other.sampled * draws) > 3.1


def reply(logits: torch.Tensor, parameters: SamplingParameters, length: int = 40) -> list[int]:
    """A reply of a "model" whose logits depend on the last token."""
    sampler, tokens = Sampler(logits.numel()), [0]
    for _ in range(length):
        distribution = sampler.distribution(logits.roll(tokens[-1] * 7), tokens, parameters)
        tokens.append(sampler.draw(distribution, parameters, len(tokens)))
    return tokens[1:]


def test_the_same_seed_gives_the_same_reply_and_another_another() -> None:
    logits = logits_of(12)
    assert reply(logits, DEFAULT.replace(seed=7)) == reply(logits, DEFAULT.replace(seed=7))
    replies = {tuple(reply(logits, DEFAULT.replace(seed=seed))) for seed in range(20)}
    assert len(replies) == 20


def test_a_draw_depends_on_seed_and_position_alone() -> None:
    """Not on what was drawn before, in which order, or by which sampler."""
    distribution = run(logits_of(13), DEFAULT)
    forwards = [Sampler(500).draw(distribution, DEFAULT, position) for position in range(50)]
    sampler = Sampler(500)
    backwards = [sampler.draw(distribution, DEFAULT, position) for position in reversed(range(50))]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) > 5
    seeds = [sampler.draw(distribution, DEFAULT.replace(seed=seed), 3) for seed in range(50)]
    assert seeds != forwards and len(set(seeds)) > 5


def test_the_draw_does_not_depend_on_how_the_survivors_were_found() -> None:
    """The same final distribution by way of top-k, of a ban, and of an untouched vocabulary."""
    logits = torch.cat([logits_of(14, 30), torch.full((30_000,), -200.0)])
    ways = [
        NEUTRAL,
        NEUTRAL.replace(top_k=30),
        NEUTRAL.replace(min_p=1e-30),
        NEUTRAL.replace(top_p=0.9999999),
    ]
    draws = [
        [Sampler(30_030).draw(run(logits, way), way, position) for position in range(100)] for way in ways
    ]
    assert draws[0] == draws[1] == draws[2] == draws[3]


@pytest.mark.parametrize("size", [0.02, 0.1, 0.5])
def test_nearby_distributions_mostly_draw_the_same(size: int) -> None:
    """With noise that belongs to the token, two draws differ with probability at most 2d / (1 + d), d being
    the total variation distance; no coupling of two given distributions differs less often than d."""
    logits, nudge = logits_of(15, 200, 2.0), logits_of(16, 200, size)
    one, other = run(logits, NEUTRAL), run(logits + nudge, NEUTRAL)
    distance = float((one.sampled - other.sampled).abs().sum()) / 2
    sampler, draws = Sampler(200), 4000
    differing = sum(
        sampler.draw(one, NEUTRAL, position) != sampler.draw(other, NEUTRAL, position)
        for position in range(draws)
    )
    deviation = math.sqrt(distance / draws)
    assert distance - 4 * deviation < differing / draws < 2 * distance / (1 + distance) + 4 * deviation


def test_raising_only_the_drawn_token_does_not_change_the_draw() -> None:
    logits = logits_of(17)
    sampler = Sampler(500)
    for position in range(200):
        drawn = sampler.draw(run(logits, NEUTRAL), NEUTRAL, position)
        raised = logits.clone()
        raised[drawn] += 1.0
        assert sampler.draw(run(raised, NEUTRAL), NEUTRAL, position) == drawn


def test_the_coin_of_xtc_is_fair_and_belongs_to_seed_and_position() -> None:
    parameters = NEUTRAL.replace(xtc_probability=0.3, xtc_threshold=0.05)
    sampler, logits = Sampler(50), logits_of(18, 50, 1.5)

    def runs() -> list[bool]:
        return ["xtc" in sampler.distribution(logits, [0] * n, parameters).steps for n in range(600)]

    first = runs()
    assert first == runs()
    assert 0.3 * 600 - 45 < sum(first) < 0.3 * 600 + 45  # four standard deviations
    assert NEUTRAL.replace(xtc_probability=1.0).xtc_threshold == 0.1


# --- Mirostat -------------------------------------------------------------------------------------------


def test_mirostat_steers_towards_its_surprise() -> None:
    means = []
    for tau in (1.0, 2.0, 3.0):
        parameters = NEUTRAL.replace(mirostat=2, mirostat_tau=tau)
        sampler, surprises = Sampler(2000), []
        for position in range(600):
            distribution = sampler.distribution(logits_of(position, 2000, 2.0), [0] * position, parameters)
            token = sampler.draw(distribution, parameters, position)
            surprises.append(-math.log2(float(distribution.sampled[token])))
        means.append(sum(surprises[100:]) / 500)
    assert means == pytest.approx([1.0, 2.0, 3.0], abs=0.25)


def test_mirostat_replaces_the_truncations_and_keeps_the_rest() -> None:
    parameters = DEFAULT.replace(mirostat=2, repetition_penalty=1.2, top_k=1)
    assert run(logits_of(3), parameters, [1]).steps == ("penalties", "temperature", "mirostat")


def test_mirostat_gives_the_same_at_a_position_asked_for_again() -> None:
    parameters = NEUTRAL.replace(mirostat=2, mirostat_tau=2.0)
    sampler, logits = Sampler(500), logits_of(19)
    bounds = []
    for position in [0, 1, 2, 3, 2, 3]:
        bounds.append(sampler.mirostat_mu(position, parameters))
        sampler.draw(sampler.distribution(logits, [0] * position, parameters), parameters, position)
    assert bounds[0] == 4.0
    assert bounds[2:4] == bounds[4:6]
    assert len(set(bounds[:4])) == 4


@pytest.mark.parametrize("size", [1, 200, 257, 16384, 40000])
@pytest.mark.parametrize("spread", [0.0, 0.5, 30.0])
def test_the_draw_is_the_largest_of_all_scores(size: int, spread: float) -> None:
    """Few logarithms are taken; the winner is the one of taking them all."""
    from chatterm.decode.samplers.randomness import Purpose, uniforms
    from chatterm.decode.sampling import _race

    chances = np.exp(spread * np.random.default_rng(size).normal(size=size))
    chances /= chances.sum()
    ids = np.arange(size) * 3
    for position in range(20):
        scores = chances / -np.log(uniforms(5, position, Purpose.DRAW, ids))
        assert _race(ids, chances, 5, position) == int(scores.argmax())
