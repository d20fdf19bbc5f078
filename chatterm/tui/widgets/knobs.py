"""The knobs that the screen offers: their names, steps and neutral values."""

from __future__ import annotations

import math
from typing import NamedTuple

from chatterm.language import _, mark
from chatterm.sampling import SamplingParameters

RULES = "checkpoint_rules"


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
            return _("off")
        if (self.low, self.high, self.step) == (0, 1, 1):
            return _("on")
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
    mark("temperature"),
    0.0,
    2.0,
    0.05,
    2,
    None,
    mark("0 always takes the most probable token; higher dares more"),
)
TOP_P = Knob(
    "top_p", mark("top-p"), 0.0, 1.0, 0.05, 2, 1.0, mark("keep the fewest tokens that hold this probability")
)
TOP_K = Knob("top_k", mark("top-k"), 0, 1000, 5, 0, 0, mark("keep this many of the most probable tokens"))
MIN_P = Knob(
    "min_p", mark("min-p"), 0.0, 1.0, 0.01, 2, 0.0, mark("drop tokens below this share of the best one")
)
REPETITION = Knob(
    "repetition_penalty",
    mark("repeat"),
    1.0,
    2.0,
    0.05,
    2,
    1.0,
    mark("make tokens that came before less probable"),
)
KNOBS = (TEMPERATURE, TOP_P, TOP_K, MIN_P, REPETITION)
"""Those that are always in sight."""

MORE_KNOBS = (
    Knob(
        "typical_p",
        mark("typical"),
        0.0,
        1.0,
        0.05,
        2,
        1.0,
        mark("keep tokens about as surprising as is to be expected here"),
    ),
    Knob(
        "top_n_sigma",
        mark("top-n-sigma"),
        0.0,
        5.0,
        0.1,
        1,
        0.0,
        mark("keep logits within n standard deviations of the best"),
    ),
    Knob(
        "xtc_probability",
        mark("xtc chance"),
        0.0,
        1.0,
        0.05,
        2,
        0.0,
        mark("how often to drop the top choices but the last"),
    ),
    Knob(
        "xtc_threshold",
        mark("xtc threshold"),
        0.0,
        0.5,
        0.01,
        2,
        None,
        mark("what counts as a top choice for xtc"),
    ),
    Knob(
        "frequency_penalty",
        mark("frequency"),
        -2.0,
        2.0,
        0.05,
        2,
        0.0,
        mark("less probable with every time a token came"),
    ),
    Knob(
        "presence_penalty",
        mark("presence"),
        -2.0,
        2.0,
        0.05,
        2,
        0.0,
        mark("less probable once a token came at all"),
    ),
    Knob(
        "penalty_last_n",
        mark("penalty window"),
        -1,
        4096,
        16,
        0,
        None,
        mark("tokens that penalties look back on; -1: all"),
    ),
    Knob(
        "dry_multiplier",
        mark("dry"),
        0.0,
        5.0,
        0.05,
        2,
        0.0,
        mark("against repeating a sequence that came before"),
    ),
    Knob(
        "dry_base",
        mark("dry base"),
        1.0,
        4.0,
        0.05,
        2,
        None,
        mark("how fast dry grows with the length of the repeat"),
    ),
    Knob(
        "dry_allowed_length",
        mark("dry length"),
        0,
        20,
        1,
        0,
        None,
        mark("repeats up to this length are free"),
    ),
    Knob(
        "mirostat",
        mark("mirostat"),
        0,
        2,
        2,
        0,
        0,
        mark("2: steer towards a constant surprise in place of cutting"),
    ),
    Knob(
        "mirostat_tau",
        mark("mirostat tau"),
        0.0,
        10.0,
        0.1,
        1,
        None,
        mark("the surprise that mirostat aims at, in bits"),
    ),
    Knob(
        "mirostat_eta",
        mark("mirostat eta"),
        0.0,
        1.0,
        0.01,
        2,
        None,
        mark("how fast mirostat corrects itself"),
    ),
    Knob(
        RULES,
        mark("model's rules"),
        0,
        1,
        1,
        0,
        0,
        mark("what the checkpoint says must not come (suppressed tokens …); 0: it may"),
    ),
)
"""The rest, in the table of all values. Order of the steps and logit bias are set in `config.toml`."""

BY_FIELD = {knob.field: knob for knob in (*KNOBS, *MORE_KNOBS)}
HIGHEST_SEED = 2**63 - 1


def whole_number(text: str) -> int | None:
    """A whole number up to the highest seed, which is the highest that the library can keep too; or none."""
    number = int(text) if text.isdecimal() and len(text) <= len(str(HIGHEST_SEED)) else None
    return number if number is not None and number <= HIGHEST_SEED else None
