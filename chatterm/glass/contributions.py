"""Direct logit attribution: which parts of the model pushed a token's logit, and by how much.

The last residual stream is a sum: x = embedding + Σ_l (attention_l + feed_forward_l), and attention_l is a
sum over its heads, each through its slice of the output matrix. The final norm, its scale taken as it
actually was at this position, and the unembedding are linear, so logit = Σ part · d + bias with d =
multiplier · scale · (norm weight ∘ W[token]), centred for LayerNorm ("A Mathematical Framework for
Transformer Circuits", Elhage et al., 2021; arXiv:2211.00593 for its use). Norms behind attention (Gemma 2
and 3, OLMo 2) are taken the same way, with their own actual scale. Sums are made in float64.

These are *direct* effects: what a part does through later parts is in those parts' numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chatterm.decode.context import Context
from chatterm.glass.linear_norm import bias_share, pulled_back
from chatterm.glass.replay import replay
from chatterm.glass.vocabulary import row_parts
from chatterm.model.block import Block
from chatterm.model.decoder import Decoder
from chatterm.model.taps import Edit, Place

READ = ("embedding", "input", "heads", "attention_output", "ffn_output", "output", "logits")


@dataclass(frozen=True)
class Shares:
    """`embedding` + all `heads` + all `mlps` + `bias` = `logit`."""

    token: int
    logit: float  # before a soft cap; with a second token, the difference
    capped: float | None  # after it, where there is one
    embedding: float
    heads: Tensor  # (layers, heads) float64
    mlps: Tensor  # (layers,) float64; the bias of each one's last matrix included
    bias: float  # of attention, of the norms, of the unembedding, and what steering adds


def contributions(context: Context, position: int, target: int | None, against: int | None) -> Shares:
    """Shares in the logit of `target` after the token at `position`.

    Args:
        context: has read the text.
        position: of the last token read before the prediction.
        target: a token; None = the most probable.
        against: a second one; then everything is about logit(target) − logit(against).

    Raises:
        UserError: the model's numbers are not finite.
    """
    decoder = context.decoder
    with torch.inference_mode():
        values = replay(context, position, 1, READ)
        logits = values["logits", None][-1]
        token = int(logits.argmax()) if target is None else target
        final = values["output", decoder.architecture.layers - 1][-1]
        logit, capped = _logit(decoder, final, logits, token)
        row, bias = _unembedding(decoder, token)
        if against is not None:
            other, other_capped = _logit(decoder, final, logits, against)
            other_row, other_bias = _unembedding(decoder, against)
            row, bias, logit = row - other_row, bias - other_bias, logit - other
            capped = None if capped is None or other_capped is None else capped - other_capped
        direction = pulled_back(decoder.final_norm, decoder.final_norm.scale(final), row)
        bias += bias_share(decoder.final_norm, row)
        return _split(context, values, Shares(token, logit, capped, 0.0, logits, logits, bias), direction)


def _split(context: Context, values: dict[Place, Tensor], whole: Shares, direction: Tensor) -> Shares:
    decoder, heads, mlps, bias = context.decoder, [], [], whole.bias
    for layer in range(decoder.architecture.layers):
        block = decoder.blocks[layer]
        assert isinstance(block, Block)
        added_scale = _block_scale(context.edits, layer)

        def share(point: str, layer: int = layer) -> float:
            return float(values[point, layer][-1].double() @ direction)

        by_head, attention_bias = _heads(block, values["heads", layer][-1], direction)
        fed, attended = share("ffn_output"), share("attention_output")
        heads.append(by_head * added_scale)
        mlps.append(fed * added_scale)
        # biases of attention; and, under edits, what was added to the stream by none of the block's parts
        edited = share("output") - share("input") - (attended + fed) * added_scale if context.edits else 0.0
        bias += attention_bias * added_scale + edited
    return Shares(
        token=whole.token,
        logit=whole.logit,
        capped=whole.capped,
        embedding=float(values["embedding", None][-1].double() @ direction),
        heads=torch.stack(heads),
        mlps=torch.tensor(mlps, dtype=torch.float64),
        bias=bias,
    )


def _heads(block: Block, mixed: Tensor, direction: Tensor) -> tuple[Tensor, float]:
    """From each head's mix `(heads, head_size)`: its share, `(heads,)`, and the share of the biases."""
    output, norm = block.attention.output, block.attention_output_norm
    direction = direction * block.residual_scale
    bias = 0.0
    if norm is not None:
        bias += bias_share(norm, direction)
        direction = pulled_back(norm, norm.scale(output(mixed.reshape(1, -1))[0]), direction)
    if output.bias is not None:
        bias += float(output.bias.double() @ direction)
    reads = torch.zeros(mixed.numel(), dtype=torch.float64, device=mixed.device)
    for first, rows in row_parts(output):
        reads += direction[first : first + rows.shape[0]] @ rows.double()
    return (mixed.double() * reads.view(mixed.shape)).sum(-1), bias


def _unembedding(decoder: Decoder, token: int) -> tuple[Tensor, float]:
    """A token's row of the unembedding, `(width,)` float64, and its bias, with the logit multiplier."""
    linear, multiplier = decoder.unembedding, decoder.architecture.logit_scale
    row = linear.look_up(torch.tensor([token], device=decoder.device))[0].double()
    bias = 0.0 if linear.bias is None else float(linear.bias[token])
    return row * multiplier, bias * multiplier


def _logit(decoder: Decoder, final: Tensor, logits: Tensor, token: int) -> tuple[float, float | None]:
    """A token's logit before and after the soft cap; after it None where there is none."""
    if decoder.architecture.logit_soft_cap is None:
        return float(logits[token]), None
    row, bias = _unembedding(decoder, token)
    return float(decoder.final_norm(final).double() @ row) + bias, float(logits[token])


def _block_scale(edits: Sequence[Edit], layer: int) -> float:
    """By how much edits multiply all that a block adds."""
    return math.prod(
        edit.scale for edit in edits if (edit.point, edit.layer, edit.since) == ("output", layer, "input")
    )
