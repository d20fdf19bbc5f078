"""The short form of every campaign, and the frame that runs them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.campaign import Campaign, run
from tests.faults.campaigns import NAMES, campaign

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"


@pytest.mark.timeout(1200)  # a loaded machine takes its time; a case that hangs says so earlier
@pytest.mark.parametrize("name", NAMES)
def test_the_promise_holds(name: str, tmp_path: Path) -> None:
    chosen = campaign(name)
    outcome = run(chosen, range(chosen.short), seed=0, folder=tmp_path)
    assert outcome.cases == chosen.short
    assert not outcome.broken, "\n".join(outcome.broken)


@pytest.mark.parametrize("name", NAMES)
def test_the_last_whole_run_is_written_down(name: str) -> None:
    document = DOCUMENT.read_text("utf-8")
    assert f"<!-- {name} -->" in document and f"<!-- end of {name} -->" in document
    assert campaign(name).promise in document


def test_a_broken_promise_is_counted_and_the_next_case_runs(tmp_path: Path) -> None:
    def case(numbers: random.Random, folder: Path) -> str:
        assert folder.is_dir() and not any(folder.iterdir())
        number = numbers.random()  # a sentence with the method in it would name its place in memory
        assert number < 0.5, "too large"
        return "small"

    outcome = run(Campaign("sample", "Numbers are small.", case, 1, 40), range(40), 3, tmp_path)
    assert outcome.cases == 40
    assert outcome.broken and len(outcome.broken) + outcome.tried["small"] == 40
    again = run(Campaign("sample", "Numbers are small.", case, 1, 40), range(40), 3, tmp_path / "again")
    assert again.broken == outcome.broken


def test_a_run_that_is_interrupted_counts_what_was_run(tmp_path: Path) -> None:
    ended = []

    def case(_numbers: random.Random, folder: Path) -> str:
        if folder.name == "case-3":
            raise KeyboardInterrupt
        return "whole"

    campaign = Campaign("sample", "All is well.", case, 1, 9, end=lambda: ended.append(True))
    outcome = run(campaign, range(9), 1, tmp_path)
    assert outcome.cases == outcome.tried["whole"] == 3 and ended == [True]
