"""Runs campaigns: `python -m tests.faults [NAME …] [--cases N] [--case K] [--seed S] [--write]`.

Without a name all of them, which takes hours. `--write` puts the counts into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import replace_section
from tests.faults.campaign import Campaign, Outcome, run
from tests.faults.campaigns import NAMES, campaign

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"


def main() -> int:
    """Run what was asked for; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", choices=(*NAMES, []), metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--cases", type=int, help="how many; default: a whole run")
    parser.add_argument("--case", type=int, help="only this one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="the counts into docs/reliability.md")
    options = parser.parse_args()
    broken = False
    for name in options.names or NAMES:
        chosen = campaign(name)
        cases = range(options.cases or chosen.long)
        if options.case is not None:
            cases = range(options.case, options.case + 1)
        folder = Path(tempfile.mkdtemp(prefix=f"chatterm-{name}-"))
        outcome = run(
            chosen, cases, options.seed, folder, lambda line: print(line, file=sys.stderr, flush=True)
        )
        print(outcome.report(chosen), *outcome.broken, sep="\n", flush=True)
        broken = broken or bool(outcome.broken)
        if not outcome.broken:
            shutil.rmtree(folder)
        if options.write:
            _write(chosen, outcome)
    return int(broken)


def _write(chosen: Campaign, outcome: Outcome) -> None:
    text = f"{outcome.report(chosen)}\n\n<sub>{datetime.now(UTC):%Y-%m-%d}</sub>"
    DOCUMENT.write_text(replace_section(DOCUMENT.read_text("utf-8"), chosen.name, text), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
