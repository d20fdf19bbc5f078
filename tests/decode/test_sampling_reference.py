"""The sampler chain once more, naively: dictionaries, loops and sorts. The fast one must agree with it."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chatterm.decode.samplers.randomness import Purpose, uniform
from chatterm.decode.sampling import Sampler
from chatterm.sampling import DEFAULT_ORDER, SamplingParameters

Logits = dict[int, float]


def softmax(logits: Logits) -> dict[int, float]:
    top = max(logits.values())
    weights = {token: math.exp(logit - top) for token, logit in logits.items()}
    total = math.fsum(weights.values())
    return {token: weight / total for token, weight in weights.items()}


def ordered(logits: Logits) -> list[int]:
    return sorted(logits, key=lambda token: (-logits[token], token))


def select(logits: Logits, kept: Sequence[int]) -> Logits:
    return {token: logits[token] for token in kept}


def penalties(logits: Logits, history: Sequence[int], p: SamplingParameters) -> Logits:
    n = p.penalty_last_n
    window = list(history) if n == -1 else list(history)[len(history) - min(n, len(history)) :]
    result = dict(logits)
    for token in set(window) & set(logits):
        value = logits[token]
        value = value / p.repetition_penalty if value > 0 else value * p.repetition_penalty
        result[token] = value - window.count(token) * p.frequency_penalty - p.presence_penalty
    return result


def dry(
    logits: Logits,
    history: Sequence[int],
    p: SamplingParameters,
    breakers: Mapping[int, Sequence[tuple[int, ...]]],
) -> Logits:
    n = p.dry_penalty_last_n
    window = list(history) if n == -1 else list(history)[len(history) - min(n, len(history)) :]
    if len(window) <= p.dry_allowed_length:
        return logits
    limit = len(window)
    for back in range(len(window)):
        head = window[len(window) - 1 - back]
        after = window[len(window) - back :]
        tails = [len(tail) for tail in breakers.get(head, ()) if tuple(after[: len(tail)]) == tail]
        if tails:
            limit = back - max(tails)
            break
    if limit < p.dry_allowed_length:
        return logits
    longest: dict[int, int] = {}
    for end in range(1, len(window)):  # window[end] would be repeated; what precedes it is compared
        length = 0
        while length < min(end, limit) and window[end - 1 - length] == window[len(window) - 1 - length]:
            length += 1
        if length >= p.dry_allowed_length:
            longest[window[end]] = max(length, longest.get(window[end], 0))
    result = dict(logits)
    for token, length in longest.items():
        if token in result and () not in breakers.get(token, ()):
            result[token] -= p.dry_multiplier * p.dry_base ** (length - p.dry_allowed_length)
    return result


def top_n_sigma(logits: Logits, n: float) -> Logits:
    mean = math.fsum(logits.values()) / len(logits)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in logits.values()) / len(logits))
    bound = max(logits.values()) - n * deviation
    return select(logits, [token for token in logits if logits[token] >= bound])


def top_k(logits: Logits, k: int) -> Logits:
    return select(logits, ordered(logits)[:k])


def typical(logits: Logits, threshold: float) -> Logits:
    p = softmax(logits)
    entropy = -math.fsum(value * math.log(value) for value in p.values())
    mass, kept = 0.0, []
    for token in sorted(ordered(logits), key=lambda token: abs(-math.log(p[token]) - entropy)):
        kept.append(token)
        mass += p[token]
        if mass > threshold:
            break
    return select(logits, kept)


def top_p(logits: Logits, threshold: float) -> Logits:
    p = softmax(logits)
    mass, kept = 0.0, []
    for token in ordered(logits):
        kept.append(token)
        mass += p[token]
        if mass >= threshold:
            break
    return select(logits, kept)


def min_p(logits: Logits, threshold: float) -> Logits:
    p = softmax(logits)
    bound = threshold * max(p.values())
    return select(logits, [token for token in logits if p[token] >= bound])


def xtc(logits: Logits, threshold: float, end_ids: Sequence[int]) -> Logits:
    p = softmax(logits)
    above = [token for token in ordered(logits) if p[token] >= threshold]
    dropped = {token for token in above[:-1] if token not in end_ids}
    return select(logits, [token for token in logits if token not in dropped])


def mirostat(logits: Logits, mu: float) -> Logits:
    p = softmax(logits)
    kept = [token for token in logits if -math.log2(p[token]) <= mu]
    return select(logits, kept or ordered(logits)[:1])


def chain(
    logits: Sequence[float],
    history: Sequence[int],
    p: SamplingParameters,
    *,
    breakers: Mapping[int, Sequence[tuple[int, ...]]] | None = None,
    end_ids: Sequence[int] = (),
    xtc_runs: bool = False,
    mu: float | None = None,
) -> dict[int, float]:
    """The probabilities of the draw, by token. Logits must be finite."""
    left = dict(enumerate(logits))
    for token, bias in p.logit_bias.items():
        left[token] += bias
    for step in p.order:
        if mu is not None and step in ("top_n_sigma", "top_k", "typical", "top_p", "min_p", "xtc"):
            continue
        match step:
            case "penalties":
                left = penalties(left, history, p) if p.penalty_last_n else left
            case "dry":
                active = p.dry_multiplier and p.dry_penalty_last_n
                left = dry(left, history, p, breakers or {}) if active else left
            case "top_n_sigma":
                left = top_n_sigma(left, p.top_n_sigma) if p.top_n_sigma else left
            case "top_k":
                left = top_k(left, p.top_k) if p.top_k else left
            case "typical":
                left = typical(left, p.typical_p) if p.typical_p < 1 else left
            case "top_p":
                left = top_p(left, p.top_p) if p.top_p < 1 else left
            case "min_p":
                left = min_p(left, p.min_p) if p.min_p else left
            case "xtc":
                left = xtc(left, p.xtc_threshold, end_ids) if xtc_runs and p.xtc_threshold <= 0.5 else left
            case "temperature":
                if p.temperature == 0:
                    left = select(left, ordered(left)[:1])
                else:
                    left = {token: logit / p.temperature for token, logit in left.items()}
    if mu is not None:
        left = mirostat(left, mu)
    return softmax(left)


# --- the comparison -------------------------------------------------------------------------------------


NEUTRAL = SamplingParameters(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0)
END_IDS = (1, 5)
BREAKERS: dict[int, tuple[tuple[int, ...], ...]] = {3: ((),), 4: ((6, 7), (6,))}


def random_logits(seed: int, vocabulary: int, spread: float = 3.0) -> list[float]:
    """Float32 values as numbers."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(vocabulary, generator=generator) * spread
    return [float(value) for value in logits]


def compare(logits: list[float], history: Sequence[int], parameters: SamplingParameters) -> None:
    sampler = Sampler(len(logits), lambda strings: BREAKERS, END_IDS)
    coin = uniform(parameters.seed, len(history), Purpose.XTC) < parameters.xtc_probability
    mu = 2 * parameters.mirostat_tau if parameters.mirostat else None
    expected = chain(logits, history, parameters, breakers=BREAKERS, end_ids=END_IDS, xtc_runs=coin, mu=mu)
    distribution = sampler.distribution(torch.tensor(logits), history, parameters)
    sampled = distribution.sampled
    # A float32 logit that is scaled or penalised over the whole vocabulary is rounded once more.
    assert {token for token in range(len(logits)) if distribution.removed_by[token] == -1} == set(expected)
    for token, probability in expected.items():
        assert float(sampled[token]) == pytest.approx(probability, rel=2e-5, abs=1e-9)


STEPS = {
    "temperature": {"temperature": 0.6},
    "temperature zero": {"temperature": 0.0},
    "temperature high": {"temperature": 100.0},
    "top_k": {"top_k": 7},
    "top_k all": {"top_k": 10**6},
    "top_p": {"top_p": 0.8},
    "top_p wide": {"top_p": 0.999},
    "min_p": {"min_p": 0.02},
    "typical": {"typical_p": 0.7},
    "typical wide": {"typical_p": 0.995},
    "top_n_sigma": {"top_n_sigma": 1.5},
    "xtc": {"xtc_probability": 1.0, "xtc_threshold": 0.05},
    "xtc never": {"xtc_probability": 1.0, "xtc_threshold": 0.51},
    "repetition": {"repetition_penalty": 1.4},
    "repetition under one": {"repetition_penalty": 0.7},
    "frequency": {"frequency_penalty": 0.8, "penalty_last_n": -1},
    "presence": {"presence_penalty": -1.2, "penalty_last_n": 5},
    "no window": {"repetition_penalty": 2.0, "penalty_last_n": 0},
    "dry": {"dry_multiplier": 0.8},
    "dry from length zero": {"dry_multiplier": 0.5, "dry_allowed_length": 0},
    "dry window": {"dry_multiplier": 0.8, "dry_allowed_length": 1, "dry_penalty_last_n": 12},
    "bias": {"logit_bias": {0: 4.0, 2: -3.0}},
    "mirostat": {"mirostat": 2, "mirostat_tau": 1.5},
    "mirostat and temperature": {"mirostat": 2, "temperature": 0.5, "top_k": 1, "repetition_penalty": 1.3},
    "default": {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05},
    "everything": {
        "temperature": 0.9,
        "top_k": 60,
        "top_p": 0.97,
        "min_p": 0.01,
        "typical_p": 0.98,
        "top_n_sigma": 3.0,
        "xtc_probability": 1.0,
        "xtc_threshold": 0.1,
        "repetition_penalty": 1.1,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.1,
        "dry_multiplier": 0.8,
        "logit_bias": {3: 1.5},
    },
    "temperature first": {
        "temperature": 0.5,
        "top_p": 0.8,
        "typical_p": 0.9,
        "min_p": 0.1,
        "order": ("temperature", "typical", "top_p", "min_p"),
    },
    "penalties last": {
        "top_k": 20,
        "repetition_penalty": 1.5,
        "dry_multiplier": 1.0,
        "dry_allowed_length": 0,
        "order": ("top_k", "penalties", "dry", "top_p", "temperature"),
        "top_p": 0.9,
    },
    "a step twice": {"top_p": 0.9, "order": ("top_p", "temperature", "top_p"), "temperature": 0.7},
}


@pytest.mark.parametrize("vocabulary", [40, 3000])
@pytest.mark.parametrize("name", STEPS)
def test_each_step_agrees_with_the_naive_one(name: str, vocabulary: int) -> None:
    parameters = NEUTRAL.replace(**STEPS[name])
    for seed in range(4):
        spread = (0.5, 2.0, 3.0, 6.0)[seed]
        history = random.Random(seed).choices(range(12), k=60)
        compare(random_logits(seed, vocabulary, spread), history, parameters)


def test_a_flat_distribution_over_a_large_vocabulary() -> None:
    """The bounded look at the leading tokens is not enough here and the steps must fall back."""
    logits = random_logits(9, 20_000, spread=0.3)
    for changes in ({"top_p": 0.9}, {"typical_p": 0.9}, {"min_p": 0.2}, {"top_k": 5000}):
        compare(logits, [], NEUTRAL.replace(**changes))


@settings(max_examples=150, deadline=None, derandomize=True)  # rounding decides where a mass just meets p
@given(
    seed=st.integers(0, 10**6),
    vocabulary=st.integers(2, 400),
    order=st.permutations(DEFAULT_ORDER),
    history=st.lists(st.integers(0, 9), max_size=40),
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.0]),
    top_k=st.sampled_from([0, 1, 3, 40]),
    top_p=st.sampled_from([0.0, 0.31, 0.87, 1.0]),
    min_p=st.sampled_from([0.0, 0.013, 0.17]),
    typical_p=st.sampled_from([1.0, 0.23, 0.91]),
    top_n_sigma=st.sampled_from([0.0, 1.1]),
    xtc_probability=st.sampled_from([0.0, 1.0]),
    repetition_penalty=st.sampled_from([1.0, 1.2]),
    dry_multiplier=st.sampled_from([0.0, 0.8]),
)
def test_any_order_and_values_agree_with_the_naive_chain(
    seed: int, vocabulary: int, order: list[str], history: list[int], **values: float
) -> None:
    history = [token for token in history if token < vocabulary]
    compare(random_logits(seed, vocabulary), history, NEUTRAL.replace(order=tuple(order), **values))
