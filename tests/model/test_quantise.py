"""Dense weights in GGUF blocks."""

from __future__ import annotations

import pytest
import torch

from chatterm.checkpoint.tensors import PackedWeight, dense
from chatterm.model.load import load_decoder
from chatterm.model.quantise import quantised


@pytest.mark.parametrize(("kind", "steps"), [("int8", 127), ("int4", 7.5)])
def test_a_number_moves_by_half_a_step_at_most(kind, steps: float) -> None:
    torch.manual_seed(1)
    weight = torch.randn(48, 96).to(torch.bfloat16)
    packed = quantised(weight, kind)
    assert isinstance(packed, PackedWeight)
    largest = weight.float().view(48, 3, 32).abs().amax(-1, keepdim=True)
    moved = (dense(packed) - weight.float()).abs().view(48, 3, 32)
    assert bool((moved <= 0.51 * largest / steps + 2e-3 * largest).all())


@pytest.mark.parametrize("shape", [(64,), (8, 33)])
def test_what_has_no_groups_of_32_stays(shape: tuple[int, ...]) -> None:
    weight = torch.randn(shape)
    assert quantised(weight, "int4") is weight


def test_what_is_packed_stays() -> None:
    packed = quantised(torch.randn(4, 64), "int8")
    assert quantised(packed, "int4") is packed


def test_a_decoder_is_nearer_with_more_bits(tiny_checkpoint) -> None:
    checkpoint = tiny_checkpoint("llama, untied")
    tokens = torch.arange(20) * 7 % 96

    def logprobs(kind):
        decoder = load_decoder(checkpoint, quantise=kind)
        return decoder(tokens, decoder.new_cache(20), last_only=False).log_softmax(-1)

    exact, eight, four = (logprobs(kind) for kind in ("none", "int8", "int4"))
    assert 0 < float((exact - eight).abs().mean()) < float((exact - four).abs().mean())
