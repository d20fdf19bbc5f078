"""The arithmetic and the parsing of the benchmarks; what they measure decides no test."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.accuracy import deviation
from benchmarks.engines import llama_rates
from benchmarks.figures import Spread, percentile, ratio, replace_section, table


def test_a_spread_is_the_median_between_the_extremes() -> None:
    assert Spread((3.0, 1.0, 2.0)).text() == "2.0 (1.0 … 3.0)"
    assert Spread((1234.5,)).text(0) == "1,234 (1,234 … 1,234)"


def test_ratios_are_of_pairs() -> None:
    assert ratio([2.0, 9.0], [1.0, 3.0]).values == (2.0, 3.0)
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_is_the_least_value_that_enough_do_not_exceed(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    below = [value for value in values if value < found]
    assert len(below) < math.ceil(share * len(values))


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.1)])
def test_there_is_no_percentile_of_nothing(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="no percentile"):
        percentile(values, share)


def test_a_table_is_markdown() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_a_section_is_replaced_and_nothing_else() -> None:
    document = "before\n<!-- x -->\nold\n<!-- end of x -->\nafter"
    assert replace_section(document, "x", "new\n") == "before\n<!-- x -->\nnew\n<!-- end of x -->\nafter"
    with pytest.raises(ValueError, match="no section y"):
        replace_section(document, "y", "new")


def test_llama_bench_is_read() -> None:
    output = (
        '[{"n_prompt": 512, "n_gen": 0, "avg_ts": 201.5}, {"n_prompt": 0, "n_gen": 128, "avg_ts": 93.25}]'
    )
    assert llama_rates(output) == (201.5, 93.25)


def test_a_distribution_deviates_from_itself_by_nothing() -> None:
    logits = torch.randn(7, 30, generator=torch.Generator().manual_seed(1))
    same = deviation("same", iter([logits]), iter([logits + 3.0]))  # a shift of all logits changes nothing
    assert same.divergence == pytest.approx(0.0, abs=1e-6)
    assert same.agreement == 1.0
    assert same.largest == pytest.approx(0.0, abs=1e-5)


def test_a_deviation_is_that_of_the_definition() -> None:
    exact = torch.tensor([[0.0, 1.0, 2.0, *[-9.0] * 9]])
    other = torch.tensor([[2.0, 1.0, 0.0, *[-9.0] * 9]])
    found = deviation("other", iter([exact]), iter([other]))
    p, q = exact[0].double().softmax(-1), other[0].double().softmax(-1)
    assert found.divergence == pytest.approx(float((p * (p / q).log()).sum()))
    assert found.agreement == 0.0
    assert found.largest == pytest.approx(float((p.log() - q.log()).abs().max()))
