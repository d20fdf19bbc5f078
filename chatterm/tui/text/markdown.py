"""Markdown laid out into lines, block by block, so that a growing reply re-lays only its last block.

Every character on the screen keeps its offset in the source, which is how a click finds its token. HTML and
links are shown as text; nothing in a reply is ever followed, run or fetched. A single newline is kept as a
line break: models mean it. What is longer than any reply, or takes longer than any should, is shown as it is
written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from chatterm import inert
from chatterm.allowance import Allowance, untimed
from chatterm.commonmark import bound
from chatterm.language import _
from chatterm.tui.text.highlight import highlight
from chatterm.tui.text.inline import Source, formula_spans, inline_spans
from chatterm.tui.text.lines import FAINT, FENCE, HEADING, MUTED, STRONG, TITLE, Line, Span
from chatterm.tui.text.plain_text import MOST, not_shown, pieces, written_lines
from chatterm.tui.text.tables import MOST_PARTS, Cell, table_lines
from chatterm.tui.text.wrap import wrap

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

BULLETS = "•◦▪"
CODE_MARGIN = Span(" ", style=FENCE)
COPY = " ⧉ "
"""The sign behind the language of a block of code that copies it when it is clicked."""
CODE_CONTINUES = Span("↪", style=FENCE | FAINT)
_EMPTY_LINE = re.compile(r"\n[ \t]*\n[ \t]*\Z")
FORMULA_INDENT = "   "
DEEPEST = 8
"""Containers within containers that still indent; a reply of a thousand `>` must not squeeze out the text."""

LONGEST = 100_000
"""Characters of a message that are read as Markdown, up to a line's end; the rest is shown as written."""

ALLOWANCE = Allowance(seconds=2.0, per_character=25e-6, least=0.05)
"""Ten times what ordinary texts take. It is meant for texts of which nobody has thought."""


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    from chatterm.tui.text.formula_rules import formulas

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable(["table", "strikethrough"])
    bound(parser)
    parser.use(formulas)
    parser.parse("*a*")  # it puts its rules in order, which must not be broken off
    return parser


def parse(source: str) -> list[Token]:
    """The tokens of a Markdown text, as it is shown."""
    return untimed(_parser).parse(source)


@dataclass(slots=True)
class Block:
    """A top-level block: where it begins in the source, and its lines.

    Attributes:
        goes_on: with the block before, without an empty line between them.
    """

    start: int
    lines: list[Line]
    goes_on: bool = False


class Markdown:
    """A Markdown text laid out for a width; it can grow at the end.

    Args:
        source: the text. Controls in it become visible (`inert.block`).
        width: in cells.
        base: what is added to all offsets.
    """

    def __init__(self, source: str = "", width: int = 80, base: int = 0) -> None:
        self.source = ""
        self.base = base
        self.width = max(8, width)
        self.blocks: list[Block] = []
        self._end: int | None = None  # of what is Markdown; what comes then is shown as it is written
        self.append(source)

    def append(self, text: str) -> int:
        """Add text at the end; lays out again from the last block on.

        Returns:
            The number of blocks that did not change.
        """
        start = self._unsettled()
        self.source += inert.block(text, self.source[-inert.CONTEXT :])
        kept = len(self.blocks)
        if self._end is None and len(self.source) > LONGEST:
            self._end = self.source.rfind("\n", 0, LONGEST) + 1
        end = len(self.source) if self._end is None else self._end
        if start < end:
            blocks = self._laid_out(start, end)
            if blocks is None:
                self._end = start
            else:
                self.blocks.extend(blocks)
        if self._end is not None:
            self._write(max(start, self._end), self._end)
        return kept

    def _laid_out(self, start: int, end: int) -> list[Block] | None:
        """The blocks of a part of the source, if that does not take too long."""
        part = self.source[start:end]
        return ALLOWANCE.within(len(part), lambda: layout(part, self.width, self.base + start))

    def _write(self, start: int, end: int) -> None:
        """Show the source from `start` on as it is written."""
        for begin, upto in pieces(self.source, start):
            lines = written_lines(self.source[begin:upto], self.width, self.base + begin)
            self.blocks.append(Block(self.base + begin, lines, goes_on=begin > end))
        if rest := not_shown(self.source):
            self.blocks.append(Block(self.base + MOST, rest, goes_on=True))

    def _unsettled(self) -> int:
        """Take away the blocks that more text can change; where the first of them begins.

        That is the last one, and those right before it among which a formula may have begun: its lines look
        like paragraphs and lists until it ends.
        """
        starts = [block.start - self.base for block in self.blocks]
        if self._end is not None:
            self.blocks.pop()  # the last piece of what is shown as it is written
            return starts[-1]
        first = len(starts) - 1
        for index in range(len(starts) - 2, -1, -1):
            before = self.source[starts[index] : starts[index + 1]]
            if _EMPTY_LINE.search(before):
                break
            if "$$" in before or "\\[" in before:
                first = index
        del self.blocks[max(first, 0) :]
        return starts[first] if starts else 0

    def lines(self, first: int = 0) -> list[Line]:
        """All lines from those of block `first` on, with an empty one between blocks."""
        lines: list[Line] = []
        for number, block in enumerate(self.blocks[first:], first):
            if number and not block.goes_on:
                lines.append(Line())
            lines.extend(block.lines)
        return lines

    def height(self, count: int) -> int:
        """Lines of the first blocks, with those between them."""
        blocks = self.blocks[:count]
        return sum(len(block.lines) + (not block.goes_on) for block in blocks) - bool(blocks)


def layout(source: str, width: int, base: int = 0) -> list[Block]:
    """The blocks of a Markdown text; `base` is added to all offsets."""
    tokens = parse(source)
    text = Source(source, base)
    blocks: list[Block] = []
    index = 0
    while index < len(tokens):
        end = _closing(tokens, index)
        lines = _Layout(text, width).block(tokens[index : end + 1], [], [])
        line_range = tokens[index].map
        if lines:
            blocks.append(Block(base + text.line_start(line_range[0] if line_range else 0), lines))
        index = end + 1
    return blocks


def plain(source: str, width: int, style: int = 0) -> list[Line]:
    """Lines of a text that is not Markdown."""
    source, width = inert.block(source), max(8, width)
    if len(source) > LONGEST:
        return written_lines(source[:MOST], width, 0, style) + not_shown(source)
    return wrap([Span(source.replace("\t", " "), 0, style)], width)


def _closing(tokens: list[Token], index: int) -> int:
    depth = 0
    for position in range(index, len(tokens)):
        depth += tokens[position].nesting
        if depth == 0:
            return position
    return len(tokens) - 1


class _Layout:
    def __init__(self, source: Source, width: int) -> None:
        self.source = source
        self.width = width

    def block(self, tokens: list[Token], first: list[Span], rest: list[Span]) -> list[Line]:
        """One block (its opening to its closing token), behind a prefix for its first and its other lines."""
        token = tokens[0]
        inner = tokens[1:-1]
        match token.type:
            case "paragraph_open":
                return self._inline(inner[0], first, rest)
            case "heading_open":
                style = HEADING | STRONG | (TITLE if token.tag == "h1" else 0)
                return self._inline(inner[0], first, rest, style)
            case "fence" | "code_block":
                return self._code(token, first, rest)
            case "math_block":
                return self._formula(token, first, rest)
            case "hr":
                room = max(3, min(self.width, 40) - sum(len(span.text) for span in first))
                return [Line([*first, Span("─" * room, style=FAINT)])]
            case "bullet_list_open" | "ordered_list_open":
                return self._list(tokens, first, rest)
            case "blockquote_open":
                bar = [Span("▎ ", style=FAINT)] if len(rest) < DEEPEST else []
                return self.blocks(inner, [*first, *bar], [*rest, *bar])
            case "table_open":
                return self._table(tokens, first, rest)
            case _:
                return self._inline(token, first, rest) if token.children else []

    def blocks(
        self, tokens: list[Token], first: list[Span], rest: list[Span], *, loose: bool = True
    ) -> list[Line]:
        lines: list[Line] = []
        index = 0
        while index < len(tokens):
            end = _closing(tokens, index)
            if lines and loose:
                lines.append(Line(list(rest)))
            lines.extend(self.block(tokens[index : end + 1], rest if lines else first, rest))
            index = end + 1
        return lines

    def _inline(self, token: Token, first: list[Span], rest: list[Span], style: int = 0) -> list[Line]:
        return wrap(inline_spans(token, self.source, style), self.width, first, rest)

    def _formula(self, token: Token, first: list[Span], rest: list[Span]) -> list[Line]:
        begin, end = token.map or (0, 0)
        at, behind = self.source.line_start(begin), self.source.line_start(end)
        indent = Span(FORMULA_INDENT)
        return [
            line
            for number, spans in enumerate(formula_spans(token.content, self.source, at, behind))
            for line in wrap(
                spans,
                self.width,
                [*(rest if number else first), indent],
                [*rest, indent, indent],
            )
        ]

    def _code(self, token: Token, first: list[Span], rest: list[Span]) -> list[Line]:
        language = token.info.strip().split(" ")[0]
        code = token.content.removesuffix("\n")
        begin, end = token.map or (0, 0)
        at = self.source.line_start(begin + (token.type == "fence"))
        offsets = self.source.align(code, at, self.source.line_start(end))
        spans = [
            Span(piece.expandtabs(4), offsets[start + shift] if "\t" not in piece else -1, style)
            for text, start, style in highlight(code, language)
            for shift, piece in _split_lines(text)
        ]
        name = inert.line(language) or _("code")
        label = Span(f" {name} ", style=FENCE | MUTED)
        copy = Span(COPY, style=FENCE | FAINT)
        margin = [*rest, CODE_MARGIN]
        lines = wrap(spans, self.width, margin, margin, words=False, fill=FENCE)
        head = Line([*first, label, copy], FENCE)
        if head.width > self.width:
            head = Line([*first, label], FENCE)
        return [head, *lines]

    def _list(self, tokens: list[Token], first: list[Span], rest: list[Span]) -> list[Line]:
        depth = tokens[0].level // 2
        loose = not any(token.type == "paragraph_open" and token.hidden for token in tokens)
        lines: list[Line] = []
        items = tokens[1:-1]
        index = 0
        while index < len(items):
            end = _closing(items, index)
            number = items[index].info
            mark = f"{number}{items[index].markup} " if number else f"{BULLETS[depth % len(BULLETS)]} "
            if len(rest) >= DEEPEST:
                mark = ""
            if lines and loose:
                lines.append(Line(list(rest)))
            lines.extend(
                self.blocks(
                    items[index + 1 : end],
                    [*(rest if lines else first), Span(mark, style=FAINT)],
                    [*rest, Span(" " * len(mark))],
                    loose=loose,
                )
                or [Line([*(rest if lines else first), Span(mark, style=FAINT)])]
            )
            index = end + 1
        return lines

    def _table(self, tokens: list[Token], first: list[Span], rest: list[Span]) -> list[Line]:
        rows: list[list[Cell]] = []
        position = 0
        align = ""
        for token in tokens[1:-1]:
            if token.type == "tr_open":
                rows.append([])
                position = self.source.line_start(token.map[0]) if token.map else position
            elif token.type in ("th_open", "td_open"):
                align = str(token.attrs.get("style", ""))
            elif token.type == "inline":
                spans = inline_spans(token, self.source, at=position)
                ends = [span.end - self.source.base for span in spans if span.offset >= 0]
                position = max([position, *ends])
                rows[-1].append(Cell(spans, align.rpartition(":")[2]))
        begin, end = (self.source.line_start(line) for line in tokens[0].map or (0, 0))
        lines = table_lines(rows, self.width, first, rest, most=MOST_PARTS + end - begin)
        if lines is None:
            written = Span(self.source.text[begin:end].rstrip("\n"), self.source.base + begin)
            lines = wrap([written], self.width, first, rest)
        return lines


def _split_lines(text: str) -> list[tuple[int, str]]:
    """The lines of a piece of code with their offsets in it, each newline a piece of its own."""
    pieces: list[tuple[int, str]] = []
    start = 0
    for line in text.splitlines(keepends=True):
        body = line.rstrip("\n")
        if body:
            pieces.append((start, body))
        if len(body) < len(line):
            pieces.append((start + len(body), "\n"))
        start += len(line)
    return pieces
