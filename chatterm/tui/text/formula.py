r"""Formulas in LaTeX as lines of Unicode: `\frac{a}{2} x_i^2` reads a/2 xᵢ².

What has no sign of its own stays readable as it was written. Each piece keeps the place in the source that
it stands for, which is how a click finds its token.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from chatterm.allowance import untimed
from chatterm.tui.text.formula_pieces import (
    GAP,
    NOWHERE,
    SPECIAL,
    Piece,
    Pieces,
    brace,
    reads,
    scripted,
    spaced,
    width,
)
from chatterm.tui.text.formula_signs import (
    ALPHABETS,
    ARGUMENTS,
    BRACKETS,
    COLUMN,
    LAYOUT,
    OPERATORS,
    ROWS,
    SAME,
    WORDS,
)

if TYPE_CHECKING:
    from pylatexenc.latex2text import LatexNodes2Text

LONGEST = 4000
"""Characters; a longer formula is shown as it is written."""

DEEPEST = 12
"""Braces and environments within each other; no formula that anybody reads has as many."""

MOST_STEPS = 4 * LONGEST
"""Parts that are looked at, and characters that are spelt; what asks for more is shown as it is written."""


@lru_cache(maxsize=256)
def formula(source: str) -> list[Pieces]:
    """The lines of a formula, as they are read; just as it is written where LaTeX cannot make sense of it."""
    untimed(_names)
    untimed(_speller)
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
        self._depth = self._steps = 0

    def lines(self) -> list[Pieces]:
        from pylatexenc.latexwalker import LatexWalker

        walker = LatexWalker(self.source, latex_context=_names(), tolerant_parsing=False)
        state = walker.make_parsing_state(in_math_mode=True)
        nodes, _, _ = walker.get_latex_nodes(parsing_state=state)
        return [line for row in _rows(nodes) for line in self._row(row)]

    def _step(self, count: int = 1) -> None:
        """Count what is done: what lies within each other may be looked at once for each thing around it."""
        self._steps += count
        if self._steps > MOST_STEPS or self._depth > 2 * DEEPEST:  # the braces of a macro are two
            raise ValueError("no formula that anybody reads")

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
            self._depth += 2
            inner = [line for row in _rows(node.nodelist) for line in self._row(row)]
            self._depth -= 2
            self._column = outer
            indent = lines[-1][0] + cell_len(reads(spaced([*lines[-1][1], Piece("x")]))) - 1
            for number, line in enumerate(inner):
                if number:
                    lines.append((indent, []))
                lines[-1][1].extend([*([Piece(brace(number, len(inner)))] if is_cases else []), *line])
        lines[-1][1].extend(self._pieces(before))
        rows = [(indent, spaced(line)) for indent, line in lines]
        return [[Piece(" " * indent), *line] if indent else line for indent, line in rows if line]

    def _pieces(self, nodes: Sequence[Any]) -> Pieces:
        pieces: Pieces = []
        waiting = ""  # a `^` or `_` whose script comes next
        self._depth += 1
        for node in nodes:
            self._step()
            if waiting and getattr(node, "chars", "?").strip():
                if hasattr(node, "chars"):
                    start = len(node.chars) - len(node.chars.lstrip())
                    script = [Piece(node.chars[start], node.pos + start)]
                    pieces += scripted(waiting, script)
                    waiting = self._characters(node.chars[start + 1 :], node.pos + start + 1, pieces)
                else:
                    pieces += scripted(waiting, self._pieces([node]))
                    waiting = ""
            elif not waiting:
                waiting = self._node(node, pieces)
            if waiting and pieces and pieces[-1] is GAP:
                pieces.pop()  # log₂, not log ₂
        self._depth -= 1
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
                pieces += scripted(character, [Piece(text[begin], at + begin)])
                return self._characters(text[begin + 1 :], at + begin + 1, pieces)
            pieces.append(Piece("′" if character == "'" else "−", at + index))
        if start < len(text):
            pieces.append(Piece(text[start:], at + start))
        return ""

    def _macro(self, node: Any) -> Pieces:
        name = node.macroname
        given = [argument for argument in node.nodeargd.argnlist or () if argument is not None]
        space = [GAP] if node.macro_post_space else []
        if name in LAYOUT:
            return []
        if name in SAME:
            return [Piece(SAME[name], node.pos), *space]
        if name in ("\\", "cr", "newline"):
            return [Piece("; ", node.pos)]
        if name in WORDS:
            return self._words(given)
        read = [self._pieces([argument]) for argument in given]  # once: each level would double it
        special = SPECIAL.get(name)
        if special is not None:
            return special(read)
        if name in OPERATORS:
            return [*read[-1], GAP]
        if read and (name.startswith("math") or name in ALPHABETS):
            if len(read[0]) == 1 and name != "mathrm":
                return [Piece(self._spelt(node).text or read[0][0].text, read[0][0].at)]
            return [*read[-1], GAP] if name == "mathrm" and width(read[-1]) > 1 else read[-1]
        if len(given) == 1 and width(read[0]) > 1:
            return read[0]
        spelt = self._spelt(node)
        if len(given) == 1 and width(read[0]) == 1 and unicodedata.combining(spelt.text[-1:] or " "):
            return [Piece(spelt.text, read[0][0].at)]  # an accent
        if read and not spelt.text.strip():
            return read[-1]
        if not read and not spelt.text:
            self._strange = node.pos + node.len
            return [Piece(f"\\{name}", node.pos), *space]
        if len(read) > 1:
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
        rows = [line for row in rows if (line := spaced(row))]
        inner = [piece for row in rows for piece in (Piece("; "), *row)][1:]
        return [Piece(brackets[0], node.pos), *inner, Piece(brackets[1])]

    def _spelt(self, node: Any) -> Piece:
        """What pylatexenc reads; each accent upon another doubles what it writes."""
        braces = accumulate({"{": 1, "}": -1}.get(sign, 0) for sign in self.source[node.pos :][: node.len])
        self._step(node.len << max(0, max(braces, default=0) - 1))
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
