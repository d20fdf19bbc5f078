"""Which device, how exact, how large: decisions from facts that are made up here."""

from __future__ import annotations

import pytest

from chatterm.engine.loading import Needs, Place, computation, plan
from chatterm.engine.messages import LoadOptions
from chatterm.errors import UserError

GB = 10**9
CPU = Place("cpu", 16 * GB)
GPU = Place("cuda:0", 8 * GB)
SMALL = Needs("small", "Q4_1", 10**9, GB, GB // 2, stays_packed=True)
DENSE = Needs("dense", "bfloat16", 10 * GB, 20 * GB, GB, stays_packed=True)


def test_auto_takes_the_fastest_that_fits() -> None:
    assert plan(LoadOptions(), SMALL, [GPU, CPU]).device == "cuda:0"
    assert plan(LoadOptions(), SMALL, [Place("cuda:0", GB), CPU]).device == "cpu"
    assert plan(LoadOptions(), SMALL, [CPU]).device == "cpu"


def test_auto_leaves_packed_weights_to_the_processor_where_both_read_the_same_memory() -> None:
    beside = Place("mps", 16 * GB, shares_memory=True)
    dense = Needs("dense", "bfloat16", 10**9, 2 * GB, GB // 2, stays_packed=True)
    assert plan(LoadOptions(), SMALL, [beside, CPU]).device == "cpu"
    assert plan(LoadOptions(), dense, [beside, CPU]).device == "mps"
    assert plan(LoadOptions(device="mps"), SMALL, [beside, CPU]).device == "mps"


@pytest.mark.parametrize(
    ("options", "places", "dtype", "exact"),
    [
        (LoadOptions(), [CPU], "float32", False),
        (LoadOptions(exact=True), [CPU], "float32", True),
        (LoadOptions(), [GPU, CPU], "bfloat16", False),
        (LoadOptions(exact=True), [GPU, CPU], "float32", True),
        (LoadOptions(), [Place("cuda:0", 8 * GB, bfloat16=False), CPU], "float32", True),
    ],
)
def test_numbers_are_float32_on_a_cpu_and_where_exact(options, places, dtype, exact) -> None:
    chosen = plan(options, SMALL, places)
    assert (chosen.dtype, chosen.exact) == (dtype, exact)


def test_what_does_not_fit_is_refused_with_figures_and_what_would_fit() -> None:
    with pytest.raises(UserError) as refused:
        plan(LoadOptions(), DENSE, [GPU, CPU])
    sentence = refused.value.sentence
    assert "21.0 GB on cpu" in sentence and "16.0 GB are free" in sentence
    assert "--quant int8 (11.6 GB)" in sentence and "--quant int4" in sentence and "cuda" not in sentence
    assert plan(LoadOptions(quantise="int8"), DENSE, [GPU, CPU]).device == "cpu"


def test_another_device_is_named_where_it_has_room() -> None:
    with pytest.raises(UserError, match=r"--device cpu \(1\.5 GB\)"):
        plan(LoadOptions(device="cuda", exact=True), SMALL, [Place("cuda:0", 4 * GB), CPU])


def test_quantising_is_said_and_refused_where_it_has_been_done() -> None:
    assert "int4" in plan(LoadOptions(quantise="int4"), DENSE, [CPU]).notices[0]
    with pytest.raises(UserError, match="quantised already"):
        plan(LoadOptions(quantise="int8"), SMALL, [CPU])


@pytest.mark.parametrize("name", ["cuda:1", "mps", "warp"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="no device"):
        plan(LoadOptions(device=name), SMALL, [GPU, CPU])


def test_the_computation_is_said_in_few_words() -> None:
    exact = plan(LoadOptions(exact=True), SMALL, [CPU])
    assert computation(exact, fast_prompts=False, cache_dtype="float32") == "float32"
    fast = plan(LoadOptions(quantise="int8"), DENSE, [CPU])
    assert computation(fast, fast_prompts=True, cache_dtype="int16") == (
        "int8 · float32 · 2×bf16 prompts · int16 cache"
    )
