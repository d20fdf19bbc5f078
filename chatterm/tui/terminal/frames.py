"""Only what the terminal does not show already is written to it, and each style once.

Textual draws a widget that changed as a whole, and sets and resets the style around every segment. While a
reply grows that is thirty times what changes on the screen: nothing beside the model locally, but seconds of
waiting behind a slow link.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from rich.cells import cell_len

_MOVE: Final = re.compile(r"\x1b\[(?:(\d+);(\d+))?H")
_STYLED: Final = re.compile(r"(?:\x1b\[([\d;]*)m)?([^\x00-\x1f\x7f]*)")
_CLEARS: Final = re.compile(r"\x1b\[(?:2J|\?104[79][hl])")
_RESET: Final = ("", "0")
_UNSURE: Final = re.compile(
    "[^ -~\u00a0-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\u2190-\u2319"
    "\u231c-\u23e8\u2400-\u25fc\u27c0-\u2b1a\u3000-\u3029\u3030-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff01-\uff60]+"
)
"""Characters of which terminals do not agree how wide they are: signs that join what stands before them,
emoji, and whatever is newer than a terminal."""


class _Piece(NamedTuple):
    """A part of a row as it was written last."""

    column: int
    width: int
    runs: tuple[tuple[str, str], ...]


class Frames:
    """What the terminal shows, as far as it was drawn here."""

    def __init__(self) -> None:
        self._rows: dict[int, list[_Piece]] = {}

    def forget(self) -> None:
        """Whatever is on the screen, it is no longer what was drawn."""
        self._rows.clear()

    def passes(self, text: str) -> str:
        """Something that draws nothing; it may clear the screen."""
        if _CLEARS.search(text):
            self.forget()
        return text

    def changed(self, drawing: str) -> str:
        """A drawing, of which each part begins with the place where it stands, without what is there already.

        The cursor is left where the whole drawing leaves it, and no style in force. What holds more than text
        and styles is passed on as it is.
        """
        parts = _MOVE.split(drawing)
        written: list[str] = []
        style = ""
        for row, column, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            place = f"\x1b[{row};{column}H" if row else "\x1b[H"
            runs = _runs(body.rstrip("\r\n"))
            if runs is None:
                self.forget()
                return drawing
            if not runs:
                continue
            y, x = int(row or 1), int(column or 1)
            if self._shows(y, x, runs):
                continue
            self._remember(y, x, runs)
            written.append(place)
            at = x
            for wanted, text in runs:
                if wanted != style:
                    written.append(f"\x1b[{'0;' if style and wanted else ''}{wanted or '0'}m")
                    style = wanted
                written.append(_settled(text, at))
                at += cell_len(text)
        if style:
            written.append("\x1b[0m")
        last = next(place for place in reversed([*_MOVE.finditer(drawing)]))
        if last.end() == len(drawing):  # where the cursor is to stay
            written.append(last[0])
        return "".join(written)

    def _shows(self, row: int, column: int, runs: tuple[tuple[str, str], ...]) -> bool:
        return any(piece.column == column and piece.runs == runs for piece in self._rows.get(row, ()))

    def _remember(self, row: int, column: int, runs: tuple[tuple[str, str], ...]) -> None:
        """What stands to the right is forgotten: a terminal may draw an emoji wider than it should be."""
        width = sum(cell_len(text) for _, text in runs)
        kept = [piece for piece in self._rows.get(row, ()) if piece.column + piece.width <= column]
        self._rows[row] = [*kept, _Piece(column, width, runs)]


def _settled(text: str, column: int) -> str:
    """A text that ends where it should, however wide the terminal draws what nobody is sure of."""
    if text.isascii():
        return text
    written, end = [], 0
    for unsure in _UNSURE.finditer(text):
        start, width = column + cell_len(text[: unsure.start()]), cell_len(unsure[0])
        erased = f"\x1b[{width}X" if width else ""  # a terminal that draws it narrower leaves something free
        written += [text[end : unsure.start()], erased, unsure[0], f"\x1b[{start + width}G"]
        end = unsure.end()
    return "".join([*written, text[end:]])


@lru_cache(1024)  # a line that has been scrolled is drawn anew, and is the same text
def _runs(body: str) -> tuple[tuple[str, str], ...] | None:
    """Texts with the parameters of their styles, neighbours of one style together; None for anything else."""
    runs: list[tuple[str, str]] = []
    style, place = "", 0
    while place < len(body):
        found = _STYLED.match(body, place)
        if found is None or found.end() == place:
            return None
        if found[1] is not None:
            style = "" if found[1] in _RESET else found[1]
        if found[2] and runs and runs[-1][0] == style:
            runs[-1] = (style, runs[-1][1] + found[2])
        elif found[2]:
            runs.append((style, found[2]))
        place = found.end()
    return tuple(runs)
