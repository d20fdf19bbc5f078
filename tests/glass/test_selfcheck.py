"""The self-check passes on sound decoders of many families and finds what is broken."""

from __future__ import annotations

import pytest
import torch

from chatterm.decode.sampling import Sampler
from chatterm.glass.selfcheck import identities
from chatterm.model.decoder import Decoder
from chatterm.records.inspection import Identity

FAMILIES = [
    "llama, untied",
    "llama, all biases",
    "gpt2, tied",
    "gpt_neox, parallel",
    "gemma2, tight soft-caps",
    "gemma3_text, windows, two rotary bases",
    "cohere2, windows, full layers without rotary",
    "granite, multipliers",
    "olmo2, grouped",
    "mistral, window",
]
TOKENS = torch.randint(3, 128, (30,), generator=torch.Generator().manual_seed(6)).tolist()


def check(decoder: Decoder, exact: bool = True) -> list[Identity]:
    return list(identities(decoder, TOKENS, Sampler(128), exact=exact))


def broken(decoder: Decoder) -> str:
    return "; ".join(identity.name for identity in check(decoder) if not identity.holds)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_identity_holds(tiny_decoder, name):
    found = check(tiny_decoder(name))
    assert [identity for identity in found if not identity.holds] == []
    assert len({identity.name for identity in found}) == len(found) >= 13


def test_a_block_that_adds_what_it_does_not_show_is_found(tiny_decoder, monkeypatch):
    from chatterm.model.block import Block

    decoder = tiny_decoder("llama, untied")
    forward = Block.forward
    monkeypatch.setattr(Block, "forward", lambda self, *args: forward(self, *args) + 0.01)
    assert "the lens after the last block is the logits" in broken(decoder)


def test_a_cache_that_forgets_is_found(tiny_decoder, monkeypatch):
    from chatterm.model.cache import Cache

    decoder = tiny_decoder("llama, untied")
    append = Cache.append

    def forgetful(self, layer, keys, values, window, *, whole=False):
        if layer == 1 and self.length == 3:
            values = values * 1.5
        return append(self, layer, keys, values, window, whole=whole)

    monkeypatch.setattr(Cache, "append", forgetful)
    names = broken(decoder)
    assert "token by token gives the same as all at once" in names
    assert "rows sum to 1" not in names


def test_attention_to_the_future_is_found(tiny_decoder, monkeypatch):
    from chatterm.model.attention import Attention

    decoder = tiny_decoder("llama, untied")
    explicit = Attention.explicit

    def open_eyed(self, queries, keys, values, span, taps):
        span = type(span)(span.start, span.stop, None, causal=False)
        return explicit(self, queries, keys, values, span, taps)

    monkeypatch.setattr(Attention, "explicit", open_eyed)
    monkeypatch.setattr(
        Attention,
        "fused",
        lambda self, queries, keys, values, span: open_eyed(self, queries, keys, values, span, None),
    )
    names = broken(decoder)
    assert "attention sees neither the future nor what left the window" in names
    assert "later text changes nothing earlier" in names


def test_rounding_to_sixteen_bits_gets_its_own_tolerance_and_says_so(tiny_decoder):
    rough = {identity.name: identity for identity in check(tiny_decoder("llama, untied"), exact=False)}
    across = [identity for name, identity in rough.items() if "16 bits" in name]
    assert len(across) == 3
    assert {identity.tolerance for identity in across} == {5e-2}
