"""Words that a person names, as the tokens of this vocabulary."""

from __future__ import annotations

from chatterm import inert
from chatterm.checkpoint.tokenizer import Tokenizer
from chatterm.errors import UserError

MOST_TOKENS = 64
"""Of one word; what is longer is a text."""


def word_ids(tokenizer: Tokenizer, word: str) -> list[int]:
    """The tokens of a word as it stands inside a text.

    Most vocabularies have a word of its own for " king", with the space before it, so that is taken where it
    is one token; else the word without the space, where that is; else the fewer tokens of the two.

    Raises:
        UserError: the word is empty, too long, or not in the vocabulary.
    """
    if not word.strip():
        raise UserError("A word is empty: type one, such as “king”.")
    shown = inert.line(word[:40])
    unknown = tokenizer.id_of(tokenizer.names.get("unk_token", ""))
    forms = [tokenizer.encode(form) for form in word_forms(word)]
    known = [ids for ids in forms if ids and set(ids) != {unknown}]
    if not known:
        raise UserError(f"The word “{shown}” is not in this model's vocabulary; try another.")
    ids = min(known, key=len)
    if len(ids) > MOST_TOKENS:
        raise UserError(f"“{shown}…” has {len(ids)} tokens; a word may have {MOST_TOKENS}.")
    return ids


def word_forms(word: str) -> list[str]:
    """The ways in which a word may stand in a text: after a space, and as it is."""
    return [word] if word[0].isspace() else [" " + word, word]


def single_tokens(tokenizer: Tokenizer, word: str) -> set[int]:
    """The tokens that are this word alone, with or without the space before it."""
    forms = (tokenizer.encode(form) for form in dict.fromkeys((*word_forms(word), *word_forms(word.strip()))))
    return {ids[0] for ids in forms if len(ids) == 1}
