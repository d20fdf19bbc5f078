"""Changes of the model, as the edits that its taps make.

All of a head's, a layer's or a neuron's work is multiplied by a number, or a direction is added to the
residual stream. A weight is never touched, so taking the edits back is leaving them out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from chatterm import inert
from chatterm.errors import UserError
from chatterm.model.decoder import Decoder
from chatterm.model.taps import Edit, Taps
from chatterm.records.inspection import (
    AnyEdit,
    ScaleBlock,
    ScaleFeedForward,
    ScaleHead,
    ScaleNeuron,
    Steer,
)

MOST_EDITS = 1000
MOST_STEERING_TOKENS = 512

EVERY_POSITION = slice(None)

Encode = Callable[[str], Sequence[int]]
"""A text as the tokens with which the model reads it, its beginning token included."""


def edits_of(asked: Sequence[AnyEdit], decoder: Decoder, encode: Encode) -> list[Edit]:
    """What the taps have to change.

    A scale of 1 changes nothing and is left out. Directions are added last, so that the order in which edits
    are listed does not matter.

    Args:
        asked: the edits.
        decoder: whose blocks they are about; it reads the texts of a `Steer`, without any edit.
        encode: cuts those texts into tokens.

    Raises:
        UserError: one of them is about something that the model does not have, or has no usable number.
    """
    if len(asked) > MOST_EDITS:
        raise UserError(f"{len(asked)} edits are too many; at most {MOST_EDITS} can be in force.")
    for edit in asked:
        check(edit, decoder)
    active = [edit for edit in asked if changes(edit)]
    scaled = [_scaled(edit) for edit in active if not isinstance(edit, Steer)]
    return scaled + [_steered(edit, decoder, encode) for edit in active if isinstance(edit, Steer)]


def changes(edit: AnyEdit) -> bool:
    """Whether an edit changes anything: a scale of 1 and a strength of 0 do not."""
    return edit.strength != 0.0 if isinstance(edit, Steer) else edit.scale != 1.0


def check(edit: AnyEdit, decoder: Decoder) -> None:
    """Whether the model has what an edit is about.

    Raises:
        UserError: it does not, or the number is not finite.
    """
    a = decoder.architecture
    _within("layer", edit.layer, a.layers, "this model")
    match edit:
        case ScaleHead():
            _within("head", edit.head, a.heads, "each layer")
        case ScaleNeuron():
            _within("neuron", edit.neuron, a.ffn_width, "each layer")
    number = edit.strength if isinstance(edit, Steer) else edit.scale
    if not math.isfinite(number):
        raise UserError(f"An edit cannot use {number}: give a number such as 0, 0.5 or 2.")


def describe(edit: AnyEdit) -> str:
    """An edit in a few words, like "head 7.3 off" or "feed-forward 12 × 0.5"."""
    match edit:
        case ScaleHead():
            return f"head {edit.layer}.{edit.head} {_scale(edit.scale)}"
        case ScaleFeedForward():
            return f"feed-forward {edit.layer} {_scale(edit.scale)}"
        case ScaleBlock():
            return f"block {edit.layer} {_scale(edit.scale)}"
        case ScaleNeuron():
            return f"neuron {edit.layer}.{edit.neuron} {_scale(edit.scale)}"
        case Steer():
            toward, away = _quoted(edit.toward), _quoted(edit.away)
            return f"steered after block {edit.layer} from {away} to {toward} × {edit.strength:g}"


def direction(steer: Steer, decoder: Decoder, encode: Encode) -> Tensor:
    """Hidden state of `toward` minus that of `away`, after the block, at each text's last token: `(width,)`.

    Activation addition (arXiv:2308.10248), with one difference of states that is added at every position.

    Raises:
        UserError: a text has no tokens or too many.
    """
    toward, away = (_state(text, steer.layer, decoder, encode) for text in (steer.toward, steer.away))
    return toward - away


def _state(text: str, layer: int, decoder: Decoder, encode: Encode) -> Tensor:
    ids = list(encode(text))
    if not ids:
        raise UserError("A text to steer by is empty: give a word or a sentence.")
    most = min(MOST_STEERING_TOKENS, decoder.context)
    if len(ids) > most:
        raise UserError(f"A text to steer by has {len(ids)} tokens; shorten it to {most}.")
    taps = Taps(read=[("output", layer)])
    with torch.inference_mode():
        decoder(torch.tensor(ids, device=decoder.device), decoder.new_cache(len(ids)), taps=taps)
    return taps.values["output", layer][-1]


def _scaled(edit: ScaleHead | ScaleFeedForward | ScaleBlock | ScaleNeuron) -> Edit:
    match edit:
        case ScaleHead():
            return Edit("heads", edit.layer, (EVERY_POSITION, edit.head), scale=edit.scale)
        case ScaleFeedForward():
            return Edit("ffn_output", edit.layer, scale=edit.scale)
        case ScaleBlock():
            return Edit("output", edit.layer, scale=edit.scale, since="input")
        case ScaleNeuron():
            return Edit("activations", edit.layer, (EVERY_POSITION, edit.neuron), scale=edit.scale)


def _steered(steer: Steer, decoder: Decoder, encode: Encode) -> Edit:
    return Edit("output", steer.layer, addition=direction(steer, decoder, encode) * steer.strength)


def _within(what: str, number: int, count: int, whose: str) -> None:
    if not 0 <= number < count:
        raise UserError(f"{what} {number} does not exist: {whose} has {what}s 0 to {count - 1}.")


def _scale(scale: float) -> str:
    return "off" if scale == 0 else f"× {scale:g}"


def _quoted(text: str, most: int = 24) -> str:
    shown = inert.line(text)
    return f"“{shown if len(shown) <= most else shown[: most - 1] + '…'}”"
