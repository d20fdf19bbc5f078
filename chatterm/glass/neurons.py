"""Feed-forward neurons: how active they are, how far they move the residual stream, towards which words.

A feed-forward layer adds Σ_i a_i · w_i to the residual stream: a_i is the activation of neuron i (f(gate) ·
up where the layer is gated) and w_i its column of the last matrix (key-value memories, arXiv:2012.14913;
each column read through the unembedding, arXiv:2203.14680). Behind the last matrix may stand a norm (Gemma
2 and 3, OLMo 2) and a residual multiplier; they are linear once the norm's scale is what it was here, and
w_i is meant after them: the shares of all neurons sum to what the layer really adds, biases apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from chatterm.decode.context import Context
from chatterm.glass.linear_norm import through
from chatterm.glass.replay import replay
from chatterm.glass.vocabulary import MOST_LOGITS, leading, products, row_parts
from chatterm.model.block import Block
from chatterm.model.decoder import Decoder

_lengths: WeakKeyDictionary[Block, Tensor] = WeakKeyDictionary()


@dataclass(frozen=True)
class ActiveNeuron:
    """One neuron at one position; `promotes` and `suppresses` are (token, logit added), strongest first."""

    layer: int
    neuron: int
    activation: float
    strength: float  # |activation| × length of its column
    promotes: tuple[tuple[int, float], ...]
    suppresses: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class ActiveNeurons:
    """The strongest neurons, and per layer how many make up half of the total strength."""

    neurons: list[ActiveNeuron]
    active: list[int]


def neurons(context: Context, position: int, layer: int | None, count: int, tokens: int) -> ActiveNeurons:
    """The strongest neurons at a position, of one layer or of all.

    What a neuron adds to the logits is its share in the direct logit attribution: a_i · w_i through the final
    norm, with the scale that the norm really had here, and through the unembedding with its multiplier; no
    soft cap, no bias.

    Args:
        context: has read the text.
        position: of the token looked at.
        layer: only neurons of this one.
        count: how many neurons.
        tokens: how many tokens each promotes and suppresses most.

    Raises:
        UserError: the model's numbers are not finite.
    """
    decoder = context.decoder
    layers = decoder.architecture.layers
    decoder = context.decoder
    layers = decoder.architecture.layers
    with torch.inference_mode():
        values = replay(context, position, 1, ["activations", ("output", layers - 1)])
        all_layers = [
            LayerNeurons(block, values["activations", each]) for each, block in enumerate(_blocks(decoder))
        ]
        among = torch.stack([each.strengths for each in all_layers[_some(layer)]])
        width = among.shape[1]
        places = among.flatten().topk(min(count, among.numel())).indices.tolist()
        chosen = [(place // width + (layer or 0), place % width) for place in places]
        writes = torch.cat([all_layers[at].writes([neuron]) for at, neuron in chosen])
        norm = decoder.final_norm
        scale = norm.scale(values["output", layers - 1][-1])
        said = _said(decoder, through(norm, scale, writes), tokens)
        return ActiveNeurons(
            neurons=[
                ActiveNeuron(
                    layer=at,
                    neuron=neuron,
                    activation=float(all_layers[at].activations[neuron]),
                    strength=float(all_layers[at].strengths[neuron]),
                    promotes=up,
                    suppresses=down,
                )
                for (at, neuron), (up, down) in zip(chosen, said, strict=True)
            ],
            active=[_half(each.strengths) for each in all_layers],
        )


class LayerNeurons:
    """The neurons of one layer at one position."""

    def __init__(self, block: Block, activations: Tensor) -> None:
        """`activations` `(1, ffn_width)` is what the last matrix reads."""
        norm, down = block.ffn_output_norm, block.feed_forward.down
        self._block = block
        self._scale = (
            torch.ones(1, device=activations.device) if norm is None else norm.scale(down(activations))[0]
        )
        self.activations = activations[0].float()
        self.strengths = self.activations.abs() * _column_lengths(block) * self._scale
        """|activation| × the length of what the neuron's column writes, `(ffn_width,)`."""

    def writes(self, neurons: list[int]) -> Tensor:
        """What some of them add to the residual stream, `(len(neurons), width)` float32."""
        block, norm = self._block, self._block.ffn_output_norm
        columns = torch.cat([rows[:, neurons].float() for _, rows in row_parts(block.feed_forward.down)]).T
        parts = columns * self.activations[neurons, None]
        if norm is not None:
            parts = through(norm, self._scale, parts)
        return parts * block.residual_scale


def _column_lengths(block: Block) -> Tensor:
    """Lengths of what the columns of the last matrix write at activation 1 and norm scale 1; kept.

    With a norm's weight g: √ Σ_k g_k² (w_k − m)², m the column's mean for LayerNorm and 0 for RMSNorm.
    """
    lengths = _lengths.get(block)
    if lengths is None:
        down, norm = block.feed_forward.down, block.ffn_output_norm
        squares = cross = sums = torch.zeros((), dtype=torch.float64)
        weights = 0.0
        for first, rows in row_parts(down):
            rows = rows.double()
            g = torch.ones(len(rows)) if norm is None else norm.weight[first : first + len(rows)]
            g2 = g.double().square().to(rows.device)
            squares = squares.to(rows) + g2 @ rows.square()
            cross, sums = cross.to(rows) + g2 @ rows, sums.to(rows) + rows.sum(0)
            weights += float(g2.sum())
        centred = norm is not None and norm.kind == "layer"
        mean = sums / down.out_features if centred else torch.zeros_like(sums)
        total = squares - 2 * mean * cross + mean.square() * weights
        lengths = (total.clamp_min(0).sqrt() * abs(block.residual_scale)).float()
        _lengths[block] = lengths
    return lengths


def _said(
    decoder: Decoder, reads: Tensor, tokens: int
) -> list[tuple[tuple[tuple[int, float], ...], tuple[tuple[int, float], ...]]]:
    """For each row of `reads` `(n, width)`, which the unembedding reads: tokens pushed up, and down."""
    found = []
    size = max(1, MOST_LOGITS // decoder.architecture.vocabulary)
    for first in range(0, reads.shape[0], size):
        part = reads[first : first + size].to(decoder.dtype)
        logits = products(decoder.unembedding, part) * decoder.architecture.logit_scale
        found += [(_leading(row, tokens, 1.0), _leading(-row, tokens, -1.0)) for row in logits]
    return found


def _leading(logits: Tensor, tokens: int, sign: float) -> tuple[tuple[int, float], ...]:
    ids = leading(logits, tokens)
    return tuple(zip(ids, (sign * logits[ids]).tolist(), strict=True))


def _half(strengths: Tensor) -> int:
    """How many neurons, strongest first, make up half of the total."""
    sums = strengths.double().sort(descending=True).values.cumsum(0)
    return int((sums < sums[-1] / 2).sum()) + 1


def _blocks(decoder: Decoder) -> list[Block]:
    return [block for block in decoder.blocks if isinstance(block, Block)]


def _some(layer: int | None) -> slice:
    return slice(None) if layer is None else slice(layer, layer + 1)
