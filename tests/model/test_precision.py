"""Keys and values take 16 bits only where that keeps every probability; everywhere else they are float32."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.cache import largest_difference, logprobs, stand_ins, worst
from benchmarks.parity.reference import load as load_reference
from benchmarks.parity.reference import logprobs as reference_logprobs
from benchmarks.sharp import ONE_PER_FAMILY, save
from chatterm.checkpoint.open import open_checkpoint
from chatterm.model import precision
from chatterm.model.cache import Cache, token_bytes
from chatterm.model.load import load_decoder
from chatterm.model.vectors import NARROW, Vectors, narrowed

NASTY = {text: ids[:20] for text, ids in list(stand_ins(128).items())[::8]}


@pytest.fixture(autouse=True)
def _nothing_known(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(precision, "FILE", str(tmp_path / "types.json"))  # absolute, so in no cache folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory, quiet_transformers):
    """The folder of a family's checkpoint, ordinary or sharp; each is made once."""

    @cache
    def make(family: str, sharp: bool) -> Path:
        return save(ONE_PER_FAMILY[family], tmp_path_factory.mktemp("sharp"), sharp=sharp)

    return make


@pytest.fixture(scope="module")
def biased(tmp_path_factory, quiet_transformers) -> Path:
    """A Qwen 2 with biases of keys in the hundreds, as Qwen2.5-0.5B has them."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(5)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=128,
            hidden_size=128,
            intermediate_size=192,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            initializer_range=0.15,
            tie_word_embeddings=False,
        )
    )
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.k_proj.bias.normal_(0, 500)
            layer.self_attn.q_proj.bias.normal_(0, 40)
    folder = tmp_path_factory.mktemp("biased")
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("sharp", [False, True], ids=["ordinary", "sharp"])
@pytest.mark.parametrize("family", ONE_PER_FAMILY)
def test_the_default_way_is_within_a_twentieth_of_a_nat_on_nasty_texts(family, sharp, checkpoints) -> None:
    checkpoint = open_checkpoint(checkpoints(family, sharp))
    exact, decoder = load_decoder(checkpoint, threads=0), load_decoder(checkpoint, exact=False)
    found = worst(exact, decoder, NASTY)
    assert max(found.stepped, found.read) <= precision.PROMISE, found


def test_an_ordinary_checkpoint_is_given_16_bits_and_exact_never(checkpoints) -> None:
    checkpoint = open_checkpoint(checkpoints("llama", False))
    assert load_decoder(checkpoint, exact=False).new_cache(8).keys.dtype == NARROW
    assert load_decoder(checkpoint).new_cache(8).keys.dtype == torch.float32


def test_large_biases_of_keys_are_given_float32_and_the_numbers_of_transformers(biased) -> None:
    decoder = load_decoder(open_checkpoint(biased), exact=False)
    assert decoder.cache_dtype == torch.float32
    reference = load_reference(biased)
    narrow = 0.0
    for ids in NASTY.values():
        tokens = torch.tensor(ids)
        expected = reference_logprobs(reference, tokens)
        for at_once in (1, 256):
            ours = logprobs(decoder, tokens, at_once)
            assert largest_difference(expected, ours) <= precision.PROMISE
        narrow = max(narrow, largest_difference(expected, logprobs(decoder, tokens, 1, NARROW)))
    assert narrow > precision.PROMISE  # it was right not to take it


def test_what_was_found_is_remembered_until_the_file_changes(biased, checkpoints, monkeypatch) -> None:
    tried = []
    is_harmless = precision.is_harmless
    monkeypatch.setattr(precision, "is_harmless", lambda decoder: tried.append(1) or is_harmless(decoder))
    ordinary = checkpoints("llama", False)
    for times in (1, 1):
        assert load_decoder(open_checkpoint(biased), exact=False).cache_dtype == torch.float32
        assert load_decoder(open_checkpoint(ordinary), exact=False).cache_dtype == NARROW
        assert len(tried) == 2 * times
    weights = ordinary / "model.safetensors"
    os.utime(weights, (1, 1))
    load_decoder(open_checkpoint(ordinary), exact=False)
    load_decoder(open_checkpoint(ordinary), exact=False, quantise="int8")
    assert len(tried) == 4


@pytest.mark.parametrize("content", [b"", b"nonsense", b'{"a": 3}', b"[1]"])
def test_a_damaged_memory_is_made_anew(content, checkpoints, tmp_path) -> None:
    (tmp_path / "types.json").write_bytes(content)
    checkpoint = open_checkpoint(checkpoints("llama", False))
    assert load_decoder(checkpoint, exact=False).cache_dtype == NARROW
    assert list(precision._known().values()) == [True]


def test_a_difference_that_is_no_number_counts_as_the_largest(checkpoints, monkeypatch) -> None:
    decoder = load_decoder(open_checkpoint(checkpoints("llama", False)))
    monkeypatch.setattr(precision, "_read", lambda *_: torch.full((4, 16), float("nan")))
    assert precision.difference(decoder, torch.arange(4)) == float("inf")
    assert not precision.is_harmless(decoder)


def test_a_narrow_number_is_off_by_a_65534th_of_the_largest_at_most() -> None:
    sizes = torch.logspace(-20, 20, 500)[:, None]
    x = sizes * torch.randn(500, 64, generator=torch.Generator().manual_seed(1))
    whole, scale = narrowed(x)
    largest = x.abs().amax(-1)
    assert torch.equal(whole.abs().amax(-1), torch.full((500,), 32767, dtype=torch.int16))
    assert bool(((whole * scale[:, None] - x).abs().amax(-1) <= largest / 65534 * 1.01).all())
    nothing, none = narrowed(torch.zeros(1, 64))
    assert not nothing.any() and not none.any()


@pytest.mark.parametrize("wrong", [float("inf"), float("-inf"), float("nan")])
def test_what_is_no_number_stays_none_in_a_narrow_cache(wrong: float) -> None:
    vectors = Vectors(1, 1, 2, 4, device="cpu", dtype=NARROW)
    vectors.put(0, 0, 2, torch.tensor([[[1.0, wrong, 2.0, 3.0]], [[1.0, 2.0, 3.0, 4.0]]]))
    read = vectors.get(0, 0, 2, torch.float32)[0]
    assert not read[0].isfinite().any() and read[1].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, NARROW, torch.bfloat16])
def test_memory_is_planned_as_it_is_taken(dtype, checkpoints) -> None:
    architecture = open_checkpoint(checkpoints("llama", False)).architecture
    made = Cache(architecture, 100, dtype=dtype)
    assert made.nbytes == 100 * token_bytes(architecture, dtype)
