"""Edits do what they say, in every kind of block."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from chatterm.decode.context import Context
from chatterm.errors import UserError
from chatterm.glass.edits import changes, describe, direction, edits_of
from chatterm.model.decoder import Decoder
from chatterm.model.taps import Taps
from chatterm.records.inspection import (
    AnyEdit,
    ScaleBlock,
    ScaleFeedForward,
    ScaleHead,
    ScaleNeuron,
    Steer,
)

FAMILIES = [
    "llama, untied",
    "gpt2, tied",
    "gpt_neox, parallel",
    "gemma2, windows and soft-caps",
    "cohere2, windows, full layers without rotary",
    "granite, multipliers",
    "olmo2, grouped",
    "falcon, grouped, two norms",
]
TOKENS = torch.randint(3, 128, (30,), generator=torch.Generator().manual_seed(5)).tolist()
ALL_KINDS = [ScaleHead(1, 2), ScaleFeedForward(0), ScaleBlock(1), ScaleNeuron(2, 5), Steer(1, "ab", "c")]


@pytest.fixture(params=FAMILIES)
def decoder(request, tiny_decoder) -> Decoder:
    return tiny_decoder(request.param)


def encode(text: str) -> list[int]:
    """One token for each character."""
    return [ord(character) for character in text]


def run(
    decoder: Decoder, edits: Sequence[AnyEdit] = (), read: Sequence[str] = ()
) -> tuple[torch.Tensor, Taps]:
    taps = Taps(read=read, edits=edits_of(edits, decoder, encode))
    cache = decoder.new_cache(len(TOKENS))
    return decoder(torch.tensor(TOKENS), cache, last_only=False, taps=taps), taps


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool((a - b).abs().max() < 5e-5)


def with_scale(scale: float) -> list[AnyEdit]:
    parts = [
        ScaleHead(1, 2, scale),
        ScaleFeedForward(0, scale),
        ScaleBlock(1, scale),
        ScaleNeuron(2, 5, scale),
    ]
    return [*parts, Steer(1, "ab", "c", scale - 1)]


def test_scale_one_changes_nothing(decoder):
    assert torch.equal(run(decoder, with_scale(1.0))[0], run(decoder)[0])
    assert not any(changes(edit) for edit in with_scale(1.0))


@pytest.mark.parametrize("edit", ALL_KINDS, ids=describe)
def test_every_kind_changes_the_logits(decoder, edit):
    assert not close(run(decoder, [edit])[0], run(decoder)[0])


def test_a_head_off_is_its_slice_of_the_output_matrix_zeroed(decoder):
    edited, _ = run(decoder, [ScaleHead(1, 2)])
    size = decoder.architecture.head_size
    matrix = decoder.blocks[1].attention.output.weight
    kept = matrix.detach().clone()
    matrix[:, 2 * size : 3 * size] = 0
    try:
        assert close(run(decoder)[0], edited)
    finally:
        matrix.copy_(kept)


def test_a_neuron_scaled_is_its_column_of_the_last_matrix_scaled(decoder):
    edited, _ = run(decoder, [ScaleNeuron(1, 7, 0.25)])
    matrix = decoder.blocks[1].feed_forward.down.weight
    kept = matrix.detach().clone()
    matrix[:, 7] *= 0.25
    try:
        assert close(run(decoder)[0], edited)
    finally:
        matrix.copy_(kept)


@pytest.mark.parametrize("scale", [0.0, 0.5, 3.0])
def test_a_feed_forward_layer_adds_as_much_as_it_is_told(decoder, scale):
    clean = run(decoder, read=["ffn_output"])[1].values
    values = run(decoder, [ScaleFeedForward(1, scale)], read=["input", "attention_output", "output"])[
        1
    ].values
    parts = values["input", 1] + values["attention_output", 1] + scale * clean["ffn_output", 1]
    assert close(parts, values["output", 1])


@pytest.mark.parametrize("scale", [0.0, 0.5, 3.0])
def test_a_block_adds_as_much_as_it_is_told(decoder, scale):
    clean = run(decoder, read=["input", "output"])[1].values
    x, out = clean["input", 1], clean["output", 1]
    edited = run(decoder, [ScaleBlock(1, scale)], read=["output"])[1].values["output", 1]
    assert close(edited, x + scale * (out - x))
    if scale == 0.0:
        assert torch.equal(edited, x), "the block is skipped"


def test_steering_adds_the_difference_of_two_states_everywhere(decoder):
    steer = Steer(1, "abc", "xy", 2.5)

    def state(text: str) -> torch.Tensor:
        taps = Taps(read=["output"])
        decoder(torch.tensor(encode(text)), decoder.new_cache(8), taps=taps)
        return taps.values["output", 1][-1]

    push = 2.5 * (state("abc") - state("xy"))
    assert close(direction(steer, decoder, encode) * 2.5, push)
    clean = run(decoder, read=["output"])[1].values["output", 1]
    assert close(run(decoder, [steer], read=["output"])[1].values["output", 1], clean + push)


def test_the_order_in_which_edits_are_listed_does_not_matter(decoder):
    several = [Steer(1, "a", "b"), ScaleBlock(1, 0.5), ScaleHead(0, 1), ScaleHead(0, 3, 2.0)]
    assert close(run(decoder, several)[0], run(decoder, several[::-1])[0])


def test_an_edited_context_reads_in_pieces_what_it_reads_at_once(decoder):
    edits = edits_of(ALL_KINDS, decoder, encode)
    context = Context(decoder, len(TOKENS), edits)
    context.append(TOKENS[:11])
    for token in TOKENS[11:]:
        context.append([token])
    whole, _ = run(decoder, ALL_KINDS)
    assert close(context.logits_after(len(TOKENS)), whole[-1])
    for count in (5, 11, 20):  # replayed with the same edits
        context._kept.clear()
        assert close(context.logits_after(count), whole[count - 1])


def test_edits_never_change_earlier_positions_than_they_must(decoder):
    """Keys and values of the blocks before an edit are those of the clean model."""
    clean, edited = Context(decoder, 30), Context(decoder, 30, edits_of([ScaleBlock(1)], decoder, encode))
    clean.append(TOKENS)
    edited.append(TOKENS)
    length = len(TOKENS)
    for layer in (0, 1):
        assert close(edited.cache.keys[layer, :, :length], clean.cache.keys[layer, :, :length])
    assert not close(edited.cache.keys[2, :, :length], clean.cache.keys[2, :, :length])


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (ScaleHead(40, 0), "layer 40 does not exist: this model has layers 0 to 2."),
        (ScaleBlock(-1), "layer -1 does not exist: this model has layers 0 to 2."),
        (ScaleHead(0, 4), "head 4 does not exist: each layer has heads 0 to 3."),
        (ScaleNeuron(0, 96), "neuron 96 does not exist: each layer has neurons 0 to 95."),
        (ScaleFeedForward(0, float("nan")), "An edit cannot use nan: give a number such as 0, 0.5 or 2."),
        (Steer(0, "a", "b", float("inf")), "An edit cannot use inf: give a number such as 0, 0.5 or 2."),
        (Steer(0, "a", ""), "A text to steer by is empty: give a word or a sentence."),
        (Steer(0, "a" * 200, "b"), "A text to steer by has 200 tokens; shorten it to 128."),
    ],
)
def test_what_the_model_does_not_have_is_said(tiny_decoder, edit, sentence):
    with pytest.raises(UserError) as raised:
        edits_of([edit], tiny_decoder("llama, untied"), encode)
    assert raised.value.sentence == sentence


def test_too_many_edits_are_refused(tiny_decoder):
    with pytest.raises(UserError, match="1001 edits are too many"):
        edits_of([ScaleHead(0, 0)] * 1001, tiny_decoder("llama, untied"), encode)


def test_descriptions_are_short_and_inert():
    assert [describe(edit) for edit in ALL_KINDS] == [
        "head 1.2 off",
        "feed-forward 0 off",
        "block 1 off",
        "neuron 2.5 off",
        "steered after block 1 from “c” to “ab” × 1",
    ]
    assert describe(ScaleHead(7, 3, 0.5)) == "head 7.3 × 0.5"
    assert "\x1b" not in describe(Steer(0, "\x1b[31m", "b" * 100))
