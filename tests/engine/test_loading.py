"""Which device, how exact, how large: decisions from facts that are made up here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chatterm.engine.loading import (
    Needs,
    Place,
    check_context,
    computation,
    context_size,
    of_context,
    plan,
)
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
    assert computation(exact, prompts="float32", cache_dtype="float32") == "float32"
    fast = plan(LoadOptions(quantise="int8"), DENSE, [CPU])
    assert computation(fast, prompts="2×bf16", cache_dtype="int16") == (
        "int8 · float32 · 2×bf16 prompts · int16 cache"
    )


# --- the context window -----------------------------------------------------------------------------------


def test_a_context_is_what_was_made_for_as_far_as_memory_goes() -> None:
    assert context_size(None, 8192, 1000, 40_000_000) == 8192
    assert context_size(None, 8192, 1000, 4_000_000) == 1000, "a quarter of what is free"
    assert context_size(None, 8192, 1000, 1000) == 512, "but one can talk"
    assert context_size(None, 128, 1000, 1000) == 128


def test_a_context_that_was_asked_for_is_kept_whole_or_refused() -> None:
    assert context_size(100, 8192, 1000, 4_000_000) == 100
    assert context_size(4000, 8192, 1000, 4_000_000) == 4000, "all that is free, if it is wanted"
    assert context_size(20_000, 8192, 1000, 40_000_000) == 20_000, "longer than it was made for"
    with pytest.raises(UserError, match=r"5000 tokens takes 4 MiB, more than is free; 1000 tokens would fit"):
        context_size(5000, 8192, 1000, 4_000_000)


def test_a_context_longer_than_it_was_made_for_is_said() -> None:
    assert of_context(None, 8192) == of_context(8192, 8192) == of_context(1, 8192) == ()
    assert "16384 tokens is longer than the 8192" in of_context(16384, 8192)[0]


def test_a_context_that_cannot_be_is_refused_before_anything_is_loaded() -> None:
    check_context(None, 1024, fixed=True)
    check_context(1024, 1024, fixed=True)
    check_context(4096, 1024, fixed=False)
    with pytest.raises(UserError, match="learned positions for 1024"):
        check_context(1025, 1024, fixed=True)
    with pytest.raises(UserError, match="0 tokens is not possible"):
        check_context(0, 1024, fixed=False)


def test_memory_is_planned_with_the_context_that_was_asked_for() -> None:
    large = replace(SMALL, other_bytes=SMALL.other_bytes + 100 * GB, context_bytes=100 * GB)
    with pytest.raises(UserError, match="what would fit: a smaller --context"):
        plan(LoadOptions(context=10**6), large, [CPU])
