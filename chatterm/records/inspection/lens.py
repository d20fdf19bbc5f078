"""Guesses layer by layer."""

from __future__ import annotations

import msgspec

from chatterm.records.generation import Candidate, Prompt
from chatterm.records.inspection.question import Question


class LensLayer(msgspec.Struct, frozen=True, array_like=True):
    """The final norm and unembedding applied to the residual stream after one block."""

    layer: int
    entropy: float
    candidates: tuple[Candidate, ...]  # `sampled` equals p and nothing is removed: no sampler here
    target_p: float | None
    target_rank: int | None


class LensPosition(msgspec.Struct, frozen=True):
    """The lens at one position, from the first block to the last."""

    position: int  # of the token that was read
    token: int
    text: str
    target: int | None  # the token whose rank is followed
    target_text: str | None
    layers: tuple[LensLayer, ...]


class LensRead(msgspec.Struct, frozen=True, tag="lens-read"):
    """The last `positions` positions of the prompt, in order."""

    positions: tuple[LensPosition, ...]


class Lens(Question[LensRead], frozen=True, tag="lens"):
    """Guesses layer by layer.

    With `positions` > 1, a grid over the last ones. `target` is the token that came after the prompt (earlier
    positions have the prompt's own next token as their target).
    """

    prompt: Prompt
    candidates: int = 3
    target: int | None = None
    positions: int = 1
