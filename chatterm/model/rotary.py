"""Rotary position embedding: frequencies in float64, tables of cosines and sines in float32.

Pairs are half of the rotated part apart: component i turns with component i + n/2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chatterm.checkpoint.architecture import (
    DynamicScaling,
    FactorScaling,
    LinearScaling,
    Llama3Scaling,
    LongRopeScaling,
    Rotary,
    YarnScaling,
)

FIRST_TABLE = 256
"""Positions in a new table; it doubles as often as it must."""


def frequencies(rotary: Rotary, length: int) -> tuple[Tensor, float]:
    """Angle per position of each pair, `(dimensions / 2,)` float64, and the factor of cosines and sines.

    Args:
        rotary: the settings; the sources of the formulas are named at the scaling classes.
        length: positions of the whole text so far, for the scalings that depend on it.
    """
    plain = _plain(rotary.base, rotary.dimensions)
    match rotary.scaling:
        case None:
            return plain, 1.0
        case LinearScaling(factor):
            return plain / factor, 1.0
        case DynamicScaling(factor, trained):
            stretch = factor * max(length, trained) / trained - (factor - 1)
            base = rotary.base * stretch ** (rotary.dimensions / (rotary.dimensions - 2))
            return _plain(base, rotary.dimensions), 1.0
        case Llama3Scaling() as scaling:
            return _llama3(plain, scaling), 1.0
        case YarnScaling() as scaling:
            return _yarn(plain, rotary, scaling), scaling.attention_factor
        case LongRopeScaling(short, long, trained, attention_factor):
            factors = long if length > trained else short
            return plain / torch.tensor(factors, dtype=torch.float64), attention_factor
        case FactorScaling(factors):
            return plain / torch.tensor(factors, dtype=torch.float64), 1.0


def depends_on_length(rotary: Rotary | None) -> bool:
    """Whether a position's rotation depends on how long the text is."""
    return rotary is not None and isinstance(rotary.scaling, DynamicScaling | LongRopeScaling)


def regime(rotary: Rotary | None, length: int) -> int:
    """Which set of frequencies a text of that length has: texts of the same regime can share a cache.

    Dynamic scaling changes with every token beyond the trained length. What is in the cache then keeps the
    rotation it was given, as in the reference implementation, so that scaling counts as one regime.
    """
    scaling = rotary.scaling if rotary else None
    return int(length > scaling.trained) if isinstance(scaling, LongRopeScaling) else 0


def _plain(base: float, dimensions: int) -> Tensor:
    return base ** -(torch.arange(0, dimensions, 2, dtype=torch.float64) / dimensions)


def _llama3(plain: Tensor, scaling: Llama3Scaling) -> Tensor:
    turns = scaling.trained * plain / (2 * math.pi)  # over the trained length
    ramp = (turns - scaling.low_frequency) / (scaling.high_frequency - scaling.low_frequency)
    share = ramp.clamp(0, 1)
    return plain * (share + (1 - share) / scaling.factor)


def _yarn(plain: Tensor, rotary: Rotary, scaling: YarnScaling) -> Tensor:
    def pair_with(turns: float) -> float:
        """The (fractional) pair that makes that many turns over the trained length."""
        return (
            rotary.dimensions
            * math.log(scaling.trained / (turns * 2 * math.pi))
            / (2 * math.log(rotary.base))
        )

    low, high = pair_with(scaling.beta_fast), pair_with(scaling.beta_slow)
    if scaling.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, rotary.dimensions - 1)
    high += 0.001 if low == high else 0.0
    pairs = torch.arange(rotary.dimensions // 2, dtype=torch.float64)
    interpolated = ((pairs - low) / (high - low)).clamp(0, 1)
    return plain * (1 - interpolated) + plain / scaling.factor * interpolated


@dataclass(frozen=True)
class Turn:
    """The rotation of some consecutive positions. `cos` and `sin` are `(T, 1, dimensions)` float32."""

    dimensions: int
    cos: Tensor
    sin: Tensor  # negative in the first half

    def __getitem__(self, some: slice) -> Turn:
        """The rotation of some of the positions."""
        return Turn(self.dimensions, self.cos[some], self.sin[some])

    def __call__(self, x: Tensor) -> Tensor:
        """Rotate `(T, heads, head_size)`; components beyond `dimensions` stay."""
        if self.dimensions == x.shape[-1]:
            return self._rotate(x)
        turned, rest = x[..., : self.dimensions], x[..., self.dimensions :]
        return torch.cat([self._rotate(turned), rest], dim=-1)

    def _rotate(self, x: Tensor) -> Tensor:
        return torch.addcmul(x * self.cos, x.roll(self.dimensions // 2, -1), self.sin).to(x.dtype)


class RotaryTable:
    """Cosines and sines of one rotary embedding, as far as they have been needed."""

    def __init__(self, rotary: Rotary, device: torch.device | str) -> None:
        self.rotary = rotary
        self.device = device
        self._tables: dict[int, tuple[Tensor, Tensor]] = {}

    def turn(self, start: int, count: int, length: int) -> Turn:
        """The rotation of positions `start` … `start + count - 1` in a text of `length` positions."""
        table = self.whole(start + count, length)
        if table is None:
            return Turn(self.rotary.dimensions, *self._compute(start, count, length))
        cos, sin = (part[start : start + count] for part in table)
        return Turn(self.rotary.dimensions, cos, sin)

    def whole(self, positions: int, length: int) -> tuple[Tensor, Tensor] | None:
        """Cosines and sines `(≥ positions, 1, dimensions)` from the first position on, as `turn` takes them.

        None where every length has a rotation of its own.
        """
        return self._table(positions, length) if self.is_fixed(length) else None

    def turn_at(self, positions: Sequence[int], length: int) -> Turn:
        """The rotation of any positions in texts of up to `length` positions.

        Raises:
            ValueError: a text of that length has a rotation of its own.
        """
        table = self.whole(1 + max(positions), length)
        if table is None:
            raise ValueError(f"positions in a text of {length} turn as in no other")
        cos, sin = (part[list(positions)] for part in table)
        return Turn(self.rotary.dimensions, cos, sin)

    def is_fixed(self, length: int) -> bool:
        """Whether a text of that length does not have a rotation of its own."""
        scaling = self.rotary.scaling
        return not isinstance(scaling, DynamicScaling) or length <= scaling.trained

    def _table(self, positions: int, length: int) -> tuple[Tensor, Tensor]:
        key = regime(self.rotary, length)
        table = self._tables.get(key)
        if table is None or table[0].shape[0] < positions:
            size = max(FIRST_TABLE, 1 << (positions - 1).bit_length())
            table = self._tables[key] = self._compute(0, size, length)
        return table

    def _compute(self, start: int, count: int, length: int) -> tuple[Tensor, Tensor]:
        per_position, factor = frequencies(self.rotary, length)
        angles = torch.arange(start, start + count, dtype=torch.float64)[:, None] * per_position
        cos, sin = angles.cos() * factor, angles.sin() * factor
        both = torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)
        return tuple(part.float().unsqueeze(1).to(self.device) for part in both)  # type: ignore[return-value]
