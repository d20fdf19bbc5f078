"""Text as it is written: what is too long, or takes too long, to be laid out as Markdown.

It is cut into pieces, so that a text of any length can grow at its end at the price of its last piece.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len

from chatterm.language import several
from chatterm.tui.text.lines import MUTED, Line, Span

PIECE = 4000
"""Characters; of a longer text, all but the last piece stay as they are when more is added."""


MOST = 500_000
"""Characters that are shown at all: each may be a line, and a line is a hundred times as large as it."""


def pieces(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Where the pieces of what is shown of a text begin and end, from `start`, where one begins."""
    shown = min(len(text), MOST)
    while start < shown:
        end = _piece_end(text, start, shown)
        yield start, end
        start = end


def _piece_end(text: str, start: int, shown: int) -> int:
    """Behind a line, or a word, if one ends in it."""
    if start + PIECE >= shown:
        return shown
    for sign in ("\n", " "):
        found = text.rfind(sign, start, start + PIECE)
        if found >= 0:
            return found + 1
    return start + PIECE


def not_shown(text: str) -> list[Line]:
    """A line about what is not shown of a text, if anything is not."""
    more = len(text) - MOST
    if more <= 0:
        return []
    words = several("… {count} more character", "… {count} more characters", more).format(count=f"{more:,}")
    return [Line([Span(words, style=MUTED)])]


def written_lines(text: str, width: int, offset: int = 0, style: int = 0) -> list[Line]:
    """The lines of a text in which no words are kept together; `offset` is that of its first character."""
    lines: list[Line] = []
    for line in text.removesuffix("\n").replace("\t", " ").split("\n"):
        at = 0
        while at < len(line) or not at:
            piece = line[at : at + width]
            if cell_len(piece) > width:
                piece = piece[: width // 2]  # no character has more than two cells
            lines.append(Line([Span(piece, offset + at, style)]))
            at += max(1, len(piece))
        offset += len(line) + 1
    return lines
