"""The native step computes what the decoder computes in torch, for every family."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.parity.cases import CASES
from chatterm.model.load import load_decoder
from chatterm.model.native.build import NotBuiltError, library

try:
    library()
except NotBuiltError as error:
    pytest.skip(f"no native operator here: {error}", allow_module_level=True)

ONE_PER_FAMILY = list({case.family: case.name for case in CASES}.values())
TOKENS = torch.arange(40) * 37 % 96


@pytest.mark.parametrize("name", ONE_PER_FAMILY)
def test_a_step_is_the_step_in_torch(name: str, tiny_checkpoint) -> None:
    checkpoint = tiny_checkpoint(name)
    native, plain = load_decoder(checkpoint), load_decoder(checkpoint, threads=0)
    assert native._native is not None and plain._native is None
    caches = native.new_cache(40), plain.new_cache(40)
    for token in TOKENS:
        ours, theirs = native(token.view(1), caches[0]), plain(token.view(1), caches[1])
        torch.testing.assert_close(ours.log_softmax(-1), theirs.log_softmax(-1), rtol=0, atol=3e-5)
    torch.testing.assert_close(caches[0].keys, caches[1].keys, rtol=1e-4, atol=5e-5)


def test_a_long_context_is_joined_from_its_chunks(tiny_checkpoint) -> None:
    checkpoint = tiny_checkpoint(ONE_PER_FAMILY[0])
    native, plain = load_decoder(checkpoint, threads=3), load_decoder(checkpoint, threads=0)
    length = min(700, checkpoint.architecture.context)
    tokens = torch.arange(length) * 11 % 96
    caches = native.new_cache(length), plain.new_cache(length)
    native(tokens[:-1], caches[0]), plain(tokens[:-1], caches[1])
    ours, theirs = native(tokens[-1:], caches[0]), plain(tokens[-1:], caches[1])
    torch.testing.assert_close(ours.log_softmax(-1), theirs.log_softmax(-1), rtol=0, atol=3e-5)


def test_taps_see_the_same_step(tiny_checkpoint) -> None:
    from chatterm.model.taps import Taps

    decoder = load_decoder(tiny_checkpoint(ONE_PER_FAMILY[0]))
    caches = decoder.new_cache(40), decoder.new_cache(40)
    taps = Taps(["output"])
    for token in TOKENS[:10]:
        fast, tapped = decoder(token.view(1), caches[0]), decoder(token.view(1), caches[1], taps=taps)
        torch.testing.assert_close(fast, tapped, rtol=1e-4, atol=1e-4)
