"""The sampler's invariants, its extremes, and the draw."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chatterm.decode.sampling import Sampler
from chatterm.errors import UserError
from chatterm.sampling import SamplingParameters
from tests.decode.sampled import DEFAULT, INF, NEUTRAL, kept, logits_of, run

parameter_sets = st.builds(
    NEUTRAL.replace,
    temperature=st.sampled_from([0.0, 0.05, 0.7, 1.0, 3.0, 100.0]),
    top_k=st.integers(0, 60),
    top_p=st.floats(0, 1),
    min_p=st.floats(0, 1),
    typical_p=st.floats(0, 1),
    top_n_sigma=st.floats(0, 5),
    xtc_probability=st.floats(0, 1),
    xtc_threshold=st.floats(0, 1),
    repetition_penalty=st.floats(0.1, 10),
    frequency_penalty=st.floats(-3, 3),
    dry_multiplier=st.floats(0, 5),
    mirostat=st.sampled_from([0, 0, 2]),
    logit_bias=st.dictionaries(st.integers(0, 20), st.floats(-50, 50) | st.just(-INF), max_size=4),
    seed=st.integers(0, 2**63 - 1),
)
logit_lists = st.lists(st.floats(-30, 30, width=32) | st.just(-INF), min_size=21, max_size=300).filter(
    lambda values: max(values) > -INF
)


@settings(max_examples=100, deadline=None)
@given(values=logit_lists, parameters=parameter_sets, history=st.lists(st.integers(0, 20), max_size=30))
def test_nothing_is_lost(values: list[float], parameters: SamplingParameters, history: list[int]) -> None:
    distribution = run(values, parameters, history)
    removals = distribution.removals()
    sampled, removed_by = distribution.sampled, distribution.removed_by

    assert float(sampled.sum()) == pytest.approx(1.0, abs=1e-12)
    assert bool((sampled[removed_by != -1] == 0).all())
    assert distribution.kept == len(kept(distribution)) >= 1
    assert distribution.kept + sum(removal.tokens for removal in removals) == len(values)
    mass = distribution.kept_mass + math.fsum(removal.mass for removal in removals)
    assert mass == pytest.approx(1.0, abs=2e-6)

    probabilities = distribution.logprobs.double().exp()
    for removal in removals:
        of_step = removed_by == distribution.steps.index(removal.step)
        assert removal.tokens == int(of_step.sum())
        assert removal.mass == pytest.approx(float(probabilities[of_step].sum()), abs=2e-6)


@settings(max_examples=40, deadline=None)
@given(values=logit_lists, parameters=parameter_sets)
def test_the_model_column_is_log_softmax_whatever_the_sampler_does(
    values: list[float], parameters: SamplingParameters
) -> None:
    logits = torch.tensor(values)
    before = logits.clone()
    distribution = run(logits, parameters)
    expected = torch.log_softmax(logits.double(), 0)
    assert torch.equal(logits, before)
    torch.testing.assert_close(distribution.logprobs.double(), expected, atol=5e-6, rtol=1e-6)
    entropy = -torch.xlogy(expected.exp(), expected.exp()).sum()
    assert distribution.entropy() == pytest.approx(float(entropy), abs=2e-5)


@settings(max_examples=60, deadline=None, derandomize=True)  # rounding decides where a mass just meets p
@given(seed=st.integers(0, 10**6), vocabulary=st.sampled_from([30, 700, 6000]), data=st.data())
def test_renumbering_the_tokens_renumbers_the_result(seed: int, vocabulary: int, data: st.DataObject) -> None:
    logits = logits_of(seed, vocabulary)
    parameters = data.draw(parameter_sets).replace(logit_bias={}, repetition_penalty=1.0, xtc_probability=0.0)
    order = torch.randperm(vocabulary, generator=torch.Generator().manual_seed(seed + 1))
    if logits.unique().numel() < vocabulary:
        return  # equals are told apart by their number
    plain, renumbered = run(logits, parameters), run(logits[order], parameters)
    torch.testing.assert_close(renumbered.sampled, plain.sampled[order], atol=1e-9, rtol=1e-5)


# --- temperature ----------------------------------------------------------------------------------------


def test_log_odds_scale_with_one_over_temperature() -> None:
    logits = logits_of(1, 50)
    odds = run(logits, NEUTRAL).sampled.log()
    for temperature in (0.25, 0.8, 2.0, 100.0):
        scaled = run(logits, NEUTRAL.replace(temperature=temperature)).sampled.log()
        expected = (odds - odds[0]) / temperature
        torch.testing.assert_close(scaled - scaled[0], expected, atol=1e-4, rtol=1e-5)


def test_temperature_towards_zero_is_the_argmax_and_zero_is_it() -> None:
    logits = logits_of(2)
    best = int(logits.argmax())
    for temperature in (1e-3, 1e-30, 1e-45, 5e-324):
        distribution = run(logits, NEUTRAL.replace(temperature=temperature))
        assert float(distribution.sampled[best]) == pytest.approx(1.0)
    zero = run(logits, NEUTRAL.replace(temperature=0.0))
    assert kept(zero) == [best]
    assert [removal.step for removal in zero.removals()] == ["temperature"]
    assert zero.top(3)[1].removed_by == "temperature"


def test_high_temperature_tends_to_uniform() -> None:
    flat = run(logits_of(3, 200), NEUTRAL.replace(temperature=100.0)).sampled
    assert float((flat - 1 / 200).abs().max()) < 0.2 / 200
    assert bool((flat > 0).all())


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    low=st.floats(0.05, 3),
    high=st.floats(0.05, 3),
)
def test_a_higher_temperature_is_never_more_certain(seed: int, low: float, high: float) -> None:
    low, high = sorted((low, high))
    logits = logits_of(seed, 60)

    def entropy(temperature: float) -> float:
        p = run(logits, NEUTRAL.replace(temperature=temperature)).sampled
        return -float(torch.xlogy(p, p).sum())

    assert entropy(low) <= entropy(high) + 1e-6


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    vocabulary=st.sampled_from([50, 5000]),
    field=st.sampled_from(["top_k", "top_p", "min_p", "typical_p", "top_n_sigma"]),
    one=st.floats(0.001, 1),
    other=st.floats(0.001, 1),
)
def test_a_looser_value_keeps_a_superset(
    seed: int, vocabulary: int, field: str, one: float, other: float
) -> None:
    tight, loose = sorted((one, other), reverse=field == "min_p")
    if field == "top_k":
        tight, loose = 1 + int(tight * 60), 1 + int(loose * 60)
    if field == "top_n_sigma":
        tight, loose = 4 * tight, 4 * loose
    logits = logits_of(seed, vocabulary)
    few = kept(run(logits, NEUTRAL.replace(**{field: tight})))
    many = kept(run(logits, NEUTRAL.replace(**{field: loose})))
    assert set(few) <= set(many)


# --- extremes -------------------------------------------------------------------------------------------

LOGITS = [1.0, 4.0, 2.0, 4.0, -1.0]

EXTREMES: dict[str, tuple[dict[str, object], list[int]]] = {
    "temperature 0, the lower of two equals": ({"temperature": 0.0}, [1]),
    "temperature 100": ({"temperature": 100.0}, [0, 1, 2, 3, 4]),
    "top-k 1, the lower of two equals": ({"top_k": 1}, [1]),
    "top-k over the vocabulary": ({"top_k": 10**9}, [0, 1, 2, 3, 4]),
    "top-p 0": ({"top_p": 0.0}, [1]),
    "top-p just under one half": ({"top_p": 0.4}, [1]),
    "min-p 1 keeps equals": ({"min_p": 1.0}, [1, 3]),
    "min-p tiny": ({"min_p": 5e-324}, [0, 1, 2, 3, 4]),
    "typical 0": ({"typical_p": 0.0}, [1]),
    "top-n-sigma tiny": ({"top_n_sigma": 1e-300}, [1, 3]),
    "top-n-sigma huge": ({"top_n_sigma": 1e308}, [0, 1, 2, 3, 4]),
    "xtc, threshold 0, keeps the least probable": ({"xtc_probability": 1.0, "xtc_threshold": 0.0}, [4]),
    "xtc, threshold over one half": ({"xtc_probability": 1.0, "xtc_threshold": 0.6}, [0, 1, 2, 3, 4]),
    "every token banned": ({"logit_bias": dict.fromkeys(range(5), -INF)}, [1]),
    "all but one banned": ({"logit_bias": dict.fromkeys(range(4), -INF)}, [4]),
    "banned after top-k": ({"top_k": 1, "logit_bias": {1: -INF}}, [3]),
    "bias beyond float32": ({"logit_bias": {4: 1e300}}, [0, 1, 2, 3, 4]),
    "mirostat with tau 0": ({"mirostat": 2, "mirostat_tau": 0.0}, [1]),
    "mirostat with a huge tau": ({"mirostat": 2, "mirostat_tau": 1e308}, [0, 1, 2, 3, 4]),
    "tiny temperature before top-n-sigma": (
        {"temperature": 1e-300, "top_n_sigma": 1.0, "order": ("temperature", "top_n_sigma")},
        [1, 3],
    ),
    "no steps at all": ({"order": (), "temperature": 0.0, "top_k": 1}, [0, 1, 2, 3, 4]),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_extremes(name: str) -> None:
    changes, survivors = EXTREMES[name]
    distribution = run(LOGITS, NEUTRAL.replace(**changes))
    assert kept(distribution) == survivors
    assert float(distribution.sampled.sum()) == pytest.approx(1.0)
    parameters = NEUTRAL.replace(**changes)
    assert Sampler(5).draw(distribution, parameters, 0) in survivors


def test_a_large_bias_forces_its_token() -> None:
    forced = run(LOGITS, NEUTRAL.replace(logit_bias={4: 1e300}))
    assert float(forced.sampled[4]) == 1.0
    assert forced.top(1)[0].id == 1  # the model's own opinion stays as it was


def test_an_overflowing_repetition_is_removed() -> None:
    parameters = NEUTRAL.replace(dry_multiplier=1e300, dry_base=1e300, dry_allowed_length=1)
    history = [2, 3, 2, 3, 2]
    distribution = run(LOGITS, parameters, history)
    assert distribution.top(5)[1] == (3, pytest.approx(float(distribution.logprobs[3])), 2, 0.0, "dry")


def test_xtc_never_drops_an_end_token() -> None:
    parameters = NEUTRAL.replace(xtc_probability=1.0, xtc_threshold=0.05)
    logits = torch.tensor(LOGITS)
    assert kept(Sampler(5).distribution(logits, [], parameters)) == [0, 2, 4]
    assert kept(Sampler(5, end_ids=[3]).distribution(logits, [], parameters)) == [0, 2, 3, 4]


def test_what_the_model_excludes_is_said_to_be_excluded_by_it() -> None:
    distribution = run([0.0, -INF, 1.0, -INF], NEUTRAL.replace(top_k=1))
    assert [row.removed_by for row in distribution.top(2, also=[1, 3])] == [None, "top_k", "model", "model"]
    assert distribution.removals() == [("model", 2, 0.0), ("top_k", 1, pytest.approx(1 / (1 + math.e)))]
    assert distribution.logprob(3) == -INF


@pytest.mark.parametrize("values", [[0.0, math.nan], [0.0, INF], [-INF, -INF], [math.nan, -INF]])
def test_logits_that_are_no_distribution_are_refused(values: list[float]) -> None:
    with pytest.raises(UserError, match="not finite"):
        run(values, DEFAULT)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"logit_bias": {5: 1.0}}, "names token 5, but this model's tokens are 0 to 4"),
        ({"logit_bias": {-1: 1.0}}, "names token -1"),
        ({"logit_bias": {0: math.nan}}, "logit bias of token 0"),
        ({"logit_bias": {0: INF}}, "logit bias of token 0"),
        ({"top_n_sigma": INF}, "top_n_sigma is inf"),
        ({"order": ("top_k",) * 65}, "has 65 steps"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        run(LOGITS, NEUTRAL.replace(**changes))


def test_a_parameter_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(UserError, match="temperature is nan"):
        run(LOGITS, SamplingParameters(temperature=math.nan))  # made without a check of its range


def test_logits_of_another_vocabulary_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="expected \\(6,\\)"):
        Sampler(6).distribution(torch.zeros(5), [], DEFAULT)


BY_HAND: list[tuple[list[float], dict[str, object], list[float]]] = [
    ([0.1, 0.2, 0.3, 0.4], {"top_p": 0.7}, [0, 0, 3 / 7, 4 / 7]),  # 0.4 + 0.3 reaches 0.7
    ([0.1, 0.2, 0.3, 0.4], {"top_p": 0.71}, [0, 2 / 9, 3 / 9, 4 / 9]),
    ([0.25, 0.25, 0.5], {"top_p": 0.5}, [0, 0, 1]),
    ([0.1, 0.2, 0.3, 0.4], {"min_p": 0.6}, [0, 0, 3 / 7, 4 / 7]),
    ([0.1, 0.2, 0.7], {"temperature": 0.5}, [1 / 54, 4 / 54, 49 / 54]),
    ([0.5, 0.3, 0.2], {"xtc_probability": 1.0, "xtc_threshold": 0.25}, [0, 0.6, 0.4]),
    ([0.5, 0.3, 0.2], {"xtc_probability": 1.0, "xtc_threshold": 0.4}, [0.5, 0.3, 0.2]),  # one alone stays
    ([0.94, 0.02, 0.02, 0.02], {"typical_p": 0.5}, [1, 0, 0, 0]),
    ([0.4, 0.2, 0.2, 0.2], {"typical_p": 0.5}, [0, 1 / 3, 1 / 3, 1 / 3]),  # the most probable is not typical
    ([0.2] * 5, {"presence_penalty": math.log(2.0)}, [1 / 9, 2 / 9, 2 / 9, 2 / 9, 2 / 9]),
    ([0.2] * 5, {"frequency_penalty": math.log(2.0)}, [1 / 33, 8 / 33, 8 / 33, 8 / 33, 8 / 33]),
    ([0.2] * 5, {"repetition_penalty": 2.0}, [1 / 21, 5 / 21, 5 / 21, 5 / 21, 5 / 21]),  # ln 0.2 doubled
]


@pytest.mark.parametrize(("probabilities", "changes", "expected"), BY_HAND)
def test_small_cases_worked_out_by_hand(
    probabilities: list[float], changes: dict[str, object], expected: list[float]
) -> None:
    history = [0, 0, 0] if any("penalty" in name for name in changes) else []
    distribution = run(torch.tensor(probabilities).log(), NEUTRAL.replace(**changes), history)
    assert distribution.sampled.tolist() == pytest.approx(expected, abs=1e-6)


# --- order ----------------------------------------------------------------------------------------------


def test_the_order_of_the_steps_matters() -> None:
    logits = logits_of(5)
    changes = {"temperature": 2.0, "top_p": 0.8}
    default = run(logits, NEUTRAL.replace(**changes))
    heated = run(logits, NEUTRAL.replace(**changes, order=("temperature", "top_p")))
    assert default.steps == ("top_p", "temperature")
    assert heated.steps == ("temperature", "top_p")
    assert default.kept < heated.kept


def test_a_step_outside_the_order_does_not_run() -> None:
    distribution = run(logits_of(5), DEFAULT.replace(order=("top_k",)))
    assert distribution.steps == ("top_k",)
    assert distribution.kept == 40


def test_dtype_and_history_may_come_in_any_form() -> None:
    logits = logits_of(6).bfloat16()
    parameters = DEFAULT.replace(repetition_penalty=1.5, dry_multiplier=1.0, dry_allowed_length=1)
    history = [3, 4, 5, 3, 4]
    sampler = Sampler(500)
    as_list = sampler.distribution(logits, history, parameters)
    as_tensor = sampler.distribution(logits, torch.tensor(history), parameters)
    assert torch.equal(as_list.sampled, as_tensor.sampled)
    assert as_list.position == as_tensor.position == 5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_logits_on_a_gpu_give_the_same() -> None:
    logits = logits_of(6)
    assert torch.equal(run(logits, DEFAULT).sampled, run(logits.cuda(), DEFAULT).sampled)
