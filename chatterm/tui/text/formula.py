r"""Formulas in LaTeX as lines of Unicode: `\frac{a}{2} x_i^2` reads a/2 xᵢ².

What has no sign of its own stays readable as it was written. Each piece keeps the place in the source that
it stands for, which is how a click finds its token.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.cells import cell_len

from chatterm.tui.text.formula_signs import (
    ALONE,
    ALPHABETS,
    ARGUMENTS,
    AS_IT_STANDS,
    BRACKETS,
    COLUMN,
    DENOMINATOR,
    LAYOUT,
    OPERATORS,
    ROWS,
    SAME,
    SUBSCRIPT,
    SUPERSCRIPT,
    WORDS,
)

if TYPE_CHECKING:
    from pylatexenc.latex2text import LatexNodes2Text

LONGEST = 4000
"""Characters; a longer formula is shown as it is written."""

NOWHERE = -1
"""The place of a sign that stands for nothing in the source, as the stroke of a fraction does."""


class Piece(NamedTuple):
    """Some characters, and where in the formula the first of them comes from."""

    text: str
    at: int = NOWHERE


Pieces = list[Piece]

GAP = Piece(" ")
"""Between a word and what comes next."""


@lru_cache(maxsize=256)
def formula(source: str) -> list[Pieces]:
    """The lines of a formula, as they are read; just as it is written where LaTeX cannot make sense of it."""
    from pylatexenc.latexwalker import LatexWalkerError

    if len(source) <= LONGEST:
        try:
            lines = _Reader(source).lines()
        except (LatexWalkerError, RecursionError, IndexError, AttributeError, TypeError, ValueError):
            lines = []
        if any(lines):
            return lines
    return _as_written(source)


def _as_written(source: str) -> list[Pieces]:
    lines, at = [], 0
    for line in source.split("\n"):
        words = line.strip()
        if words:
            lines.append([Piece(words, at + line.index(words))])
        at += len(line) + 1
    return lines


@cache
def _names() -> Any:
    """The macros and their arguments: those that pylatexenc knows, and those of formulas that it does not."""
    from pylatexenc.latexwalker import get_default_latex_context_db
    from pylatexenc.macrospec import std_macro

    known = get_default_latex_context_db()
    macros = [std_macro(name, arguments) for name, arguments in ARGUMENTS.items()]
    known.add_context_category("formulas", macros=macros, prepend=True)
    return known


@cache
def _speller() -> LatexNodes2Text:
    from pylatexenc.latex2text import LatexNodes2Text

    return LatexNodes2Text(math_mode="text")


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self._column = " "  # what `&` reads
        self._strange = NOWHERE  # where the last macro ends that nobody knows

    def lines(self) -> list[Pieces]:
        from pylatexenc.latexwalker import LatexWalker

        walker = LatexWalker(self.source, latex_context=_names(), tolerant_parsing=False)
        state = walker.make_parsing_state(in_math_mode=True)
        nodes, _, _ = walker.get_latex_nodes(parsing_state=state)
        return [line for row in _rows(nodes) for line in self._row(row)]

    def _row(self, nodes: Sequence[Any]) -> list[Pieces]:
        """A row of the formula; several lines where it holds an environment with rows of its own."""
        lines: list[tuple[int, Pieces]] = [(0, [])]
        before: list[Any] = []
        for node in nodes:
            if getattr(node, "environmentname", "") not in ROWS:
                before.append(node)
                continue
            lines[-1][1].extend(self._pieces(before))
            before = []
            is_cases = "cases" in node.environmentname
            self._column, outer = COLUMN if is_cases else " ", self._column
            inner = [line for row in _rows(node.nodelist) for line in self._row(row)]
            self._column = outer
            indent = lines[-1][0] + cell_len(_text(_spaced([*lines[-1][1], Piece("x")]))) - 1
            for number, line in enumerate(inner):
                if number:
                    lines.append((indent, []))
                lines[-1][1].extend([*([Piece(_brace(number, len(inner)))] if is_cases else []), *line])
        lines[-1][1].extend(self._pieces(before))
        spaced = [(indent, _spaced(line)) for indent, line in lines]
        return [[Piece(" " * indent), *line] if indent else line for indent, line in spaced if line]

    def _pieces(self, nodes: Sequence[Any]) -> Pieces:
        pieces: Pieces = []
        waiting = ""  # a `^` or `_` whose script comes next
        for node in nodes:
            if waiting and getattr(node, "chars", "?").strip():
                if hasattr(node, "chars"):
                    start = len(node.chars) - len(node.chars.lstrip())
                    script = [Piece(node.chars[start], node.pos + start)]
                    pieces += _script(waiting, script)
                    waiting = self._characters(node.chars[start + 1 :], node.pos + start + 1, pieces)
                else:
                    pieces += _script(waiting, self._pieces([node]))
                    waiting = ""
            elif not waiting:
                waiting = self._node(node, pieces)
            if waiting and pieces and pieces[-1] is GAP:
                pieces.pop()  # log₂, not log ₂
        if waiting:
            pieces.append(Piece(waiting))
        behind = [*pieces[1:], GAP]
        return [
            piece
            for piece, after in zip(pieces, behind, strict=False)
            if piece is not GAP or after.text[:1] != "("
        ]

    def _node(self, node: Any, pieces: Pieces) -> str:
        """Add what a node reads; a `^` or `_` that it ends with is given back."""
        from pylatexenc import latexwalker as kinds

        if isinstance(node, kinds.LatexCharsNode):
            return self._characters(node.chars, node.pos, pieces)
        if isinstance(node, kinds.LatexGroupNode | kinds.LatexMathNode):
            if node.pos == self._strange:
                pieces.append(Piece(self.source[node.pos : node.pos + node.len], node.pos))
            else:
                pieces += self._pieces(node.nodelist)
        elif isinstance(node, kinds.LatexMacroNode):
            pieces += self._macro(node)
        elif isinstance(node, kinds.LatexEnvironmentNode):
            pieces += self._environment(node)
        elif isinstance(node, kinds.LatexSpecialsNode):
            signs = {"&": self._column, "~": " ", "''": "″"}
            sign = signs.get(node.specials_chars)
            pieces.append(self._spelt(node) if sign is None else Piece(sign, node.pos))
        return ""

    def _characters(self, text: str, at: int, pieces: Pieces) -> str:
        start = 0
        for index, character in enumerate(text):
            if character not in "^_'-":
                continue
            if start < index:
                pieces.append(Piece(text[start:index], at + start))
            start = index + 1
            if character in "^_":
                rest = text[start:].lstrip()
                if not rest:
                    return character
                begin = len(text) - len(rest)
                if pieces and pieces[-1] is GAP:
                    pieces.pop()  # log₂, not log ₂
                pieces += _script(character, [Piece(text[begin], at + begin)])
                return self._characters(text[begin + 1 :], at + begin + 1, pieces)
            pieces.append(Piece("′" if character == "'" else "−", at + index))
        if start < len(text):
            pieces.append(Piece(text[start:], at + start))
        return ""

    def _macro(self, node: Any) -> Pieces:
        name = node.macroname
        given = [argument for argument in node.nodeargd.argnlist or () if argument is not None]
        read = [self._pieces([argument]) for argument in given]
        space = [GAP] if node.macro_post_space else []
        if name in LAYOUT:
            return []
        if name in SAME:
            return [Piece(SAME[name], node.pos), *space]
        special = _SPECIAL.get(name)
        if special is not None:
            return special(read)
        if name in ("\\", "cr", "newline"):
            return [Piece("; ", node.pos)]
        if name in WORDS:
            return self._words(given)
        if name in OPERATORS:
            return [*read[-1], GAP]
        if read and (name.startswith("math") or name in ALPHABETS):
            if len(read[0]) == 1 and name != "mathrm":
                return [Piece(self._spelt(node).text or read[0][0].text, read[0][0].at)]
            return [*read[-1], GAP] if name == "mathrm" and _width(read[-1]) > 1 else read[-1]
        spelt = self._spelt(node)
        if len(given) == 1 and _width(read[0]) == 1 and unicodedata.combining(spelt.text[-1:] or " "):
            return [Piece(spelt.text, read[0][0].at)]  # an accent
        if read and not spelt.text.strip():
            return read[-1]
        if not read and not spelt.text:
            self._strange = node.pos + node.len
            return [Piece(f"\\{name}", node.pos), *space]
        if len(read) > 1 or (read and _width(read[-1]) > 1):
            return [piece for argument in read for piece in argument]
        is_word = len(spelt.text) > 1 and spelt.text.isalpha()
        return [spelt, *([GAP] if is_word else [])]

    def _words(self, nodes: Sequence[Any]) -> Pieces:
        """Words among a formula, as they are."""
        pieces: Pieces = []
        for node in nodes:
            for inner in getattr(node, "nodelist", [node]):
                words = Piece(self.source[inner.pos : inner.pos + inner.len], inner.pos)
                pieces += [words] if hasattr(inner, "chars") else self._pieces([inner])
        return pieces

    def _environment(self, node: Any) -> Pieces:
        brackets = BRACKETS.get(node.environmentname, "  ")
        self._column, outer = COLUMN, self._column
        rows = [self._pieces(row) for row in _rows(node.nodelist)]
        self._column = outer
        rows = [spaced for row in rows if (spaced := _spaced(row))]
        inner = [piece for row in rows for piece in (Piece("; "), *row)][1:]
        return [Piece(brackets[0], node.pos), *inner, Piece(brackets[1])]

    def _spelt(self, node: Any) -> Piece:
        return Piece(_speller().node_to_text(node), node.pos)


def _rows(nodes: Iterable[Any]) -> list[list[Any]]:
    r"""Nodes cut at each `\\`."""
    rows: list[list[Any]] = [[]]
    for node in nodes:
        if getattr(node, "macroname", "") in ("\\", "cr", "newline"):
            rows.append([])
        else:
            rows[-1].append(node)
    return rows


def _text(pieces: Iterable[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def _width(pieces: Iterable[Piece]) -> int:
    return len(_text(pieces))


def _brace(number: int, rows: int) -> str:
    if rows == 1:
        return "{ "
    return "⎧ " if number == 0 else "⎩ " if number == rows - 1 else "⎨ " if number == rows // 2 else "⎪ "


def _script(sign: str, pieces: Pieces) -> Pieces:
    """What is raised or lowered, in signs of that kind where there are such for all of it."""
    pieces = [Piece(piece.text.replace(" ", ""), piece.at) for piece in pieces]
    text = _text(pieces)
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
    above, below = (_text(_spaced(pieces)) for pieces in read)
    return [
        *_bracketed(read[0], unless=above.isalnum() or DENOMINATOR.fullmatch(above) is not None),
        Piece("/"),
        *_bracketed(read[1], unless=DENOMINATOR.fullmatch(below) is not None),
    ]


def _root(read: list[Pieces]) -> Pieces:
    degree = _text(read[0]).strip("[] ") if len(read) > 1 else ""
    sign = {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(degree)
    before = [Piece(sign)] if sign is not None else [*_script("^", [Piece(degree)]), Piece("√")]
    inner = _text(_spaced(read[-1]))
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


_SPECIAL: dict[str, Callable[[list[Pieces]], Pieces]] = {
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
    **dict.fromkeys(("overset", "stackrel"), lambda read: [*read[1], *_script("^", read[0])]),
    "underset": lambda read: [*read[1], *_script("_", read[0])],
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


def _spaced(pieces: Iterable[Piece]) -> Pieces:
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
