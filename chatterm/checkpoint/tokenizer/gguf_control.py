"""Which tokens of a GGUF file are control tokens, whatever its types say."""

from __future__ import annotations

from collections.abc import Iterator

import tokenizers

from chatterm.checkpoint.tokenizer.gguf_vocabulary import TokenType, Vocabulary
from chatterm.checkpoint.tokenizer.special import (
    SURE_NAMES,
    is_bracketed,
    is_word,
    looks_like_control,
    marker_ids,
)

ENDS = ("eos", "eot", "eom")
_STEERS = frozenset({"bos", *ENDS})
"""Roles of tokens that are markers if they look like one."""


def control_tokens(vocabulary: Vocabulary, backend: tokenizers.Tokenizer, *, bytes_: bool) -> list[int]:
    """The control tokens, in order of their ids; nothing may have been added to `backend` yet.

    Files mark turn markers as ordinary tokens, or say nothing of types. A token is a control token if its
    type says so; else if its name is one that llama.cpp goes by, too, or the file states a role of it, and it
    is not what that text is cut into: HTML's `</s>` is a word of Qwen's, and a newline may end a text.
    """
    certain = set(vocabulary.of(TokenType.CONTROL, TokenType.UNKNOWN))
    for index in vocabulary.of(TokenType.USER_DEFINED):
        name = vocabulary.tokens[index]
        if looks_like_control(name) or name in SURE_NAMES or index in _steering(vocabulary):
            certain.add(index)
    doubtful = set(_doubtful(vocabulary)) - certain
    found = {index for index in doubtful if not is_word(backend, index, bytes_=bytes_)}
    marked = {index for index in _steering(vocabulary) if is_bracketed(vocabulary.tokens[index])}
    return sorted(certain | found | marked)


def _steering(vocabulary: Vocabulary) -> set[int]:
    return {index for role, index in vocabulary.stated.items() if role in _STEERS}


def _doubtful(vocabulary: Vocabulary) -> Iterator[int]:
    """Tokens of other types that may be markers."""
    added = vocabulary.of(TokenType.USER_DEFINED)  # matched in any text, as they are
    yield from set(vocabulary.stated.values()).difference(added)
    yield from marker_ids(vocabulary.ids).difference(added)
    if not vocabulary.typed:
        yield from (index for index, name in enumerate(vocabulary.tokens) if looks_like_control(name))
