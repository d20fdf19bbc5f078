"""The lens is the model's own final norm and unembedding, applied early."""

from __future__ import annotations

import pytest
import torch

from chatterm.decode.context import Context
from chatterm.glass import vocabulary
from chatterm.glass.lens import REPLAYED, lens
from chatterm.glass.replay import replay
from chatterm.model.taps import Taps


def go_on() -> None:
    pass


def test_the_last_guess_is_the_models_own_prediction(context: Context):
    last = len(context.tokens) - 1
    (guesses,) = lens(context, last, [7], 128, go_on)
    logprobs = context.logits_after(last + 1).log_softmax(-1)
    by_id = torch.empty(128)
    by_id[list(guesses[-1].ids)] = torch.tensor(guesses[-1].logprobs)
    assert (by_id - logprobs).abs().max() < 1e-5
    assert guesses[-1].target_logprob == pytest.approx(float(logprobs[7]), abs=1e-5)
    assert guesses[-1].ids[guesses[-1].target_rank - 1] == 7
    assert guesses[-1].entropy == pytest.approx(float(torch.special.entr(logprobs.exp()).sum()), abs=1e-4)


def test_every_guess_is_the_final_norm_and_unembedding_of_the_blocks_output(context: Context):
    taps = Taps(read=["output"])
    tokens = torch.tensor(context.tokens)
    context.decoder(tokens, context.decoder.new_cache(len(tokens)), taps=taps)
    targets = [*context.tokens[1:], None]
    for position, guesses in enumerate(lens(context, 0, targets, 3, go_on)):
        assert len(guesses) == context.decoder.architecture.layers
        for layer, guess in enumerate(guesses):
            state = taps.values["output", layer][position][None]
            logprobs = context.decoder.unembed(state)[0].log_softmax(-1)
            assert torch.tensor(guess.logprobs) == pytest.approx(logprobs[list(guess.ids)], abs=5e-5)
            assert guess.logprobs[0] == pytest.approx(float(logprobs.max()), abs=5e-5)
            if targets[position] is None:
                assert guess.target_logprob is guess.target_rank is None
            else:
                assert guess.target_logprob == pytest.approx(float(logprobs[targets[position]]), abs=5e-5)


def test_looking_changes_nothing(context: Context):
    length = len(context.tokens)
    keys = context.cache.keys[:, :, :length].clone()
    before = context.logits_after(length).clone()
    list(lens(context, 3, context.tokens[4:9], 3, go_on))
    assert torch.equal(context.cache.keys[:, :, :length], keys)
    assert (context.cache.length, len(context.tokens)) == (length, length)
    assert torch.equal(context.append([5]), _fresh(context, [*context.tokens[:length], 5]))
    assert torch.equal(context.logits_after(length), before)


def _fresh(context: Context, ids: list[int]) -> torch.Tensor:
    other = Context(context.decoder, 64)
    other.begin(ids)
    for _ in other.read(ids[:-1]):
        pass
    return other.append(ids[-1:])


def test_a_grid_in_small_parts_is_the_same_grid(tiny_decoder, monkeypatch):
    context = Context(tiny_decoder("gemma3_text, windows, two rotary bases"), REPLAYED + 40)
    ids = torch.randint(3, 128, (REPLAYED + 30,), generator=torch.Generator().manual_seed(1)).tolist()
    for _ in context.read(ids):
        pass
    targets = [*ids[1:], None]
    whole = list(lens(context, 0, targets, 3, go_on))
    monkeypatch.setattr(vocabulary, "MOST_LOGITS", 128 * 5)
    asked = []
    parts = list(lens(context, 0, targets, 3, lambda: asked.append(None)))
    assert [[guess.ids for guess in guesses] for guesses in parts] == [
        [guess.ids for guess in guesses] for guesses in whole
    ]
    assert len(asked) > len(ids), "between any two parts it is asked whether to go on"


def test_numbers_that_are_none_are_refused(tiny_decoder):
    from chatterm.errors import UserError

    context = Context(tiny_decoder("llama, untied"), 8)
    context.append([3, 4])
    context.cache.values[:, :, 0] = float("nan")
    with pytest.raises(UserError, match="not finite"):
        replay(context, 1, 1, ["output"])
