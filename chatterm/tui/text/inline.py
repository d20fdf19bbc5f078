"""Words of a Markdown paragraph as spans, each found again in the source."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from chatterm import inert
from chatterm.tui.text.lines import CODE, DECORATION, EMPHASIS, FAINT, LINK, STRIKE, STRONG, Span

if TYPE_CHECKING:
    from markdown_it.token import Token

NEAR = 12
"""How far a single character is looked for: escapes and entities are short."""

FAR = 2000
"""How far words are looked for: behind a label, or the markup of what they are in."""

_OPENS = {"strong_open": STRONG, "em_open": EMPHASIS, "s_open": STRIKE, "link_open": LINK}
_CLOSES = {"strong_close": STRONG, "em_close": EMPHASIS, "s_close": STRIKE}


class Source:
    """A Markdown text and where its lines begin. The parser tells lines, not characters; this finds them."""

    def __init__(self, text: str, base: int = 0) -> None:
        self.text = text
        self.base = base  # offset of `text` in the whole reply
        self._starts = [0, *accumulate(len(line) for line in text.split("\n"))]
        self._starts = [start + index for index, start in enumerate(self._starts)]

    def line_start(self, line: int) -> int:
        """Where a line begins; the end of the text behind the last one."""
        return min(self._starts[min(line, len(self._starts) - 1)], len(self.text))

    def align(self, shown: str, at: int, end: int) -> list[int]:
        """For each character of `shown`, its offset (with `base`) in the text between `at` and `end`.

        `shown` is that stretch of the text without its markup; what cannot be found is `DECORATION`.
        """
        found = self.text.find(shown, at, min(end, at + len(shown) + FAR)) if shown else -1
        if found >= 0:
            return list(range(self.base + found, self.base + found + len(shown)))
        offsets: list[int] = []
        for line in shown.splitlines(keepends=True):
            whole = self.text.find(line, at, min(end, at + len(line) + FAR))
            if whole >= 0:
                offsets.extend(range(self.base + whole, self.base + whole + len(line)))
                at = whole + len(line)
                continue
            for character in line:
                place = self.text.find(character, at, min(end, at + NEAR))
                offsets.append(self.base + place if place >= 0 else DECORATION)
                at = place + 1 if place >= 0 else at
        return offsets


def inline_spans(token: Token, source: Source, style: int = 0, at: int | None = None) -> list[Span]:
    """The spans of an inline token.

    Args:
        token: of type `inline`, with children.
        source: the text that it was parsed from.
        style: what all of it has.
        at: where to begin looking in the source; the line on which the token begins if None.
    """
    begin, end_line = token.map or (0, 0)
    at = source.line_start(begin) if at is None else at
    end = source.line_start(end_line) if token.map else len(source.text)
    spans: list[Span] = []
    address = ""  # of the link that is open
    named = 0  # where among the spans its words begin
    for child in token.children or []:
        kind = child.type
        if kind in _OPENS:
            style |= _OPENS[kind]
            if kind == "link_open":
                address, named = str(child.attrs.get("href", "")), len(spans)
        elif kind in _CLOSES:
            style &= ~_CLOSES[kind]
        elif kind == "link_close":
            style &= ~LINK
            # later words must not be looked for in the address
            hidden = source.text.find(")", at, end) if source.text.startswith("](", at) else -1
            at = max(at, hidden + 1)
            # words that only hold the address, or that of another link, could lie about where this one leads
            if address and address != "".join(span.text for span in spans[named:]):
                spans.append(Span(f" ({inert.line(address)})", style=FAINT))
        elif kind in ("math_inline", "math_inline_double"):
            opens = source.text.find(child.markup, at, end)
            begin = opens + len(child.markup) if opens >= 0 else at
            lines = formula_spans(child.content, source, begin, end, style)
            on_its_own = kind == "math_inline_double" and len(lines) > 1
            for number, line in enumerate(lines):
                if (number or on_its_own) and spans and not spans[-1].text.endswith("\n"):
                    spans.append(Span("\n"))
                spans.extend(line)
            at = min(begin + len(child.content) + len(child.markup), end)
        elif kind in ("softbreak", "hardbreak"):
            place = source.text.find("\n", at, end)
            spans.append(Span("\n", source.base + place if place >= 0 else DECORATION, style))
            at = place + 1 if place >= 0 else at
        else:
            text = child.content if kind != "image" else f"[{child.content}] {child.attrs.get('src', '')}"
            text = _inert(text, spans)
            offsets = source.align(text, at, end)
            spans.extend(_runs(text, offsets, style | (CODE if kind == "code_inline" else 0)))
            last = max(offsets, default=DECORATION)
            at = last - source.base + 1 if last >= 0 else at
    return spans


def formula_spans(content: str, source: Source, at: int, end: int, style: int = 0) -> list[list[Span]]:
    """The lines of a formula that stands in the source between `at` and `end`."""
    from chatterm.tui.text.formula import formula

    offsets = source.align(content, at, end)
    return [
        [
            Span(inert.line(text), offsets[place] if place >= 0 else DECORATION, style)
            for text, place in line
            if text
        ]
        for line in formula(content)
    ]


def _inert(text: str, before: list[Span]) -> str:
    """A piece of text once more inert: what an entity like `&#8238;` stands for has come in only now."""
    return inert.line(text, "".join(span.text for span in before[-inert.CONTEXT :]))


def _runs(text: str, offsets: list[int], style: int) -> list[Span]:
    """`text` cut where its offsets are not consecutive."""
    spans = []
    start = 0
    for index in range(1, len(text) + 1):
        if index < len(text):
            before, here = offsets[index - 1], offsets[index]
            if here == before + 1 if before >= 0 else here < 0:
                continue
        spans.append(Span(text[start:index], offsets[start], style))
        start = index
    return spans
