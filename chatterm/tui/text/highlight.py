"""Syntax of code blocks.

The lexers are Pygments', for hundreds of languages, and what they do with hostile code is anybody's guess:
some take time that grows with its square, and one never ends. So they work under an allowance, and code that
takes longer is plain.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

from chatterm.allowance import Allowance, timed, untimed
from chatterm.tui.text.lines import COMMENT, FENCE, KEYWORD, NAME, NUMBER, STRING, Span

if TYPE_CHECKING:
    from pygments.lexer import Lexer  # type: ignore[import-untyped]


LONGEST = 20_000
"""Characters of code; a longer block is plain."""

ALLOWANCE = Allowance(seconds=0.25, per_character=10e-6)
"""Several times what lexers take for code that is not hostile."""


LOADING = Allowance(seconds=1.0, per_character=0.0)
"""A reply may name hundreds of languages, and each lexer is a module to be imported."""


@cache
def _languages() -> frozenset[str]:
    from pygments.lexers import LEXERS  # type: ignore[import-untyped]

    return frozenset(alias.lower() for lexer in LEXERS.values() for alias in lexer[2])


@cache
def _lexer(language: str) -> Lexer:
    from pygments.lexers import get_lexer_by_name

    return get_lexer_by_name(language, stripnl=False, ensurenl=False)


@lru_cache(maxsize=512)
def _style(kind: object) -> int:
    from pygments.token import (  # type: ignore[import-untyped]
        Comment,
        Keyword,
        Literal,
        Name,
        Operator,
        _TokenType,
    )

    assert isinstance(kind, _TokenType)
    for family, style in (
        (Comment, COMMENT),
        (Keyword, KEYWORD),
        (Operator.Word, KEYWORD),
        (Literal.String, STRING),
        (Literal.Number, NUMBER),
        (Name.Function, NAME),
        (Name.Class, NAME),
        (Name.Decorator, NAME),
        (Name.Tag, NAME),
    ):
        if kind in family:
            return FENCE | style
    return FENCE


def highlight(code: str, language: str) -> list[Span]:
    """Spans of `code` with offsets into it; plain where the language is not known or takes its time."""
    spans = None
    language = language.lower()
    if language and len(code) <= LONGEST and timed() and language in untimed(_languages):
        lexer = LOADING.within(0, lambda: _lexer(language))
        if lexer is not None:
            spans = ALLOWANCE.within(len(code), lambda: _spans(lexer, code))
    return [Span(code, 0, FENCE)] if spans is None else spans


def _spans(lexer: Lexer, code: str) -> list[Span]:
    return [
        Span(text, start, _style(kind)) for start, kind, text in lexer.get_tokens_unprocessed(code) if text
    ]
