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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", ONE_PER_FAMILY)
def test_several_tokens_at_once_are_the_same_to_the_last_bit(name: str, dtype, tiny_checkpoint) -> None:
    decoder = load_decoder(tiny_checkpoint(name), cache_dtype=dtype, threads=2)
    one_by_one = decoder.new_cache(40)
    singles = torch.stack([decoder(token.view(1), one_by_one) for token in TOKENS])
    for count in (2, 3, 4, 5, 6, 7, 8, 13):
        cache = decoder.new_cache(40)
        for token in TOKENS[:9]:
            decoder(token.view(1), cache)
        some = TOKENS[9 : 9 + count]
        together = decoder(some, cache, last_only=False)
        if decoder.most_ahead == 0:  # the rotation depends on the length of the text
            torch.testing.assert_close(together, singles[9 : 9 + count], rtol=0, atol=1e-3)
            continue
        assert torch.equal(together, singles[9 : 9 + count])
        assert torch.equal(cache.keys[:, :, : 9 + count], one_by_one.keys[:, :, : 9 + count])
        cache.truncate(9)
        assert torch.equal(decoder(some, cache), singles[8 + count])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_several_tokens_at_once_are_the_same_across_the_border_of_a_chunk(dtype, tiny_checkpoint) -> None:
    for name in ("llama, untied", "gemma3_text, windows, two rotary bases"):
        checkpoint = tiny_checkpoint(name)
        decoder = load_decoder(checkpoint, cache_dtype=dtype, threads=3)
        tokens = torch.arange(140) * 11 % 96
        caches = decoder.new_cache(140), decoder.new_cache(140)
        for cache in caches:
            decoder(tokens[:124], cache)
        singles = torch.stack([decoder(token.view(1), caches[0]) for token in tokens[124:132]])
        assert torch.equal(decoder(tokens[124:132], caches[1], last_only=False), singles)


@pytest.mark.parametrize("name", ONE_PER_FAMILY)
def test_half_precision_keys_are_the_step_in_torch_with_them(name: str, tiny_checkpoint) -> None:
    checkpoint = tiny_checkpoint(name)
    native = load_decoder(checkpoint, cache_dtype=torch.float16)
    plain = load_decoder(checkpoint, cache_dtype=torch.float16, threads=0)
    exact = load_decoder(checkpoint)
    caches = native.new_cache(40), plain.new_cache(40), exact.new_cache(40)
    for token in TOKENS:
        ours, theirs, right = (
            decoder(token.view(1), cache).log_softmax(-1)
            for decoder, cache in zip((native, plain, exact), caches, strict=True)
        )
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-3)
        torch.testing.assert_close(ours, right, rtol=0, atol=2e-2)
    assert caches[0].keys.dtype == caches[1].keys.dtype == torch.float16


def test_a_key_beyond_the_range_of_half_precision_widens_the_cache(tiny_checkpoint) -> None:
    decoder = load_decoder(tiny_checkpoint("llama, untied"), cache_dtype=torch.float16)
    attention = decoder.blocks[1].attention
    caches = decoder.new_cache(40), decoder.new_cache(40)
    decoder(TOKENS[:20], caches[0])
    assert caches[0].keys.dtype == torch.float16
    _make_values_large(attention.qkv.parts[2])
    step = decoder(TOKENS[20:21], caches[0])
    assert caches[0].keys.dtype == torch.float32 and caches[0].values[:, :, 20].abs().max() > 65504
    assert step.isfinite().all()
    assert decoder(TOKENS, caches[1]).isfinite().all()  # in torch
    assert caches[1].keys.dtype == torch.float32


def _make_values_large(tiles) -> None:
    """Multiply the float32 weights of a matrix in place."""
    import numpy as np

    numbers = tiles._memory[: tiles._memory.size // 4 * 4].view(np.float32)
    start = (tiles.matrix.data - tiles._memory.ctypes.data) // 4
    numbers[start : start + tiles.rows * tiles.columns] *= 1e6
