"""Speed and remaining time, by a clock that the test turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatterm.checkpoint.fetch.progress import FetchProgress, FetchStoppedError, Meter
from chatterm.checkpoint.fetch.storage import in_words


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def reports():
    return []


@pytest.fixture
def meter(clock, reports):
    return Meter(reports.append, clock=clock)


def test_a_steady_download(meter, clock, reports):
    meter.begin("downloading a", 1000)
    for second in range(1, 5):
        clock.now += 1
        meter.advance(second * 100)
    assert reports[0] == FetchProgress("downloading a", 0, 1000)
    assert reports[-1] == FetchProgress("downloading a", 400, 1000, 100.0, 6.0)


def test_the_speed_is_that_of_the_last_seconds(meter, clock, reports):
    meter.begin("downloading a", 100_000)
    done = 0
    for step in [1000] * 20 + [10] * 20:
        clock.now += 1
        done += step
        meter.advance(done)
    assert reports[-1].per_second == pytest.approx(10)


def test_what_was_there_before_is_not_speed(meter, clock, reports):
    meter.begin("downloading a", 1000, done=900)
    clock.now += 1
    meter.advance(910)
    assert reports[-1].per_second == pytest.approx(10)
    assert reports[-1].remaining == pytest.approx(9)


def test_not_more_than_ten_a_second_and_always_the_last(meter, clock, reports):
    meter.begin("downloading a", 1000)
    for done in range(1, 1001):
        clock.now += 0.001
        meter.advance(done)
    assert len(reports) <= 13
    assert reports[-1].done == 1000


def test_a_part_that_comes_again(meter, clock, reports):
    meter.begin("downloading a", 1000)
    clock.now += 1
    meter.advance(500)
    clock.now += 1
    meter.advance(0)
    assert (reports[-1].done, reports[-1].per_second) == (0, None)


def test_nobody_knows_the_total(meter, clock, reports):
    meter.begin("asking", None)
    clock.now += 1
    meter.advance(50)
    assert (reports[-1].total, reports[-1].per_second, reports[-1].remaining) == (None, 50.0, None)


def test_stopping():
    wanted = []
    meter = Meter(cancel=lambda: bool(wanted))
    meter.begin("downloading a", 10)
    meter.advance(5)
    wanted.append(True)
    with pytest.raises(FetchStoppedError):
        meter.advance(6)


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 1 << 40)), max_size=50))
def test_no_number_is_ever_absurd(steps):
    clock, reports = Clock(), []
    meter = Meter(reports.append, clock=clock)
    meter.begin("downloading a", 1 << 40)
    for pause, done in steps:
        clock.now += pause
        meter.advance(done)
    assert all(report.per_second is None or report.per_second > 0 for report in reports)
    assert all(report.remaining is None or report.remaining >= 0 for report in reports)


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 kB"), (861, "1 kB"), (269_060_552, "269 MB"), (3_422_777_952, "3.4 GB")],
)
def test_sizes_in_words(size, words):
    assert in_words(size) == words
