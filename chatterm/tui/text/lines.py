"""Spans and lines: text on the screen that knows where in its source it came from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.cells import cell_len

PLAIN = 0
STRONG = 1 << 0
EMPHASIS = 1 << 1
STRIKE = 1 << 2
LINK = 1 << 3
HEADING = 1 << 4
TITLE = 1 << 5  # a heading of the first level
FAINT = 1 << 6  # decoration: bullets, quote bars, rules
MUTED = 1 << 7  # said by the interface, not by the model
CODE = 1 << 8  # code among words
FENCE = 1 << 9  # a block of code; its lines are filled to the right edge
KEYWORD = 1 << 10
STRING = 1 << 11
NUMBER = 1 << 12
COMMENT = 1 << 13
NAME = 1 << 14  # functions and classes
MARK = 1 << 15  # where the cursor is

DECORATION = -1
"""The offset of text that is not in the source."""


class Span(NamedTuple):
    """A stretch of one style. Its characters are consecutive in the source, from `offset` on."""

    text: str
    offset: int = DECORATION
    style: int = PLAIN

    @property
    def end(self) -> int:
        """The source offset just behind it."""
        return self.offset + len(self.text) if self.offset >= 0 else DECORATION


@dataclass(slots=True)
class Line:
    """One line on the screen. `fill` is the style of the cells to its right."""

    spans: list[Span] = field(default_factory=list)
    fill: int = PLAIN

    @property
    def text(self) -> str:
        """What the line reads."""
        return "".join(span.text for span in self.spans)

    @property
    def width(self) -> int:
        """In cells."""
        return sum(cell_len(span.text) for span in self.spans)

    def offset_at(self, x: int) -> int:
        """The source offset of what stands in cell `x`; `DECORATION` where nothing of the source does."""
        for span in self.spans:
            width = cell_len(span.text)
            if x < width:
                if span.offset < 0:
                    return DECORATION
                for index in range(len(span.text)):
                    if cell_len(span.text[: index + 1]) > x:
                        return span.offset + index
            x -= width
        return DECORATION

    def marked(self, start: int, end: int) -> Line:
        """The line with the source characters from `start` to `end` standing out."""
        spans: list[Span] = []
        for span in self.spans:
            if span.offset < 0 or span.end <= start or span.offset >= end:
                spans.append(span)
                continue
            first, last = max(start, span.offset) - span.offset, min(end, span.end) - span.offset
            for begin, stop, style in ((0, first, 0), (first, last, MARK), (last, len(span.text), 0)):
                if begin < stop:
                    spans.append(Span(span.text[begin:stop], span.offset + begin, span.style | style))
        return Line(spans, self.fill)

    def bounds(self) -> tuple[int, int] | None:
        """The first and the last source offset on this line, if it shows any of the source."""
        offsets = [bound for span in self.spans if span.offset >= 0 for bound in (span.offset, span.end - 1)]
        return (min(offsets), max(offsets)) if offsets else None


def width_of(spans: Iterable[Span]) -> int:
    """In cells."""
    return sum(cell_len(span.text) for span in spans)
