"""The knobs that the screen offers: their names, steps and neutral values."""

from __future__ import annotations

import math
from typing import NamedTuple

from chatterm.sampling import SamplingParameters


class Knob(NamedTuple):
    """One sampling value and how it is turned. `neutral` is where it does nothing."""

    field: str
    title: str
    low: float
    high: float
    step: float
    decimals: int
    neutral: float | None
    says: str

    def show(self, sampling: SamplingParameters) -> str:
        """The value in force, in words."""
        return self.format(self.value(sampling))

    def value(self, sampling: SamplingParameters) -> float:
        """The value in force."""
        value: float = getattr(sampling, self.field)
        return value

    def format(self, value: float) -> str:
        """A value in the fewest digits that tell the steps apart."""
        if self.neutral is not None and value == self.neutral:
            return "off"
        return f"{value:.{self.decimals}f}"

    def turned(self, value: float, steps: int) -> float:
        """The value `steps` further, on the grid of steps and within bounds."""
        steps_from_zero = value / self.step
        rounded = math.floor(steps_from_zero + 1e-9) if steps > 0 else math.ceil(steps_from_zero - 1e-9)
        return self.clamp((rounded + steps) * self.step)

    def clamp(self, value: float) -> float:
        """The nearest value that it can have."""
        value = min(self.high, max(self.low, value))
        return round(value, self.decimals) if self.decimals else round(value)


TEMPERATURE = Knob(
    "temperature",
    "temperature",
    0.0,
    2.0,
    0.05,
    2,
    None,
    "0 always takes the most probable token; higher dares more",
)
TOP_P = Knob("top_p", "top-p", 0.0, 1.0, 0.05, 2, 1.0, "keep the fewest tokens that hold this probability")
TOP_K = Knob("top_k", "top-k", 0, 1000, 5, 0, 0, "keep this many of the most probable tokens")
MIN_P = Knob("min_p", "min-p", 0.0, 1.0, 0.01, 2, 0.0, "drop tokens below this share of the best one")
REPETITION = Knob(
    "repetition_penalty", "repeat", 1.0, 2.0, 0.05, 2, 1.0, "make tokens that came before less probable"
)
KNOBS = (TEMPERATURE, TOP_P, TOP_K, MIN_P, REPETITION)
BY_FIELD = {knob.field: knob for knob in KNOBS}
HIGHEST_SEED = 2**63 - 1
