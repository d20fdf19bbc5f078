"""Several continuations of one text at a time: each has the logits that it would have alone."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from chatterm.checkpoint.open import open_checkpoint
from chatterm.model.branches import Branches
from chatterm.model.decoder import Decoder
from chatterm.model.load import load_decoder
from chatterm.model.vectors import NARROW

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.parity import reference
from benchmarks.parity.cases import CASES

TEXT = [5, 17, 99, 4, 63, 21, 80, 5, 17, 99, 4, 63, 21, 80, 5, 17, 99, 31, 7, 8, 9, 2, 40, 41, 42, 43, 44, 45]
KINDS = {
    "plain": "llama, untied",
    "windows": "mistral, window",
    "soft caps": "gemma2, tight soft-caps",
    "learned positions": "gpt2, tied",
    "parallel": "gpt_neox, parallel",
    "two rotations": "gemma3_text, windows, two rotary bases",
}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def folder(request, tmp_path_factory) -> Path:
    """A tiny checkpoint with random weights."""
    (case,) = [case for case in CASES if case.name == request.param]
    folder = tmp_path_factory.mktemp("tiny")
    reference.save(case, reference.make_model(case), folder)
    return folder


def alone(decoder: Decoder, tokens: list[int]) -> Tensor:
    """Logits after all of them, read in the same pieces: the text, then token by token."""
    cache = decoder.new_cache(100)
    logits = decoder(torch.tensor(TEXT), cache)
    for token in tokens:
        logits = decoder(torch.tensor([token]), cache)
    return logits


@pytest.mark.parametrize("way", ["torch", "native, float32", "native, narrow"])
def test_a_branch_has_the_logits_of_its_own_text(folder, way) -> None:
    """Branches that come and go at different times, in any order of rows."""
    exact = way == "torch"
    decoder = load_decoder(
        open_checkpoint(folder),
        cache_dtype=NARROW if way.endswith("narrow") else None,
        threads=0 if exact else 2,
    )
    if not exact and decoder.way != "native":
        pytest.skip("no native operator here")
    chance = random.Random(7)
    cache = decoder.new_cache(100)
    decoder(torch.tensor(TEXT), cache)
    branches = Branches(cache, 6, 40)
    written: list[list[int]] = [[] for _ in range(6)]
    for step in range(12):
        rows = [branch for branch in range(6) if branch <= step and chance.random() < 0.8]
        chance.shuffle(rows)
        if not rows:
            continue
        tokens = [chance.randrange(100) for _ in rows]
        logits = decoder.read_branches(torch.tensor(tokens), branches, rows)
        for row, token, got in zip(rows, tokens, logits, strict=True):
            written[row].append(token)
            if step > 9:
                difference = (got.log_softmax(-1) - alone(decoder, written[row]).log_softmax(-1)).abs().max()
                assert difference < 1e-4
    assert branches.lengths == [len(tokens) for tokens in written]
    assert cache.length == len(TEXT)
    after = decoder(torch.tensor([3]), cache)  # the text goes on as if there had been no branches
    torch.testing.assert_close(after, alone(decoder, [3]), rtol=0, atol=1e-5)


def test_a_branch_that_is_full_or_named_twice_is_refused(folder) -> None:
    decoder = load_decoder(open_checkpoint(folder), threads=0)
    cache = decoder.new_cache(100)
    decoder(torch.tensor(TEXT), cache)
    branches = Branches(cache, 2, 1)
    branches.lengths[1] = branches.room
    for rows in ([0, 0], [1]):
        with pytest.raises(ValueError, match="cannot have a token more"):
            decoder.read_branches(torch.tensor([1] * len(rows)), branches, rows)
