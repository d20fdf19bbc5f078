"""Neurons: the activations that the model computes with, and what they write."""

from __future__ import annotations

import pytest
import torch

from chatterm.decode.context import Context
from chatterm.glass.neurons import neurons
from chatterm.model.taps import Edit, Taps


def values(context: Context, edits: list[Edit] | None = None) -> dict:
    taps = Taps(read=["activations", "ffn_output"], edits=edits or ())
    tokens = torch.tensor(context.tokens)
    context.decoder(tokens, context.decoder.new_cache(len(tokens)), taps=taps)
    return {place: value[-1] for place, value in taps.values.items()}


def test_activations_are_the_models_and_the_strongest_come_first(context: Context):
    seen = values(context)
    found = neurons(context, len(context.tokens) - 1, None, 30, 2).neurons
    assert len(found) == 30
    assert [each.strength for each in found] == sorted((each.strength for each in found), reverse=True)
    for each in found:
        assert each.activation == pytest.approx(float(seen["activations", each.layer][each.neuron]), abs=5e-5)


def test_strength_is_how_far_a_neuron_moves_the_residual_stream(context: Context):
    """Checked where no norm follows, by switching the neuron off."""
    found = neurons(context, len(context.tokens) - 1, 1, 5, 2).neurons
    if context.decoder.blocks[1].ffn_output_norm is not None:
        pytest.skip("the norm behind the layer reacts to a neuron's absence")
    clean = values(context)["ffn_output", 1]
    for each in found:
        assert each.layer == 1
        off = Edit("activations", 1, (slice(None), each.neuron), scale=0.0)
        moved = clean - values(context, [off])["ffn_output", 1]
        assert each.strength == pytest.approx(float(torch.linalg.vector_norm(moved)), rel=1e-3, abs=1e-5)


def test_strength_behind_a_norm_is_measured_after_it(tiny_decoder):
    decoder = tiny_decoder("gemma3_text, windows, two rotary bases")
    context = Context(decoder, 8)
    context.append([5, 6, 7])
    block, seen = decoder.blocks[2], values(context)
    before = block.feed_forward.down(seen["activations", 2])
    scale = block.ffn_output_norm.scale(before)
    columns = block.feed_forward.down.dense() * seen["activations", 2]
    written = columns * (scale * block.ffn_output_norm.weight)[:, None]
    assert (written.sum(1) - seen["ffn_output", 2]).abs().max() < 5e-5
    found = neurons(context, 2, 2, 10, 2).neurons
    lengths = written.norm(dim=0)
    assert [each.strength for each in found] == pytest.approx(lengths.topk(10).values.tolist(), rel=1e-4)


def test_promoted_and_suppressed_tokens_are_the_ends_of_one_list(context: Context):
    vocabulary = context.decoder.architecture.vocabulary
    (neuron,) = neurons(context, len(context.tokens) - 1, None, 1, vocabulary).neurons
    up, down = neuron.promotes, neuron.suppresses
    assert [logit for _, logit in up] == sorted((logit for _, logit in up), reverse=True)
    assert dict(up) == pytest.approx(dict(down))
    assert up[0][1] > 0 > down[0][1]


def test_the_number_of_active_neurons_makes_up_half_of_the_strength(context: Context):
    a = context.decoder.architecture
    active = neurons(context, len(context.tokens) - 1, None, 1, 1).active
    assert len(active) == a.layers
    for layer, count in enumerate(active):
        strengths = [
            each.strength for each in neurons(context, len(context.tokens) - 1, layer, a.ffn_width, 1).neurons
        ]
        assert sum(strengths[:count]) >= sum(strengths) / 2 * (1 - 1e-6)
        assert sum(strengths[: count - 1]) < sum(strengths) / 2 * (1 + 1e-6)
