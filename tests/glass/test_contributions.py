"""Direct contributions add up to the logit, and each is the part's own."""

from __future__ import annotations

import pytest
import torch

from chatterm.decode.context import Context
from chatterm.glass.contributions import Shares, contributions
from chatterm.glass.neurons import neurons
from chatterm.model.taps import Edit, Taps


def total(shares: Shares) -> float:
    return shares.embedding + float(shares.heads.sum()) + float(shares.mlps.sum()) + shares.bias


def read(context: Context, edits: list[Edit]) -> Context:
    edited = Context(context.decoder, 64, edits)
    for _ in edited.read(context.tokens):
        pass
    return edited


def test_the_shares_sum_to_the_logit(context: Context):
    position = len(context.tokens) - 1
    logits = context.logits_after(position + 1)
    cap = context.decoder.architecture.logit_soft_cap
    for target in (None, 9, 77):
        shares = contributions(context, position, target, None)
        token = int(logits.argmax()) if target is None else target
        assert shares.token == token
        assert total(shares) == pytest.approx(shares.logit, abs=1e-4)
        if cap is None:
            assert shares.capped is None
            assert shares.logit == pytest.approx(float(logits[token]), abs=1e-4)
        else:
            assert shares.capped == pytest.approx(float(logits[token]), abs=1e-4)
            assert cap * torch.tanh(torch.tensor(shares.logit / cap)) == pytest.approx(
                shares.capped, abs=1e-4
            )


def test_against_another_token_everything_is_about_the_difference(context: Context):
    position = len(context.tokens) - 3
    one, other = (contributions(context, position, token, None) for token in (9, 77))
    both = contributions(context, position, 9, 77)
    assert both.logit == pytest.approx(one.logit - other.logit, abs=1e-4)
    assert total(both) == pytest.approx(both.logit, abs=1e-4)
    assert (both.heads - (one.heads - other.heads)).abs().max() < 1e-6
    assert (both.mlps - (one.mlps - other.mlps)).abs().max() < 1e-6


def test_a_share_is_what_the_logit_loses_without_it_while_the_norms_stay_as_they_were(context: Context):
    """Taken from the last block, so that nothing after it can react."""
    a, position = context.decoder.architecture, len(context.tokens) - 1
    block, last = context.decoder.blocks[-1], a.layers - 1
    shares = contributions(context, position, 9, None)
    taps = Taps(read=["heads", "output"])
    tokens = torch.tensor(context.tokens)
    context.decoder(tokens, context.decoder.new_cache(len(tokens)), taps=taps)
    mixed, final = taps.values["heads", last][-1].double(), taps.values["output", last][-1]
    matrix, scale = block.attention.output.dense().double(), context.decoder.final_norm.scale(final).double()
    whole = matrix @ mixed.flatten()
    if block.attention.output.bias is not None:
        whole = whole + block.attention.output.bias.double()
    for head in range(a.heads):
        alone = mixed.clone()
        alone[:head] = alone[head + 1 :] = 0
        written = matrix @ alone.flatten()
        norm = block.attention_output_norm
        if norm is not None:
            written = written * norm.weight.double() * norm.scale(whole.float()).double()
        written = written * a.residual_scale
        if a.norm == "layer":
            written = written - written.mean()
        normed = written * scale * context.decoder.final_norm.weight.double()
        logit = context.decoder.unembedding.dense()[9].double() @ normed * a.logit_scale
        assert float(shares.heads[last, head]) == pytest.approx(float(logit), abs=1e-5)


def test_a_head_that_is_off_has_no_share(context: Context):
    off = Edit("heads", 1, (slice(None), 2), scale=0.0)
    edited = read(context, [off])
    shares = contributions(edited, len(edited.tokens) - 1, 9, None)
    assert shares.heads[1, 2] == 0
    assert total(shares) == pytest.approx(shares.logit, abs=1e-4)


def test_under_other_edits_the_shares_still_sum_to_the_logit(context: Context):
    width = context.decoder.architecture.width
    direction = torch.randn(width, generator=torch.Generator().manual_seed(0))
    edits = [
        Edit("output", 0, scale=0.5, since="input"),
        Edit("ffn_output", 1, scale=0.0),
        Edit("output", 1, addition=direction),
    ]
    edited = read(context, edits)
    shares = contributions(edited, len(edited.tokens) - 1, 9, None)
    assert shares.mlps[1] == 0
    assert total(shares) == pytest.approx(shares.logit, abs=2e-4)


def test_a_block_that_is_off_has_no_share(context: Context):
    edited = read(context, [Edit("output", 1, scale=0.0, since="input")])
    shares = contributions(edited, len(edited.tokens) - 1, 9, None)
    assert shares.mlps[1] == 0 and (shares.heads[1] == 0).all()
    assert total(shares) == pytest.approx(shares.logit, abs=1e-4)


def test_what_all_neurons_add_to_a_logit_is_the_share_of_their_layer(context: Context):
    a, position = context.decoder.architecture, len(context.tokens) - 1
    for layer in range(a.layers):
        found = neurons(context, position, layer, a.ffn_width, a.vocabulary).neurons
        assert len({neuron.neuron for neuron in found}) == a.ffn_width
        added = sum(dict(neuron.promotes)[9] for neuron in found)
        block = context.decoder.blocks[layer]
        if block.feed_forward.down.bias is None:
            share = float(contributions(context, position, 9, None).mlps[layer])
        else:
            share = _share_without_bias(context, layer)
        assert added == pytest.approx(share, abs=1e-4)


def _share_without_bias(context: Context, layer: int) -> float:
    """Of a feed-forward layer in logit 9, without the bias of its last matrix; no norm stands behind it."""
    decoder = context.decoder
    block = decoder.blocks[layer]
    assert block.ffn_output_norm is None
    shares = contributions(context, len(context.tokens) - 1, 9, None)
    taps = Taps(read=["output"])
    tokens = torch.tensor(context.tokens)
    decoder(tokens, decoder.new_cache(len(tokens)), taps=taps)
    scale = decoder.final_norm.scale(taps.values["output", decoder.architecture.layers - 1][-1])
    bias = block.feed_forward.down.bias * decoder.architecture.residual_scale
    if decoder.final_norm.kind == "layer":
        bias = bias - bias.mean()
    logit = decoder.unembedding.dense()[9] @ (bias * scale * decoder.final_norm.weight)
    return float(shares.mlps[layer]) - float(logit) * decoder.architecture.logit_scale
