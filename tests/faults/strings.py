"""Hostile texts in every place where a foreign text is shown or written."""

from __future__ import annotations

import random
from pathlib import Path

from tests.faults.campaign import Campaign, in_one_of


def case(numbers: random.Random, folder: Path) -> str:
    """One place, with attacks of its own."""
    from tests.faults import commanded, exported, screened

    return in_one_of({exported.case: 4, commanded.case: 6, screened.case: 2}, numbers, folder)


CAMPAIGN = Campaign(
    "strings",
    "Whatever a model, a file, a chat from elsewhere or a name holds: no control sequence reaches the "
    "terminal, no markup is interpreted, what hides or turns the order of letters is seen.",
    case,
    short=8,
    long=2_000,
)
