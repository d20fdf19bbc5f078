"""Breaking spans into lines of a given number of cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rich.cells import split_graphemes

from chatterm.tui.text.lines import Line, Span, width_of

NOT_AT_LINE_START = frozenset("，。、；：？！）】》」』〉〕’”…—·,.;:?!)]}%")
"""Closing punctuation stays with what it closes."""
NOT_AT_LINE_END = frozenset("（【《「『〈〔‘“([{")


_SIMPLE = re.compile("[\\n -~\xa1-\xac\xae-\u024f\u2013\u2014\u2018\u2019\u201c\u201d\u2022\u2026]*")
"""Text each of whose characters has a cell of its own, whatever is beside it; it breaks at spaces only."""

_LINES = re.compile("[^\\n]+|\\n")


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
            for line in _LINES.finditer(text):  # a newline would be part of the character before it
                for start, end, width in split_graphemes(line[0])[0]:
                    place = line.start() + start
                    yield _Atom(line[0][start:end], offset + place if offset >= 0 else -1, style, width)


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
    spans = list(spans)
    if words and all(span.text.isascii() or _SIMPLE.fullmatch(span.text) for span in spans):
        return _simple(_joined(spans), width, first, rest, fill)
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


def _simple(spans: list[Span], width: int, first: list[Span], rest: list[Span], fill: int) -> list[Line]:
    """The same for simple text, a line at a time: a growing paragraph is broken anew with every frame."""
    text = "".join(span.text for span in spans)
    lines: list[Line] = []
    room, other_room = max(2, width - width_of(first)), max(2, width - width_of(rest))
    cut = _Cut(spans)
    start = least = 0  # of a line, and how far it reaches at least: what was there when it began
    while True:
        newline = text.find("\n", max(start, least))
        end = len(text) if newline < 0 else newline
        over = max(start + room, least)
        while over < end and text[over] == " ":  # spaces may stand behind the edge
            over += 1
        if over < end:
            upto = begin = _last_word(text, start, over) or over
            least = over + 1
        elif newline >= 0:
            upto, begin, least = newline, newline + 1, 0
        elif start < len(text) or not lines:
            upto, begin, least = len(text), len(text) + 1, 0
        else:
            return lines
        lines.append(
            Line([*(rest if lines else first), *cut(start, start + len(text[start:upto].rstrip(" ")))], fill)
        )
        if begin > len(text):
            return lines
        start, room = begin, other_room


def _last_word(text: str, start: int, over: int) -> int:
    """Where the last word begins that may be put on the next line; 0 if there is none behind `start`."""
    for place in range(over, start, -1):
        if text[place - 1] in " \t" and text[place] not in " \t":
            return place
    return 0


def _joined(spans: list[Span]) -> list[Span]:
    """Neighbours of the same style whose offsets follow each other are one."""
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1].style == span.style and span.offset == joined[-1].end:
            joined[-1] = Span(joined[-1].text + span.text, joined[-1].offset, span.style)
        elif span.text:
            joined.append(span)
    return joined


class _Cut:
    """Parts of spans that follow one another, from the front on."""

    def __init__(self, spans: list[Span]) -> None:
        self._spans = spans
        self._number = 0  # of the span in which the last part ended …
        self._begin = 0  # … and where that begins

    def __call__(self, start: int, end: int) -> list[Span]:
        """What stands from `start` to `end`, which is not before the part asked for last."""
        parts: list[Span] = []
        while self._number < len(self._spans):
            text, offset, style = self._spans[self._number]
            first, last = max(0, start - self._begin), min(len(text), end - self._begin)
            if first < last:
                parts.append(Span(text[first:last], offset + first if offset >= 0 else offset, style))
            if self._begin + len(text) > end:
                break
            self._begin += len(text)
            self._number += 1
        return parts
