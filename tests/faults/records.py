"""Settings, presets, keys, library rows and imports: wrong types, future versions, absurd sizes."""

from __future__ import annotations

import random
from pathlib import Path

from tests.faults.campaign import Campaign, in_one_of


def case(numbers: random.Random, folder: Path) -> str:
    """One kind of record, made wrong in one way."""
    from tests.faults import configured, imported, rows

    return in_one_of({configured.case: 3, rows.case: 4, imported.case: 3}, numbers, folder)


CAMPAIGN = Campaign(
    "records",
    "Settings, presets, imports and library rows with wrong types, of future versions or of absurd sizes are "
    "refused with one sentence or shown as far as they make sense; nothing else is lost, the program opens.",
    case,
    short=20,
    long=3_000,
)
