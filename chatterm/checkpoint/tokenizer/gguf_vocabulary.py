"""The token list of a GGUF file, with everything checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

from chatterm.checkpoint.tokenizer.outline import check_tokens
from chatterm.errors import UserError

PREFIX = "tokenizer.ggml."
_ROLE = "_token_id"
_LARGEST_VOCABULARY = 1 << 20
_LONGEST_LIST = 1_500_000
_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTE = re.compile("<0x[0-9A-F]{2}>")
_USUAL = {"bos": (1, "<s>"), "eos": (2, "</s>"), "unknown": (0, "<unk>")}
"""Of SentencePiece vocabularies whose file does not say."""


class TokenType(IntEnum):
    """`tokenizer.ggml.token_type`."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Vocabulary:
    """The token list of a file, checked: `types[i]` and `scores[i]` belong to `tokens[i]`.

    Attributes:
        stated: the ids that the file names by their role: "bos", "eos", "eot", "padding", "fim_pre" …
        typed: the file says of what type its tokens are.
        beyond: the names of tokens that were left out, since the embedding has no row for them.
    """

    tokens: list[str]
    types: Sequence[float]
    scores: Sequence[float]
    stated: Mapping[str, int]
    typed: bool
    beyond: tuple[str, ...] = ()

    @cached_property
    def ids(self) -> dict[str, int]:
        """Every token's id."""
        return {token: index for index, token in enumerate(self.tokens)}

    def of(self, *types: int) -> list[int]:
        """The tokens of these types."""
        return [index for index, kind in enumerate(self.types) if kind in types]

    def name(self, role: str) -> str | None:
        """The token of a role."""
        index = self.stated.get(role)
        return None if index is None else self.tokens[index]


def read_vocabulary(metadata: Mapping[str, Any], rows: int | None = None) -> Vocabulary:
    """The token list that a file's metadata hold, or the first `rows` of it.

    Raises:
        UserError: it is damaged.
    """
    tokens = strings(metadata.get(PREFIX + "tokens"), "tokens")
    count = len(tokens)
    if not 0 < count <= _LARGEST_VOCABULARY:
        raise UserError(f"This GGUF file lists {count} tokens, which no language model has; it is damaged.")
    check_tokens(tokens, "This GGUF file")
    types = _numbers(metadata, "token_type", count)
    scores = _numbers(metadata, "scores", count) or [0.0] * count
    kept = _distinct(tokens)[:rows]
    stated = _stated(metadata, kept)
    if types is None:
        types = _guessed_types(metadata, kept, stated)
    return Vocabulary(
        kept,
        types[: len(kept)],
        scores[: len(kept)],
        stated,
        typed=metadata.get(PREFIX + "token_type") is not None,
        beyond=tuple(tokens[len(kept) :]),
    )


def _stated(metadata: Mapping[str, Any], tokens: Sequence[str]) -> dict[str, int]:
    """The ids by role; SentencePiece vocabularies that do not say have the usual ones, as in llama.cpp."""
    found = {
        key.removeprefix(PREFIX).removesuffix(_ROLE): value
        for key, value in metadata.items()
        if key.startswith(PREFIX) and key.endswith(_ROLE) and _is_id(value, len(tokens))
    }
    if metadata.get(PREFIX + "model") == "llama":
        for role, (index, name) in _USUAL.items():
            said = f"{PREFIX}{role}{_ROLE}" in metadata
            if not said and index < len(tokens) and tokens[index] == name:
                found[role] = index
    return found


def _is_id(value: Any, count: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < count


def _guessed_types(
    metadata: Mapping[str, Any], tokens: Sequence[str], stated: Mapping[str, int]
) -> list[float]:
    """What the names tell of the types: bytes and the unknown token of a SentencePiece vocabulary."""
    if metadata.get(PREFIX + "model") != "llama":
        return [TokenType.NORMAL] * len(tokens)
    types: list[float] = [TokenType.BYTE if _BYTE.fullmatch(token) else TokenType.NORMAL for token in tokens]
    if "unknown" in stated:
        types[stated["unknown"]] = TokenType.UNKNOWN
    return types


def _distinct(tokens: list[str]) -> list[str]:
    """Every token with a name that `tokenizers` can hold and that no other has."""
    if (
        "" not in (seen := set(tokens))
        and len(seen) == len(tokens)
        and not _SURROGATE.search("".join(tokens))
    ):
        return tokens
    result: list[str] = []
    taken: set[str] = set()
    for index, token in enumerate(tokens):
        usable = token and token not in taken and not _SURROGATE.search(token)
        result.append(token if usable else f"[token {index}]")
        taken.add(result[-1])
    return result


def strings(value: Any, key: str) -> list[str]:
    """A list of texts, which it has to be.

    Raises:
        UserError: it is damaged.
    """
    if not isinstance(value, list) or len(value) > _LONGEST_LIST or not set(map(type, value)) <= {str}:
        raise UserError(f"This GGUF file has no readable list {PREFIX}{key}; it is damaged or incomplete.")
    return value


def _numbers(metadata: Mapping[str, Any], key: str, count: int) -> Sequence[float] | None:
    value = metadata.get(PREFIX + key)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) < count or not set(map(type, value)) <= {int, float}:
        raise UserError(f"This GGUF file's {PREFIX}{key} does not match its list of tokens; it is damaged.")
    return value[:count]
