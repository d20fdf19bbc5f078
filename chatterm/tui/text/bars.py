"""Bars and cut text in terminal cells."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment

EIGHTHS = " ▏▎▍▌▋▊▉█"


def bar(share: float, width: int) -> str:
    """A bar of `width` cells, filled from the left in steps of an eighth of a cell.

    A share that is over 0 shows at least an eighth, so that small is not the same as nothing.
    """
    share = min(1.0, max(0.0, share))
    eighths = round(share * width * 8)
    if share > 0:
        eighths = max(1, eighths)
    full, rest = divmod(eighths, 8)
    return (EIGHTHS[8] * full + (EIGHTHS[rest] if rest else "")).ljust(width)


_NUMBER_BEGUN = re.compile("(?<![^\\s(/])[<+\u2212-]?\\d[\\d.,\N{NO-BREAK SPACE}]*$")
_GOES_ON = re.compile("[\\d.,%\N{NO-BREAK SPACE}]")
"""What is the beginning of a number, at the end of a text; and what it goes on with."""


def percent(share: float) -> str:
    """A probability in exactly six cells: `  100%`, ` 61.2%`, ` 0.04%`, `<.001%`, `    0%`."""
    value = share * 100
    if value <= 0:
        return "    0%"
    if value >= 99.95:
        return "  100%"
    if value >= 0.995:
        return f"{value:5.1f}%"
    if value >= 0.01:
        return f"{value:5.2f}%"
    if value >= 0.001:
        return f"{value:.3f}%"
    return "<.001%"


def fit(text: str, width: int, *, end: str = "…") -> str:
    """`text` in exactly `width` cells: padded, or cut with a sign that it was cut.

    A number is left out whole: what is left of one looks like another.
    """
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    kept = set_cell_size(text, width - cell_len(end)).rstrip()
    if text.startswith(kept) and _GOES_ON.match(text, len(kept)):
        number = _NUMBER_BEGUN.search(kept)
        kept = kept[: number.start()] if number is not None and number.start() else kept
    elif kept[-1:].isdecimal() and cell_len(kept) + 1 + cell_len(end) <= width:
        kept += " "  # it ends here
    return set_cell_size(kept + end, width)


def fit_row(row: Iterable[Segment], width: int) -> list[Segment]:
    """A line in at most `width` cells; the piece that the edge goes through is cut as `fit` does it."""
    fitted: list[Segment] = []
    room = width
    for segment in row:
        if cell_len(segment.text) > room:
            text = segment.text.rstrip()
            fitted.append(Segment(fit(text, room), segment.style))
            break
        fitted.append(segment)
        room -= cell_len(segment.text)
    return fitted


def fit_right(text: str, width: int) -> str:
    """`text` at the right end of exactly `width` cells, cut with a sign where it is longer."""
    return fit(text, width) if cell_len(text) > width else " " * (width - cell_len(text)) + text


def fit_end(text: str, width: int) -> str:
    """The end of `text` in at most `width` cells, with a sign where it was cut."""
    if cell_len(text) <= width:
        return text
    kept = text[-width:]
    while kept and cell_len(kept) > width - 1:
        kept = kept[1:]
    return "…" + kept


def count(number: int) -> str:
    """A count with thin groups of three: `49 152`."""
    return f"{number:,}".replace(",", "\N{NO-BREAK SPACE}")


def size(number: float) -> str:
    """Bytes as people say them: `94 MB`, `1.2 GB` (powers of 1000)."""
    for unit in ("B", "kB", "MB"):
        if number < 999.5:
            return f"{number:.1f} {unit}" if number < 9.95 and unit != "B" else f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def parameters(number: int) -> str:
    """A number of parameters as people say it: `135M`, `1.7B`."""
    if number >= 999_500_000:
        return f"{number / 1e9:.1f}B"
    return f"{number / 1e6:.0f}M" if number >= 1_000_000 else f"{number / 1e3:.0f}k"


def duration(seconds: float) -> str:
    """A time to wait, as people say it: `8 s`, `3 min`, `1 h 20 min`."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
