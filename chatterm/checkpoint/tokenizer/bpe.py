"""Merges that a file does not state: rebuilt from the scores or the order of its tokens."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from tokenizers import models

from chatterm.errors import UserError


def merges_from_scores(scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """All pairs of tokens whose concatenation is a token, the best score of the concatenation first.

    Pairs of equal score stand by the length of the left part, then of the right part, longest first: the
    order in which transformers rebuilds the merges of a SentencePiece model. Tokens that must not take part
    (control tokens, bytes) are left out of `scores` by the caller.
    """
    shorter = _longest_beginnings(scores)
    merges: list[tuple[str, str]] = []
    begin, previous, tied = 0, None, False  # of the run of tokens with one score
    for token in sorted(scores, key=scores.__getitem__, reverse=True):
        if (score := scores[token]) != previous:
            if tied:
                merges[begin:] = sorted(merges[begin:], key=_lengths, reverse=True)
            begin, previous, tied = len(merges), score, False
        else:
            tied = True
        left = shorter.get(token)
        while left is not None:
            if (right := token[len(left) :]) in scores:
                merges.append((left, right))
            left = shorter.get(left)
    merges[begin:] = sorted(merges[begin:], key=_lengths, reverse=True)
    return merges


def _lengths(merge: tuple[str, str]) -> tuple[int, int]:
    return len(merge[0]), len(merge[1])


@contextmanager
def without_collector() -> Iterator[None]:
    """Keeps the garbage collector from walking a million new strings again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _longest_beginnings(tokens: Iterable[str]) -> dict[str, str]:
    """For every token, the longest other token that it begins with, if any."""
    found = {}
    open_: list[str] = []  # the tokens that the current one begins with, each a beginning of the next
    for token in sorted(filter(None, tokens)):
        while open_ and not token.startswith(open_[-1]):
            open_.pop()
        if open_:
            found[token] = open_[-1]
        open_.append(token)
    return found


def bpe_model(
    vocabulary: Mapping[str, int],
    merges: list[tuple[str, str]],
    *,
    source: str,
    unknown: str | None = None,
    byte_fallback: bool = False,
    ignore_merges: bool = False,
) -> models.BPE:
    """The merging model; merges that name a token outside the vocabulary can never apply and are dropped.

    Raises:
        UserError: the vocabulary does not make a model; the sentence names `source`.
    """

    def build(usable: list[tuple[str, str]]) -> models.BPE:
        return models.BPE(
            vocab=dict(vocabulary),
            merges=usable,
            unk_token=unknown,
            fuse_unk=True,
            byte_fallback=byte_fallback,
            ignore_merges=ignore_merges,
        )

    try:
        return build(merges)
    except Exception:  # tokenizers raises nothing finer
        usable = [
            (left, right)
            for left, right in merges
            if left in vocabulary and right in vocabulary and left + right in vocabulary
        ]
    try:
        return build(usable)
    except Exception as error:
        raise UserError(f"{source} holds a vocabulary that makes no tokenizer: {error}.") from error
