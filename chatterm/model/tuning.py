"""What this machine does best, measured once and remembered: threads, bandwidth, reading prompts."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Mapping

import msgspec
import torch

from chatterm import paths
from chatterm.model.native.build import NotBuiltError, library, processor
from chatterm.model.native.tiles import Pool, Tiles
from chatterm.model.prefill.operator import Operator

MAX_BYTES = 1 << 16
"""Of what is remembered."""

ROWS, COLUMNS = 4096, 4096
"""Of the trial matrix: 32 MiB in bfloat16."""
TOKENS = 256
PASSES = 4
MOST_THREADS = 16
WORTH = 0.9
"""Fewer threads are taken if they reach this share of the best rate."""


class Tuning(msgspec.Struct, frozen=True):
    """What was measured."""

    machine: str  # fingerprint of processor, torch and operator
    threads: int  # to compute with
    multiply: dict[int, float]  # threads → GB/s of weights in a product with one vector; empty: no operator
    stream: float  # GB/s of a plain streaming read
    float32: float  # GFLOP/s of a float32 product with many tokens, by torch
    matrix_unit: float | None  # GFLOP/s with the matrix unit, in two bfloat16 parts; None: none here


def tuning(*, anew: bool = False) -> Tuning:
    """What is remembered of this machine; measured (about a second) where nothing is, or if `anew`.

    A busy machine says little about itself: its threads are then chosen by rule, and nothing is remembered.
    """
    file = paths.cache_folder() / "tuning.json"
    machine = _machine()
    if not anew:
        with contextlib.suppress(OSError, msgspec.DecodeError):
            known = msgspec.json.decode(paths.first_bytes(file, MAX_BYTES), type=Tuning)
            if known.machine == machine and 1 <= known.threads <= 64:
                return known
    measured = _measure(machine)
    if _busy():
        return msgspec.structs.replace(measured, threads=best_threads({}, cores()))
    with contextlib.suppress(OSError):
        paths.make_private(file.parent)
        paths.write_private(file, msgspec.json.encode(measured), durable=False)
    return measured


def best_threads(rates: Mapping[int, float], cores: int) -> int:
    """Threads to compute with: the fewest that come near the best rate.

    On more than two cores one is left to the interface where that costs less than a tenth.
    """
    if not rates:
        return max(1, cores - 1 if cores > 2 else cores)
    best = max(rates.values())
    return min(threads for threads, rate in rates.items() if rate >= WORTH * best)


def _busy() -> bool:
    """Whether others leave no whole core free on average over the last minute."""
    return hasattr(os, "getloadavg") and os.getloadavg()[0] > max(0.75, cores() - 1)


def _machine() -> str:
    """Changes with the processor, the cores we may use, torch and the operator's sources."""
    try:
        operator = library()._name
    except NotBuiltError as error:
        operator = str(error)
    facts = repr((processor(), cores(), str(torch.__version__), operator))
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def cores() -> int:
    """Logical cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _measure(machine: str) -> Tuning:
    before = torch.get_num_threads()
    with torch.inference_mode():
        weight = torch.ones(ROWS, COLUMNS, dtype=torch.bfloat16)
        multiply, unit = _native_rates(weight)
        threads = best_threads(multiply, cores())
        torch.set_num_threads(threads)
        try:
            many, matrix = torch.ones(TOKENS, 1024), torch.ones(1024, 1024)
            product = _fastest([lambda: many @ matrix.T])[0]
            flat = weight.view(torch.int64)
            stream = _fastest([lambda: flat.sum()])[0]
        finally:
            torch.set_num_threads(before)
    return Tuning(
        machine=machine,
        threads=threads,
        multiply=multiply,
        stream=weight.nbytes / stream / 1e9,
        float32=2 * TOKENS * 1024 * 1024 / product / 1e9,
        matrix_unit=unit,
    )


def _native_rates(weight: torch.Tensor) -> tuple[dict[int, float], float | None]:
    """GB/s by threads of a product with one vector; GFLOP/s of one with many, if there is a matrix unit."""
    try:
        pools = {count: Pool(count) for count in range(1, min(cores(), MOST_THREADS) + 1)}
    except NotBuiltError:
        return {}, None
    matrix, vector = Tiles(weight, None, pools[1]), torch.ones(COLUMNS)

    def multiply(pool: Pool) -> None:
        matrix.pool = pool
        matrix.times(vector)

    times = _fastest([lambda pool=pool: multiply(pool) for pool in pools.values()])  # type: ignore[misc]
    rates = {count: weight.nbytes / seconds / 1e9 for count, seconds in zip(pools, times, strict=True)}
    try:
        operator = Operator(pools[best_threads(rates, cores())])
    except NotBuiltError:
        return rates, None
    if not operator.unit:
        return rates, None
    tokens, square = torch.ones(TOKENS, 1024), Tiles(weight[:1024, :1024], None, operator.pool)
    seconds = _fastest([lambda: operator.product(tokens, [square], "trial")])[0]
    return rates, 2 * TOKENS * 1024 * 1024 / seconds / 1e9


def _fastest(works: list[Callable[[], object]]) -> list[float]:
    """The shortest time of each, in seconds; in turn, so that a disturbance does not meet only one."""
    times = [float("inf")] * len(works)
    for _ in range(PASSES):
        for index, work in enumerate(works):
            begun = time.perf_counter()
            work()
            times[index] = min(times[index], time.perf_counter() - begun)
    return times
