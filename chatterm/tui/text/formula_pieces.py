"""The pieces that a formula is read as, and how fractions, roots and scripts are put together of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from chatterm.tui.text.formula_signs import (
    ALONE,
    AS_IT_STANDS,
    COLUMN,
    DENOMINATOR,
    SUBSCRIPT,
    SUPERSCRIPT,
)

NOWHERE = -1
"""The place of a sign that stands for nothing in the source, as the stroke of a fraction does."""


class Piece(NamedTuple):
    """Some characters, and where in the formula the first of them comes from."""

    text: str
    at: int = NOWHERE


Pieces = list[Piece]

GAP = Piece(" ")
"""Between a word and what comes next."""


def reads(pieces: Iterable[Piece]) -> str:
    """What the pieces read."""
    return "".join(piece.text for piece in pieces)


def width(pieces: Iterable[Piece]) -> int:
    """In characters."""
    return len(reads(pieces))


def brace(number: int, rows: int) -> str:
    """The part of a brace over several rows that stands before one of them."""
    if rows == 1:
        return "{ "
    return "⎧ " if number == 0 else "⎩ " if number == rows - 1 else "⎨ " if number == rows // 2 else "⎪ "


def scripted(sign: str, pieces: Pieces) -> Pieces:
    """What is raised or lowered, in signs of that kind where there are such for all of it."""
    pieces = [Piece(piece.text.replace(" ", ""), piece.at) for piece in pieces]
    text = reads(pieces)
    table = SUPERSCRIPT if sign == "^" else SUBSCRIPT
    if sign == "^" and text == "∘":
        return [Piece("°", pieces[0].at)]
    if text and sign == "^" and set(text) <= AS_IT_STANDS:
        return pieces
    if text and set(text) <= set(table):
        return [Piece("".join(table[character] for character in piece.text), piece.at) for piece in pieces]
    if len(text) > 1:
        return [Piece(f"{sign}("), *pieces, Piece(")")]
    return [Piece(sign), *pieces]


def _bracketed(pieces: Pieces, *, unless: bool) -> Pieces:
    return pieces if unless else [Piece("("), *pieces, Piece(")")]


def _fraction(read: list[Pieces]) -> Pieces:
    above, below = (reads(spaced(pieces)) for pieces in read)
    return [
        *_bracketed(read[0], unless=above.isalnum() or DENOMINATOR.fullmatch(above) is not None),
        Piece("/"),
        *_bracketed(read[1], unless=DENOMINATOR.fullmatch(below) is not None),
    ]


def _root(read: list[Pieces]) -> Pieces:
    degree = reads(read[0]).strip("[] ") if len(read) > 1 else ""
    sign = {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(degree)
    before = [Piece(sign)] if sign is not None else [*scripted("^", [Piece(degree)]), Piece("√")]
    inner = reads(spaced(read[-1]))
    return [*before, *_bracketed(read[-1], unless=len(inner) == 1)]


def _chemical(read: list[Pieces]) -> Pieces:
    """H₂O from H2O: a number behind a letter or a bracket counts it."""
    pieces, before = [], ""
    for piece in read[0]:
        for index, character in enumerate(piece.text):
            counts = character.isdigit() and (before.isalpha() or before in "₀₁₂₃₄₅₆₇₈₉)]") and before
            before = SUBSCRIPT[character] if counts else character
            pieces.append(Piece(before, piece.at + index if piece.at >= 0 else NOWHERE))
    return pieces


def _between(left: str, right: str) -> Callable[[list[Pieces]], Pieces]:
    return lambda read: [Piece(left), *read[-1], Piece(right)]


SPECIAL: dict[str, Callable[[list[Pieces]], Pieces]] = {
    **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac", "nicefrac"), _fraction),
    **dict.fromkeys(("binom", "dbinom", "tbinom"), lambda read: [
        Piece("C("), *read[0], Piece(", "), *read[1], Piece(")")
    ]),
    "sqrt": _root,
    "ce": _chemical,
    "pmod": _between(" (mod ", ")"),
    "tag": _between("   (", ")"),
    "boxed": _between("[ ", " ]"),
    "fbox": _between("[ ", " ]"),
    **dict.fromkeys(("label", "color", "phantom", "hspace", "vspace", "mathstrut"), lambda _: []),
    **dict.fromkeys(("overset", "stackrel"), lambda read: [*read[1], *scripted("^", read[0])]),
    "underset": lambda read: [*read[1], *scripted("_", read[0])],
    "xrightarrow": lambda read: [Piece(" ─"), *read[-1], Piece("→ ")],
    "xleftarrow": lambda read: [Piece(" ←"), *read[-1], Piece("─ ")],
    "textcolor": lambda read: read[-1],
    "substack": lambda read: read[-1],
}  # fmt: skip


def _words_of(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces cut at spaces, which are one each."""
    for piece in pieces:
        if piece.at < 0 or piece.text == COLUMN:
            yield piece
            continue
        for found in re.finditer(r"[ \t\r\n]+|[^ \t\r\n]+", piece.text):
            yield Piece(" " if found[0][0] in " \t\r\n" else found[0], piece.at + found.start())


def spaced(pieces: Iterable[Piece]) -> Pieces:
    """Spaces as they are read: around a sign that stands between two others, nowhere two in a row."""
    line: Pieces = []
    ends = " "  # the last character
    for text, at in _words_of(pieces):
        between = len(text) == 1 and unicodedata.category(text) == "Sm" and text not in ALONE and at >= 0
        if text == COLUMN:
            text, at = ("" if not line else "\u00a0\u00a0" if ends != " " else "\u00a0"), NOWHERE
        elif ends in " \u00a0([{" and text.startswith(" "):
            start = len(text) - len(text.lstrip(" "))
            text, at = text[start:], at + start if at >= 0 else NOWHERE
        elif between and ends not in " (":
            line.append(GAP)
        if text:
            line.append(Piece(text, at))
            ends = text[-1]
        if between:
            line.append(GAP)
            ends = " "
    while line and not line[-1].text.strip():
        line.pop()
    if line:
        line[-1] = Piece(line[-1].text.rstrip(), line[-1].at)
    return line
