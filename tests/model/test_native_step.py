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
from chatterm.model.native.step import PHASES
from chatterm.model.taps import BLOCK_POINTS, OUTER_POINTS, Edit, Taps
from chatterm.model.vectors import NARROW, narrowed

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


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("name", ONE_PER_FAMILY)
def test_taps_read_what_the_step_computes_with(name: str, count: int, tiny_checkpoint) -> None:
    checkpoint = tiny_checkpoint(name)
    native, plain = load_decoder(checkpoint), load_decoder(checkpoint, threads=0)
    ours, theirs = Taps((*BLOCK_POINTS, *OUTER_POINTS)), Taps((*BLOCK_POINTS, *OUTER_POINTS))
    count = min(count, native._native.most_rows)
    caches = native.new_cache(40), native.new_cache(40), plain.new_cache(40)
    for decoder, cache in zip((native, native, plain), caches, strict=True):
        decoder(TOKENS[:33], cache)
    some = TOKENS[33 : 33 + count]
    logits = native(some, caches[0], last_only=False, taps=ours)
    plain(some, caches[2], last_only=False, taps=theirs)
    assert torch.equal(logits, native(some, caches[1], last_only=False))  # looking changes nothing
    assert list(ours.values) == list(theirs.values)
    for place, value in theirs.values.items():
        assert ours.values[place].shape == value.shape, place
        torch.testing.assert_close(ours.values[place], value, rtol=1e-4, atol=5e-5, msg=str(place))


def test_taps_of_one_place_read_that_place_alone(tiny_checkpoint) -> None:
    decoder = load_decoder(tiny_checkpoint(ONE_PER_FAMILY[0]))
    cache = decoder.new_cache(40)
    taps = Taps([("output", 1), "embedding"])
    decoder(TOKENS[:1], cache, taps=taps)
    assert set(taps.values) == {("output", 1), ("embedding", None)}


def test_an_edit_changes_a_step_of_packed_weights_as_one_of_plain_ones(tiny_checkpoint) -> None:
    checkpoint = tiny_checkpoint("llama, untied")
    for count in (1, 3, 12):
        found = []
        for decoder in (load_decoder(checkpoint), load_decoder(checkpoint, threads=0)):
            cache = decoder.new_cache(40)
            decoder(TOKENS[:20], cache)
            taps = Taps(["output"], [Edit("heads", 1, (slice(None), 2), scale=0.0)])
            found.append(decoder(TOKENS[20 : 20 + count], cache, last_only=False, taps=taps))
        torch.testing.assert_close(*found, rtol=1e-4, atol=5e-5)


@pytest.mark.parametrize("dtype", [torch.float32, NARROW])
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


@pytest.mark.parametrize("dtype", [torch.float32, NARROW])
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
def test_narrow_keys_are_the_step_in_torch_with_them(name: str, tiny_checkpoint) -> None:
    checkpoint = tiny_checkpoint(name)
    native = load_decoder(checkpoint, cache_dtype=NARROW)
    plain = load_decoder(checkpoint, cache_dtype=NARROW, threads=0)
    exact = load_decoder(checkpoint)
    caches = native.new_cache(40), plain.new_cache(40), exact.new_cache(40)
    for token in TOKENS:
        ours, theirs, right = (
            decoder(token.view(1), cache).log_softmax(-1)
            for decoder, cache in zip((native, plain, exact), caches, strict=True)
        )
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-3)
        torch.testing.assert_close(ours, right, rtol=0, atol=5e-3)
    assert caches[0].keys.dtype == caches[1].keys.dtype == NARROW


def test_the_operator_and_torch_store_the_same_narrow_keys(tiny_checkpoint) -> None:
    checkpoint = tiny_checkpoint("llama, untied")
    exact, narrow = load_decoder(checkpoint), load_decoder(checkpoint, cache_dtype=NARROW)
    caches = exact.new_cache(8), narrow.new_cache(8)
    exact(TOKENS[:8], caches[0]), narrow(TOKENS[:8], caches[1])
    for ours, scales, plain in (
        (caches[1].keys, caches[1].key_scales, caches[0].keys),
        (caches[1].values, caches[1].value_scales, caches[0].values),
    ):
        whole, expected = narrowed(plain[0, :, :8])  # of the first block, whose input is the same
        assert int((ours[0, :, :8].int() - whole.int()).abs().max()) <= 1  # rounded once, or twice
        torch.testing.assert_close(scales[0, :, :8], expected, rtol=1e-6, atol=0)


def test_no_value_is_too_large_for_a_narrow_cache(tiny_checkpoint) -> None:
    narrow = load_decoder(tiny_checkpoint("llama, untied"), cache_dtype=NARROW)
    exact = load_decoder(tiny_checkpoint("llama, untied"))
    for decoder in (narrow, exact):
        _make_values_large(decoder.blocks[1].attention.qkv.parts[2])
    caches = narrow.new_cache(40), exact.new_cache(40)
    for tokens in (TOKENS[:20], TOKENS[20:21]):  # through torch, and by the operator
        ours, theirs = narrow(tokens, caches[0]), exact(tokens, caches[1])
        torch.testing.assert_close(ours.log_softmax(-1), theirs.log_softmax(-1), rtol=0, atol=5e-3)
    assert caches[1].values[:, :, :21].abs().max() > 65504


def _make_values_large(tiles) -> None:
    """Multiply the float32 weights of a matrix in place."""
    import numpy as np

    numbers = tiles._memory[: tiles._memory.size // 4 * 4].view(np.float32)
    start = (tiles.matrix.data - tiles._memory.ctypes.data) // 4
    numbers[start : start + tiles.rows * tiles.columns] *= 1e6


def test_a_step_that_is_watched_says_how_long_each_phase_took(tiny_checkpoint) -> None:
    decoder = load_decoder(tiny_checkpoint(ONE_PER_FAMILY[0]), threads=1)
    cache = decoder.new_cache(8)
    native = decoder._native
    assert native.seconds == {}
    native.watch()
    decoder(torch.tensor([5]), cache)
    once = native.seconds
    assert list(once) == list(PHASES)
    assert all(0 < seconds < 60 for seconds in once.values())
    decoder(torch.tensor([6]), cache)
    assert all(native.seconds[phase] > once[phase] for phase in PHASES)
    native.watch()
    assert set(native.seconds.values()) == {0.0}
