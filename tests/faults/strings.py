"""Hostile texts in every place where a foreign text is shown or written."""

from __future__ import annotations

import random
import traceback
from pathlib import Path

from tests.faults.campaign import Campaign


def case(numbers: random.Random, folder: Path) -> str:
    """One place, with attacks of its own."""
    from tests.faults import commanded, exported, screened

    place = numbers.choices((exported.case, commanded.case, screened.case), (4, 6, 2))[0]
    try:
        return place(numbers, folder)
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError("".join(traceback.format_exception(error)[-6:])) from error


CAMPAIGN = Campaign(
    "strings",
    "Whatever a model, a file, a chat from elsewhere or a name holds: no control sequence reaches the "
    "terminal, no markup is interpreted, what hides or turns the order of letters is seen.",
    case,
    short=12,
    long=2_000,
)
