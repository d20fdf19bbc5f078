"""Texts that are much work to lay out, in a process of their own whose processor time is counted."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

from tests.faults import monsters
from tests.faults.campaign import Campaign

ROOT = Path(__file__).parents[2]

AT_ONCE = 5.0
"""Seconds of processor time for any text; what is broken off takes up to two, and for code a quarter more."""

PER_CHARACTER = 200e-6
"""Seconds for each character that is laid out; the slowest known ones take an eighth of that."""


def case(numbers: random.Random, folder: Path) -> str:
    """One text, laid out in one way."""
    from pygments.lexers import LEXERS

    languages = ["", "python", "c", "html", *(lexer[2][0] for lexer in LEXERS.values() if lexer[2])]
    how = numbers.choices(("whole", "grown", "exported", "printed"), (6, 3, 1, 1))[0]
    most = numbers.choice((2_000, 20_000, 20_000, 60_000, 120_000, 600_000))
    text = monsters.message(numbers, languages, most if how != "printed" else min(most, 20_000))
    path = folder / "text"
    path.write_text(text, "utf-8", "surrogatepass", newline="")
    width = str(numbers.choice((20, 60, 96, 300)))
    ran = subprocess.run(
        [sys.executable, "-m", "tests.faults.laid_out", how, str(path), width],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    what = f"{len(text)} characters, {how}, {text[:60]!r}"
    assert ran.returncode == 0, f"{what}: ended with {ran.returncode}\n{ran.stderr[-1500:]}"
    found = json.loads(ran.stdout)
    allowed = AT_ONCE + PER_CHARACTER * found["characters"]
    assert found["seconds"] < allowed, f"{what}: {found['seconds']:.1f} s, allowed are {allowed:.1f} s"
    return f"{how}, {' and '.join(found['late'])} broken off" if found["late"] else how


CAMPAIGN = Campaign(
    "layouts",
    "Whatever a text holds, laying it out, exporting and printing it takes no more than a few seconds of "
    "processor time and so much for each character.",
    case,
    short=12,
    long=3_000,
)
