"""Vocabularies with more tokens than the model has rows for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import tokenizers

from chatterm.checkpoint.tokenizer.outline import broken_tokenizer

MAX_VOCABULARY = 1 << 22
"""More than any vocabulary has; what numbers its tokens beyond is damaged."""

_SHOWN = 3


def within_rows(backend: tokenizers.Tokenizer, rows: int, source: str) -> tokenizers.Tokenizer:
    """The same without the tokens whose ids have no row in the embedding: their names are text like any.

    Raises:
        UserError: without them it is no tokenizer; the sentence names `source`.
    """
    document = json.loads(backend.to_str())
    document["added_tokens"] = [token for token in document["added_tokens"] if token["id"] < rows]
    model = document["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = vocabulary = {
            token: index for token, index in model["vocab"].items() if index < rows
        }
        model["merges"] = [merge for merge in model.get("merges", ()) if _applies(merge, vocabulary)]
    else:  # of a unigram model, where the place is the id
        model["vocab"] = model["vocab"][:rows]
    with broken_tokenizer(f"{source} has tokens that the model has no place for"):
        return tokenizers.Tokenizer.from_str(json.dumps(document))


def _applies(merge: Any, vocabulary: dict[str, int]) -> bool:
    left, right = merge if isinstance(merge, list) else merge.split(" ", 1)
    return left in vocabulary and right in vocabulary and left + right in vocabulary


def beyond_rows_notice(names: Sequence[str]) -> tuple[str, ...]:
    """A sentence for the user about tokens without a row, if there are any."""
    if not names:
        return ()
    shown = ", ".join(f"“{name}”" for name in names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
    return (f"{len(names)} of its tokens ({shown}) have no row in the embedding, so they are read as text.",)
