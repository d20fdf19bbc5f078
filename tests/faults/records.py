"""Settings, presets, keys, library rows and imports: wrong types, future versions, absurd sizes."""

from __future__ import annotations

import random
import traceback
from pathlib import Path

from tests.faults.campaign import Campaign


def case(numbers: random.Random, folder: Path) -> str:
    """One kind of record, made wrong in one way."""
    from tests.faults import configured, imported, rows

    place = numbers.choices((configured.case, rows.case, imported.case), (3, 4, 3))[0]
    try:
        return place(numbers, folder)
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError("".join(traceback.format_exception(error)[-6:])) from error


CAMPAIGN = Campaign(
    "records",
    "Settings, presets, imports and library rows with wrong types, of future versions or of absurd sizes are "
    "refused with one sentence or shown as far as they make sense; nothing else is lost, the program opens.",
    case,
    short=20,
    long=3_000,
)
