"""The merging model of `tokenizers`, from a vocabulary and its merges."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tokenizers import models

from chatterm.checkpoint.tokenizer.outline import broken_tokenizer


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
    with broken_tokenizer(f"{source} holds a vocabulary that makes no tokenizer"):
        return build(usable)
