"""Medians, spreads, and the tables that they become."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Repeats of one figure."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of them."""
        return statistics.median(self.values)

    def text(self, digits: int = 1) -> str:
        """Like "62.3 (60.1 … 64.0)"."""
        return f"{self.median:,.{digits}f} ({min(self.values):,.{digits}f} … {max(self.values):,.{digits}f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """The ratio of each pair that was measured one right after the other."""
    return Spread(tuple(mine / other for mine, other in zip(ours, theirs, strict=True)))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed (nearest rank).

    Raises:
        ValueError: there are no values, or `share` is not in (0, 1].
    """
    if not values or not 0 < share <= 1:
        raise ValueError(f"no percentile {share} of {len(values)} values")
    ranked = sorted(values)
    place = -int(-share * len(ranked) // 1)
    return ranked[place - 1]


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def replace_section(document: str, name: str, text: str) -> str:
    """The document with `text` between the two comments that mark section `name`.

    Raises:
        ValueError: the document has no such section.
    """
    opening, closing = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, found, rest = document.partition(opening)
    _, found_too, after = rest.partition(closing)
    if not (found and found_too):
        raise ValueError(f"the document has no section {name}")
    return f"{before}{opening}\n{text.strip()}\n{closing}{after}"
