"""What the taps show is what the decoder computes with, and edits do exactly what they say."""

from __future__ import annotations

import pytest
import torch

from chatterm.model.decoder import Decoder
from chatterm.model.taps import BLOCK_POINTS, OUTER_POINTS, Edit, Taps

FAMILIES = [
    "llama, untied",
    "gpt2, tied",
    "gpt_neox, parallel",
    "gemma2, windows and soft-caps",
    "gemma3_text, windows, two rotary bases",
    "cohere2, windows, full layers without rotary",
    "granite, multipliers",
    "olmo2, grouped",
    "phi3, window, old keys",
]
TOKENS = torch.randint(3, 128, (40,), generator=torch.Generator().manual_seed(3))


@pytest.fixture(params=FAMILIES)
def decoder(request, tiny_decoder) -> Decoder:
    return tiny_decoder(request.param)


def run(decoder: Decoder, taps: Taps | None = None, tokens: torch.Tensor = TOKENS) -> torch.Tensor:
    return decoder(tokens, decoder.new_cache(len(tokens)), last_only=False, taps=taps)


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool((a - b).abs().max() < 5e-5)


def test_reading_everything_changes_nothing(decoder):
    taps = Taps(read=(*BLOCK_POINTS, *OUTER_POINTS))
    assert close(run(decoder, taps), run(decoder))
    parallel = decoder.architecture.parallel
    expected = {(point, layer) for point in BLOCK_POINTS for layer in range(decoder.architecture.layers)}
    expected -= {("middle", layer) for layer in range(decoder.architecture.layers)} if parallel else set()
    assert set(taps.values) == expected | {(point, None) for point in OUTER_POINTS}


def test_attention_rows_sum_to_one_over_allowed_positions_and_are_zero_elsewhere(decoder):
    taps = Taps(read=["attention_weights"])
    run(decoder, taps)
    query, key = torch.arange(len(TOKENS))[:, None], torch.arange(len(TOKENS))
    for layer, options in enumerate(decoder.architecture.layer_options):
        weights = taps.values["attention_weights", layer]
        assert weights.shape == (decoder.architecture.heads, len(TOKENS), len(TOKENS))
        assert close(weights.sum(-1), torch.ones(weights.shape[:2]))
        hidden = (key > query) if options.window is None else (key > query) | (key <= query - options.window)
        assert (weights[:, hidden] == 0).all()
        assert (weights[:, ~hidden] > 0).all()


def test_the_residual_stream_is_the_sum_of_its_parts(decoder):
    taps = Taps(read=["input", "attention_output", "ffn_output", "output"])
    run(decoder, taps)
    for layer in range(decoder.architecture.layers):
        parts = (taps.values[point, layer] for point in ("input", "attention_output", "ffn_output"))
        assert close(sum(parts), taps.values["output", layer])
        if layer:
            assert torch.equal(taps.values["input", layer], taps.values["output", layer - 1])


def test_the_lens_after_the_last_block_is_the_logits(decoder):
    taps = Taps(read=["output", "logits"])
    logits = run(decoder, taps)
    assert torch.equal(decoder.unembed(taps.values["output", decoder.architecture.layers - 1]), logits)
    assert torch.equal(taps.values["logits", None], logits)


def test_each_heads_share_times_its_slice_of_the_output_matrix_makes_the_attention_output(decoder):
    taps = Taps(read=["heads", "attention_output"])
    run(decoder, taps)
    a = decoder.architecture
    block = decoder.blocks[1]
    by_head = block.attention.output.dense().view(a.width, a.heads, a.head_size)
    total = torch.einsum("thd,whd->tw", taps.values["heads", 1], by_head)
    if block.attention.output.bias is not None:
        total = total + block.attention.output.bias
    assert close(block.added(total, block.attention_output_norm), taps.values["attention_output", 1])


def test_an_edit_with_scale_one_changes_nothing(decoder):
    edits = [Edit(point, 1, scale=1.0) for point in BLOCK_POINTS] + [Edit("embedding"), Edit("logits")]
    assert close(run(decoder, Taps(edits=edits)), run(decoder))


def test_zeroing_a_head_equals_zeroing_its_slice_of_the_output_matrix(decoder):
    head, size = 2, decoder.architecture.head_size
    edited = run(decoder, Taps(edits=[Edit("heads", 1, (slice(None), head), scale=0.0)]))
    matrix = decoder.blocks[1].attention.output.weight
    kept = matrix.detach().clone()
    matrix[:, head * size : (head + 1) * size] = 0
    try:
        assert close(run(decoder), edited)
    finally:
        matrix.copy_(kept)
    assert not close(run(decoder), edited)


def test_replacing_the_attention_weights_replaces_what_is_mixed(decoder):
    a, count = decoder.architecture, len(TOKENS)
    itself = torch.eye(count).expand(a.heads, count, count)
    taps = Taps(read=["heads", "values"], edits=[Edit("attention_weights", 0, replacement=itself)])
    run(decoder, taps)
    own = taps.values["values", 0].repeat_interleave(a.heads // a.kv_heads, dim=1)
    assert close(taps.values["heads", 0], own)


def test_one_step_shows_the_same_as_the_whole_text(decoder):
    whole = Taps(read=(*BLOCK_POINTS, *OUTER_POINTS))
    run(decoder, whole)
    cache = decoder.new_cache(len(TOKENS))
    decoder(TOKENS[:-1], cache)
    step = Taps(read=(*BLOCK_POINTS, *OUTER_POINTS))
    decoder(TOKENS[-1:], cache, taps=step)
    for place, value in step.values.items():
        row = whole.values[place]
        row = row[:, -1:] if place[0] == "attention_weights" else row[-1:]
        assert close(value, row), place


def test_an_unknown_point_is_refused():
    with pytest.raises(ValueError, match="no tap point is called 'attention'"):
        Taps(read=["attention"])
    with pytest.raises(ValueError, match="no tap point"):
        Taps(edits=[Edit("mlp", 0)])


def test_scaling_what_was_added_since_an_earlier_point(decoder):
    plain = Taps(read=["input", "output"])
    run(decoder, plain)
    x, out = plain.values["input", 1], plain.values["output", 1]
    for scale in (0.0, 0.5, 1.0):
        half = Taps(read=["output"], edits=[Edit("output", 1, scale=scale, since="input")])
        run(decoder, half)
        assert close(half.values["output", 1], x + scale * (out - x))


def test_adding_comes_after_scaling(decoder):
    push = torch.arange(decoder.architecture.width).float()
    taps = Taps(read=["output"], edits=[Edit("output", 0, scale=0.0, addition=push)])
    run(decoder, taps)
    assert torch.equal(taps.values["output", 0], push.expand(len(TOKENS), -1))
