"""Merges that a file does not state: rebuilt from the scores or the order of its tokens."""

from __future__ import annotations

from collections.abc import Mapping

from tokenizers import models

from chatterm.errors import UserError


def merges_from_scores(scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """All pairs of tokens whose concatenation is a token, the best score of the concatenation first.

    Pairs of equal score stand by the length of the left part, then of the right part, longest first: the
    order in which transformers rebuilds the merges of a SentencePiece model. Tokens that must not take part
    (control tokens, bytes) are left out of `scores` by the caller.
    """
    merges = []
    for token, score in scores.items():
        for cut in range(1, len(token)):
            left = token[:cut]
            if left in scores and (right := token[cut:]) in scores:
                merges.append((score, cut, len(right), left, right))
    merges.sort(key=lambda merge: merge[:3], reverse=True)
    return [(merge[3], merge[4]) for merge in merges]


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
