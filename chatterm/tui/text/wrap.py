"""Breaking spans into lines of a given number of cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rich.cells import split_graphemes

from chatterm.tui.text.lines import Line, Span, width_of

NOT_AT_LINE_START = frozenset("，。、；：？！）】》」』〉〕’”…—·,.;:?!)]}%")
"""Closing punctuation stays with what it closes."""
NOT_AT_LINE_END = frozenset("（【《「『〈〔‘“([{")


class _Atom(NamedTuple):
    text: str
    offset: int
    style: int
    width: int


def _atoms(spans: Iterable[Span]) -> Iterator[_Atom]:
    for text, offset, style in spans:
        if text.isascii():
            for index, character in enumerate(text):
                yield _Atom(character, offset + index if offset >= 0 else -1, style, 1)
        else:
            for start, end, width in split_graphemes(text)[0]:
                yield _Atom(text[start:end], offset + start if offset >= 0 else -1, style, width)


def _spans(atoms: Iterable[_Atom]) -> list[Span]:
    """Join neighbours of the same style whose offsets follow each other."""
    spans: list[Span] = []
    texts: list[str] = []
    start = style = length = 0
    for atom in atoms:
        follows = atom.offset == start + length if start >= 0 else atom.offset < 0
        if texts and atom.style == style and follows:
            texts.append(atom.text)
        else:
            if texts:
                spans.append(Span("".join(texts), start, style))
            texts, start, style, length = [atom.text], atom.offset, atom.style, 0
        length += len(atom.text)
    if texts:
        spans.append(Span("".join(texts), start, style))
    return spans


def _may_break(before: _Atom, after: _Atom) -> bool:
    if before.text in (" ", "\t"):
        return after.text not in (" ", "\t")
    if after.text[0] in NOT_AT_LINE_START or before.text[-1] in NOT_AT_LINE_END:
        return False
    return before.width > 1 or (after.width > 1 and after.text != " ")


def wrap(
    spans: Iterable[Span],
    width: int,
    first: list[Span] | None = None,
    rest: list[Span] | None = None,
    *,
    words: bool = True,
    fill: int = 0,
) -> list[Line]:
    """Lines of at most `width` cells: at spaces, between wide characters, and within a word only if it must.

    Args:
        spans: what to break; newlines in it end a line.
        width: in cells, prefixes included.
        first: what stands before the first line.
        rest: what stands before each further line.
        words: break at words; otherwise wherever the line is full.
        fill: style of the cells to the right of each line.
    """
    first = first or []
    rest = first if rest is None else rest
    lines: list[Line] = []
    atoms: list[_Atom] = []
    used = 0
    break_at = 0  # the last place in `atoms` where the line may be broken
    room = max(2, width - width_of(first))

    def emit(upto: int) -> None:
        nonlocal atoms, used, break_at, room
        kept, atoms = atoms[:upto], atoms[upto:]
        if words:
            while kept and kept[-1].text == " ":
                kept.pop()
        lines.append(Line([*(rest if lines else first), *_spans(kept)], fill))
        used = sum(atom.width for atom in atoms)
        break_at = 0
        room = max(2, width - width_of(rest))

    for atom in _atoms(spans):
        if atom.text == "\n":
            emit(len(atoms))
            continue
        if words and atoms and _may_break(atoms[-1], atom):
            break_at = len(atoms)
        if used + atom.width > room and not (words and atom.text == " "):
            emit(break_at or len(atoms))
        atoms.append(atom)
        used += atom.width
    if atoms or not lines:
        emit(len(atoms))
    return lines
