"""Syntax of code blocks."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from chatterm.tui.text.lines import COMMENT, FENCE, KEYWORD, NAME, NUMBER, STRING, Span

if TYPE_CHECKING:
    from pygments.lexer import Lexer  # type: ignore[import-untyped]


@lru_cache(maxsize=32)
def _lexer(language: str) -> Lexer | None:
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


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
    """Spans of `code` with offsets into it; plain where the language is not known."""
    lexer = _lexer(language.lower()) if language else None
    if lexer is None:
        return [Span(code, 0, FENCE)]
    return [
        Span(text, start, _style(kind)) for start, kind, text in lexer.get_tokens_unprocessed(code) if text
    ]
