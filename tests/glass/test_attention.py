"""Attention rows are those that the model computes with."""

from __future__ import annotations

import pytest
import torch

from chatterm.decode.context import Context
from chatterm.glass import attention
from chatterm.model.taps import Taps


def go_on() -> None:
    pass


@pytest.fixture
def whole(context: Context) -> list[torch.Tensor]:
    """The weights of every layer, `(heads, T, T)`, from one pass over the whole text."""
    taps = Taps(read=["attention_weights"])
    tokens = torch.tensor(context.tokens)
    context.decoder(tokens, context.decoder.new_cache(len(tokens)), taps=taps)
    return [taps.values["attention_weights", each] for each in range(context.decoder.architecture.layers)]


def test_the_rows_of_a_head_are_the_models_and_sum_to_one(context: Context, whole):
    count, first = len(context.tokens), len(context.tokens) - 15
    for layer, options in enumerate(context.decoder.architecture.layer_options):
        rows = attention.head_rows(context, first, 15, layer, 2, go_on)
        assert rows.shape == (15, count)
        assert (rows - whole[layer][2, first:]).abs().max() < 5e-5
        assert (rows.sum(-1) - 1).abs().max() < 1e-5
        for row in range(15):
            assert (rows[row, first + row + 1 :] == 0).all(), "the future is not seen"
            if options.window is not None:
                assert (rows[row, : max(0, first + row + 1 - options.window)] == 0).all()


def test_an_earlier_token_is_looked_at_as_it_was(context: Context, whole):
    rows = attention.head_rows(context, 0, 12, 1, 0, go_on)
    assert (rows - whole[1][0, :12, :12]).abs().max() < 5e-5


def test_the_overview_sums_up_the_last_row_of_every_head(context: Context, whole):
    last = len(context.tokens) - 1
    seen = attention.overview(context, last, to=last - 2)
    rows = torch.stack([weights[:, -1] for weights in whole])
    assert seen.entropy.shape == rows.shape[:2]
    assert (seen.entropy - torch.special.entr(rows).sum(-1)).abs().max() < 1e-4
    assert (seen.strongest_weight - rows.amax(-1)).abs().max() < 5e-5
    assert (rows.gather(-1, seen.strongest[..., None])[..., 0] - rows.amax(-1)).abs().max() < 5e-5
    assert (seen.weight - rows[..., last - 2]).abs().max() < 5e-5
    assert attention.overview(context, last, None).weight is None


@pytest.mark.parametrize("size", [7, 13, 40, 100])
def test_patterns_are_the_largest_weight_of_each_cell(context: Context, whole, size):
    count, heads = len(context.tokens), [(1, 3), (0, 0), (1, 1)]
    maps, pooled = attention.patterns(context, count, heads, size, go_on)
    cells = maps.shape[-1]
    assert cells <= size and pooled * cells >= count > pooled * (cells - 1)
    for found, (layer, head) in zip(maps, heads, strict=True):
        for row in range(cells):
            for column in range(cells):
                square = whole[layer][head][row * pooled :][:pooled, column * pooled :][:, :pooled]
                assert float(found[row, column]) == pytest.approx(float(square.max()), abs=5e-5)


def test_few_weights_at_once_make_the_same_maps(context: Context, monkeypatch):
    count = len(context.tokens)
    maps, _ = attention.patterns(context, count, [(0, 1), (1, 2)], 9, go_on)
    rows = attention.head_rows(context, 0, count, 1, 1, go_on)
    monkeypatch.setattr(attention, "MOST_WEIGHTS", 1)
    again, _ = attention.patterns(context, count, [(0, 1), (1, 2)], 9, go_on)
    assert (again - maps).abs().max() < 5e-5
    assert (attention.head_rows(context, 0, count, 1, 1, go_on) - rows).abs().max() < 5e-5
