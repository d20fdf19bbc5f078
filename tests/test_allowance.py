"""Work that takes too long is broken off, wherever it is, and what else is done is not charged for it."""

from __future__ import annotations

import gc
import re
import signal
import threading

import pytest

from chatterm import allowance
from chatterm.allowance import Allowance, LateError, timed, untimed

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no timer of processor time"),
    pytest.mark.timeout(120),  # what is not broken off runs for ever
]


@pytest.fixture(autouse=True)
def still(monkeypatch):
    """No time passes but what is worked: nothing is earned by waiting."""
    monkeypatch.setattr(allowance, "IDLE_SHARE", 0.0)
    gc.disable()  # Hypothesis watches the collector, and no error can leave what it does there
    yield
    gc.enable()


def endless() -> str:
    while True:
        pass


def backtracking() -> object:
    return re.search(r"(a+)+$", "a" * 60 + "b")


def swallowing() -> str:
    while True:
        try:
            endless()
        except Exception:  # as libraries do
            continue


def dying() -> str:
    class Thing:
        def __del__(self) -> None:
            backtracking()

    Thing()
    return endless()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("work", [endless, backtracking, swallowing, dying])
def test_work_without_end_ends(work):
    assert Allowance(0.05, 0.0).within(1, work) is None
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


def test_work_that_is_done_in_time_is_the_answer():
    assert Allowance(60.0, 0.0).within(1, lambda: "done") == "done"
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


def test_what_it_raises_is_raised_and_the_timer_stands_still():
    with pytest.raises(ZeroDivisionError):
        Allowance(60.0, 0.0).within(1, lambda: 1 / 0)
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


def test_who_has_used_everything_up_has_to_earn_it():
    spent = Allowance(0.05, 0.001)
    assert spent.within(0, endless) is None
    assert spent.within(0, lambda: "done") is None
    assert spent.within(10_000, lambda: "done") == "done"


def test_many_characters_do_not_earn_more_than_is_taken_at_once():
    assert Allowance(0.05, 1000.0).within(10**6, endless) is None


def test_any_text_has_a_little():
    poor = Allowance(0.05, 0.0, least=0.02)
    assert poor.within(1, endless) is None
    assert poor.within(1, lambda: "done") == "done"


def test_work_within_work_is_charged_to_its_own_allowance():
    inner, outer = Allowance(0.2, 0.0), Allowance(0.1, 0.0)
    assert outer.within(1, lambda: (inner.within(1, endless), "done")) == (None, "done")
    assert outer.within(1, lambda: "done") == "done"
    assert inner.within(1, lambda: "done") is None


def test_a_late_outer_work_ends_behind_an_inner_one():
    inner, outer = Allowance(60.0, 0.0), Allowance(0.05, 0.0)
    assert outer.within(1, lambda: (inner.within(1, lambda: "done"), endless())) is None


def test_what_is_done_once_counts_for_no_text():
    def once() -> str:
        for _ in range(40):
            assert Allowance(0.01, 0.0).within(1, endless) is None
        return "done"

    assert Allowance(0.1, 0.0).within(1, lambda: untimed(once)) == "done"
    assert untimed(lambda: "done") == "done"


def test_in_another_thread_nothing_is_timed():
    answers: list[object] = []

    def there() -> None:
        answers.extend([timed(), Allowance(0.0, 0.0).within(1, lambda: "done"), untimed(lambda: "once")])

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    assert answers == [False, "done", "once"]


def test_a_signal_that_comes_behind_the_work_does_nothing():
    Allowance(60.0, 0.0).within(1, lambda: "done")
    signal.raise_signal(signal.SIGVTALRM)


def test_an_error_for_being_late_is_none_that_libraries_handle():
    assert not issubclass(LateError, Exception)
