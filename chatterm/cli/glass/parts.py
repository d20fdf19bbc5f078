"""Parts of a model as they are written on the command line: head:L.H, mlp:L, block:L, neuron:L.N."""

from __future__ import annotations

import re

from chatterm.errors import UserError
from chatterm.language import _
from chatterm.records.inspection import (
    AnyEdit,
    ScaleBlock,
    ScaleFeedForward,
    ScaleHead,
    ScaleNeuron,
    Steer,
)

FORMS = "head:LAYER.HEAD, mlp:LAYER, block:LAYER or neuron:LAYER.NUMBER"
_PART = re.compile(r"(head|mlp|block|neuron):([0-9]{1,9})(?:\.([0-9]{1,9}))?", re.ASCII)


def scaled(text: str) -> AnyEdit:
    """PART=SCALE as an edit, as in head:7.3=0.5.

    Raises:
        UserError: it is nothing of that kind.
    """
    part, equals, scale = text.rpartition("=")
    if not equals:
        raise UserError(_("{text} is not PART=SCALE, as in head:7.3=0.5.").format(text=repr(text)))
    return part_of(part, _number(scale, text))


def part_of(text: str, scale: float = 0.0) -> AnyEdit:
    """A part and by how much to multiply it; 0 switches it off.

    Raises:
        UserError: it is no part.
    """
    found = _PART.fullmatch(text.strip())
    if found is None or (found[1] in ("head", "neuron")) != (found[3] is not None):
        raise UserError(
            _("{text} is no part of a model: write {forms}.").format(text=repr(text), forms=FORMS)
        )
    kind, layer = found[1], int(found[2])
    match kind:
        case "head":
            return ScaleHead(layer, int(found[3]), scale)
        case "neuron":
            return ScaleNeuron(layer, int(found[3]), scale)
        case "mlp":
            return ScaleFeedForward(layer, scale)
        case _:
            return ScaleBlock(layer, scale)


def steered(text: str) -> Steer:
    """LAYER:TOWARD:AWAY=STRENGTH as an edit; the strength may be left out and is 1 then.

    Raises:
        UserError: it is nothing of that kind.
    """
    layer, colon, rest = text.partition(":")
    texts, equals, strength = rest.rpartition("=")
    if not equals:
        texts, strength = rest, "1"
    toward, second, away = texts.partition(":")
    if not (colon and second) or ":" in away or not re.fullmatch(r"[0-9]{1,9}", layer.strip(), re.ASCII):
        raise UserError(
            _("{text} is not LAYER:TOWARD:AWAY=STRENGTH, as in 10:Love:Hate=4.").format(text=repr(text))
        )
    return Steer(int(layer), toward, away, _number(strength, text))


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UserError(
            _("{whole}: {text} is not a number.").format(whole=repr(whole), text=repr(text))
        ) from error
