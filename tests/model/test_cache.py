"""The cache never changes an answer: not when it is cut, not when an earlier token is looked at again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.parity import reference
from chatterm.decode.context import Context
from chatterm.errors import UserError
from chatterm.model.decoder import Decoder
from chatterm.model.taps import Edit, Taps
from chatterm.model.vectors import NARROW

FAMILIES = [
    "llama, untied",
    "gpt2, tied",
    "gemma3_text, windows, two rotary bases",
    "gemma2, windows and soft-caps",
    "phi3, longrope",
]
ALL = [*FAMILIES, "llama, dynamic"]
"""With dynamic scaling a key keeps the rotation of the length at which it was written, as in transformers, so
how the text is cut does matter."""
TOKENS = torch.randint(3, 128, (48,), generator=torch.Generator().manual_seed(5))


@pytest.fixture(params=[(name, dtype) for dtype in (torch.float32, NARROW) for name in ALL])
def decoder(request, tiny_decoder) -> Iterator[Decoder]:
    """Each family, with keys and values in both precisions."""
    name, dtype = request.param
    made = tiny_decoder(name)
    made.cache_dtype = dtype
    yield made
    made.cache_dtype = torch.float32


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.log_softmax(-1) - b.log_softmax(-1)).abs().max())


@pytest.mark.parametrize("name", FAMILIES)
def test_however_the_text_is_cut_the_answer_is_the_same(name, tiny_decoder):
    decoder = tiny_decoder(name)
    whole = decoder(TOKENS, decoder.new_cache(48))

    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.integers(1, 16), min_size=1, max_size=8))
    def check(pieces):
        cache, at = decoder.new_cache(48), 0
        for length in pieces:
            if at < 47:
                decoder(TOKENS[at : min(at + length, 47)], cache)
                at = min(at + length, 47)
        assert distance(decoder(TOKENS[at:], cache), whole) < 1e-4

    check()


@pytest.mark.parametrize("name", FAMILIES)
def test_cutting_the_cache_and_going_on_is_as_if_the_rest_had_never_been(name, tiny_decoder):
    decoder = tiny_decoder(name)
    cache = decoder.new_cache(48)
    decoder(TOKENS, cache)
    cache.truncate(20)
    other = torch.flip(TOKENS[:9], [0])
    after = decoder(other, cache)
    fresh = decoder.new_cache(48)
    decoder(TOKENS[:20], fresh)
    assert distance(after, decoder(other, fresh)) < 1e-4
    assert cache.length == 29
    assert cache.tokens[:29].tolist() == TOKENS[:20].tolist() + other.tolist()


def test_a_replayed_token_gives_what_it_gave_and_leaves_no_trace(decoder):
    cache = decoder.new_cache(60)
    everything = decoder(TOKENS, cache, last_only=False)
    before = cache.keys[:, :, :48].clone(), cache.values[:, :, :48].clone(), cache.tokens[:48].clone()
    for position in (0, 7, 30, 47):
        with cache.replay(position) as earlier:
            assert distance(decoder(TOKENS[position : position + 1], earlier), everything[position]) < 1e-4
            assert earlier.length == position + 1
        with cache.replay(position) as earlier:
            decoder(torch.tensor([5]), earlier, taps=Taps(edits=[Edit("output", 0, scale=-3.0)]))
    assert cache.length == 48 and cache.capacity == 60
    for part, kept in zip((cache.keys, cache.values), before, strict=False):
        assert torch.equal(part[:, :, :48], kept)
    assert torch.equal(cache.tokens[:48], before[2])
    extra = torch.tensor([9])
    again = decoder.new_cache(60)
    decoder(TOKENS, again)
    assert distance(decoder(extra, cache), decoder(extra, again)) < 1e-4


def test_a_replay_that_fails_leaves_no_trace_either(decoder):
    cache = decoder.new_cache(48)
    decoder(TOKENS, cache)
    keys = cache.keys.clone()
    with pytest.raises(RuntimeError, match="on purpose"), cache.replay(10) as earlier:
        decoder(torch.tensor([5]), earlier)
        raise RuntimeError("on purpose")
    assert torch.equal(cache.keys, keys)
    assert cache.length == 48


def test_several_tokens_can_be_replayed_at_once(decoder):
    cache = decoder.new_cache(48)
    everything = decoder(TOKENS, cache, last_only=False)
    with cache.replay(36, count=12) as earlier:
        again = decoder(TOKENS[36:], earlier, last_only=False)
    assert distance(again, everything[36:]) < 1e-4


def test_what_does_not_fit_is_refused_before_anything_is_written(tiny_decoder):
    decoder = tiny_decoder("llama, untied")
    cache = decoder.new_cache(10)
    decoder(TOKENS[:8], cache)
    with pytest.raises(ValueError, match="3 tokens do not fit: 8 of 10"):
        decoder(TOKENS[:3], cache)
    assert cache.length == 8 and cache.free == 2
    with pytest.raises(ValueError, match="cannot cut"):
        cache.truncate(9)
    with pytest.raises(ValueError, match="not among 8 cached"), cache.replay(8):
        pass


def test_memory_is_taken_as_the_text_grows_and_nothing_is_lost(tiny_decoder, monkeypatch):
    decoder = tiny_decoder("gemma3_text, windows, two rotary bases")
    whole = decoder(TOKENS, decoder.new_cache(48))
    monkeypatch.setattr("chatterm.model.cache.FIRST", 3)
    cache = decoder.new_cache(48)
    sizes = []
    with torch.inference_mode():
        for token in TOKENS[:-1]:
            decoder(token.view(1), cache)
            sizes.append(cache.keys.shape[2])
    assert sorted(set(sizes)) == [3, 6, 12, 24, 48]
    assert distance(decoder(TOKENS[-1:], cache), whole) < 1e-4  # outside of inference mode


def test_memory_for_keys_but_not_for_values_changes_nothing(tiny_decoder, monkeypatch):
    decoder = tiny_decoder("llama, untied")
    whole = decoder(TOKENS, decoder.new_cache(48))
    monkeypatch.setattr("chatterm.model.cache.FIRST", 3)
    cache = decoder.new_cache(48)
    decoder(TOKENS[:3], cache)
    empty, taken = torch.empty, []

    def only_once(*shape, **more):
        if taken:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        taken.append(shape)
        return empty(*shape, **more)

    with monkeypatch.context() as short, pytest.raises(RuntimeError, match="memory"):
        short.setattr(torch, "empty", only_once)
        decoder(TOKENS[3:5], cache)
    assert taken and cache.keys.shape == cache.values.shape
    cache.truncate(3)
    assert distance(decoder(TOKENS[3:], cache)[-1], whole[-1]) < 1e-4


def test_learned_positions_bound_the_context(tiny_decoder):
    decoder = tiny_decoder("gpt2, tied")
    assert decoder.new_cache().capacity == 128
    with pytest.raises(UserError, match="128 learned positions"):
        decoder.new_cache(129)


def test_a_prompt_under_dynamic_scaling_has_the_rotation_of_its_length_as_in_transformers(
    tiny_checkpoint, tiny_decoder
):
    """In pieces, gone on from token by token, and behind a prefix that another length has rotated."""
    reference_model = reference.load(tiny_checkpoint("llama, dynamic").path)
    context = Context(tiny_decoder("llama, dynamic"), 64)
    ids = TOKENS.tolist()

    def check(prompt: list[int], following: list[int]) -> None:
        context.begin(prompt)
        for _ in context.read(prompt):
            pass
        out = reference_model(torch.tensor([prompt]), use_cache=True)
        for token in [*following, None]:
            theirs = out.logits[0, -1]
            assert distance(context.logits_after(len(context.tokens)), theirs) < 1e-4
            if token is not None:
                context.append([token])
                out = reference_model(
                    torch.tensor([[token]]), past_key_values=out.past_key_values, use_cache=True
                )

    with torch.no_grad():
        check(ids[:40], ids[40:44])
        check(ids[:44], [])
        check(ids[:30], ids[30:36])  # shorter than the trained length, and beyond it
        check(ids[:36], ids[36:38])
        check(ids[:20], [])
        check(ids[:44], ids[44:48])
