"""What `make` installs is pinned, all of it."""

from __future__ import annotations

import json

import pytest

from tests import pins
from tests.audit import UNREACHABLE, judge

PROJECT = """
[project]
dependencies = ["click>=8.1", "rich>=15.0"]
[project.optional-dependencies]
test = ["pytest>=8"]
"""


def test_everything_that_the_project_needs_is_pinned() -> None:
    assert pins.here() == []


def test_what_is_missing_or_out_of_range_is_named() -> None:
    found = pins.problems(PROJECT, "click==7.0\nrich==15.0.0  # a comment\n")
    assert "click is pinned to 7.0, and pyproject.toml asks for >=8.1." in found
    assert "pytest, for pyproject.toml [test], is not pinned in constraints.txt." in found
    assert any("for rich, is not pinned" in sentence for sentence in found), (
        "what rich needs was not looked at"
    )
    with pytest.raises(ValueError, match="pins no version exactly"):
        pins.pins("click>=8\n")


def test_an_audit_that_could_not_be_made_is_no_audit() -> None:
    assert judge(1, "", "requests.exceptions.ConnectionError: Max retries exceeded")[0] == UNREACHABLE
    hole = {"id": "X-1", "fix_versions": ["9"]}
    click, rich = {"name": "click", "version": "8", "vulns": []}, {"name": "rich", "skip_reason": "not found"}

    def answer(*packages: dict[str, object]) -> tuple[int, list[str]]:
        return judge(0, json.dumps({"dependencies": packages}), "")

    assert answer(click) == (0, ["Asked about 1 packages; no advisories are known."])
    status, lines = answer(click | {"vulns": [hole]}, rich)
    assert status == 1 and "click 8: X-1, mended in 9." in lines
    assert answer(rich) == (UNREACHABLE, ["Nothing could be learnt about 1 of 1 packages (not found)."])
    assert answer(click, rich)[0] == answer()[0] == UNREACHABLE
