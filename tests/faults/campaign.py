"""What every campaign is: a promise, one case that tries to break it, and how many cases make a run.

A case is a function of its own random numbers, so that `--case 137` runs just that one again.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from traceback import format_exception

Case = Callable[[random.Random, Path], str]


@dataclass(frozen=True)
class Campaign:
    """One promise and what tries to break it.

    Attributes:
        name: on the command line, and of the section of docs/reliability.md.
        promise: one sentence, in the present tense.
        case: runs one case in an empty folder and says in a few words what was tried, which is counted;
            raises AssertionError where the promise is broken.
        short: cases in the test suite; they take under a minute together.
        long: cases of a whole run.
        end: called after the last case, where cases leave something running between them.
    """

    name: str
    promise: str
    case: Case
    short: int
    long: int
    end: Callable[[], object] = lambda: None


@dataclass
class Outcome:
    """What came of a run."""

    seed: int
    cases: int = 0
    tried: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def report(self, campaign: Campaign) -> str:
        """A sentence of counts and what was tried, as Markdown."""
        broken = f"**broken {len(self.broken)} times**" if self.broken else "never broken"
        rows = "\n".join(f"| {what} | {count} |" for what, count in sorted(self.tried.items()))
        return (
            f"{campaign.promise}\n\nLast run: {self.cases} cases with seed {self.seed} "
            f"in {self.seconds / 60:.0f} minutes, {broken}.\n\n| tried | cases |\n|---|---|\n{rows}"
        )


def numbers(campaign: Campaign, seed: int, case: int) -> random.Random:
    """The random numbers of one case."""
    return random.Random(f"{campaign.name} {seed} {case}")


def in_one_of(places: dict[Case, int], numbers: random.Random, folder: Path) -> str:
    """A case in one of several places, drawn by weight; whatever it raises breaks the promise."""
    place = numbers.choices(list(places), list(places.values()))[0]
    try:
        return place(numbers, folder)
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError("".join(format_exception(error)[-6:])) from error


def run(
    campaign: Campaign, cases: range, seed: int, folder: Path, said: Callable[[str], None] = lambda _: None
) -> Outcome:
    """Run cases, each in a folder of its own; a broken one is written down and the next begun.

    Ctrl+C ends a run early, with the counts of what was run.
    """
    outcome = Outcome(seed)
    began = time.monotonic()
    try:
        for number in cases:
            place = folder / f"case-{number}"
            place.mkdir(parents=True)
            try:
                outcome.tried[campaign.case(numbers(campaign, seed, number), place)] += 1
            except Exception as error:
                what = (
                    f"{error}" if isinstance(error, AssertionError) else "".join(format_exception(error)[-6:])
                )
                outcome.broken.append(f"case {number}: {what}")
                said(outcome.broken[-1])
            outcome.cases += 1
            said(f"{campaign.name}: {outcome.cases} of {len(cases)}")
    except KeyboardInterrupt:
        said(f"{campaign.name}: ended after {outcome.cases} cases")
    finally:
        campaign.end()
    outcome.seconds = time.monotonic() - began
    return outcome
