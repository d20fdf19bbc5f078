"""The sampling values in force: the checkpoint's own, and what the user changed about them."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from chatterm.errors import UserError
from chatterm.sampling import SamplingParameters

SEEDS = 10_000
"""Seeds drawn for a reply lie below this: short enough to read aloud."""


def draw_seed() -> int:
    """A seed for one reply; not 0, which stands for none drawn yet."""
    return random.randrange(1, SEEDS)  # noqa: S311  a seed is no secret


class SamplingValues:
    """What the user changed wins over what the checkpoint starts with, for the next checkpoint too.

    Attributes:
        sampling: in force.
        start: the checkpoint's own values …
        source: … and where they come from.
        seed_is_chosen: the user chose the seed; otherwise each reply draws its own.
    """

    def __init__(self, changes: dict[str, object], draw: Callable[[], int] = draw_seed) -> None:
        """`changes` are those of the settings.

        Raises:
            UserError: one of them cannot be used.
        """
        self._changes = dict(changes)
        self._draw = draw
        self.start = SamplingParameters()
        self.source = ""
        self.seed_is_chosen = "seed" in changes
        try:
            self.sampling = self.start.replace(**changes)
        except msgspec.ValidationError as error:
            raise UserError(f"A sampling value in the settings cannot be used: {error}.") from error

    def begin_from(self, start: SamplingParameters, source: str) -> None:
        """Another checkpoint, with its own values."""
        self.start, self.source = start, source
        seed = {} if self.seed_is_chosen else {"seed": self.sampling.seed}
        self.sampling = start.replace(**{**seed, **self._changes})

    def change(self, **values: object) -> None:
        """The user turned knobs.

        Raises:
            msgspec.ValidationError: a value is out of its range; nothing has changed then.
        """
        self.sampling = self.sampling.replace(**values)
        self.seed_is_chosen |= "seed" in values
        self._changes |= values

    def reset(self) -> None:
        """Back to the checkpoint's own values."""
        self._changes.clear()
        self.seed_is_chosen = False
        self.sampling = self.start.replace(seed=self.sampling.seed)

    def free_seed(self) -> None:
        """Draw a new seed for each reply again."""
        self.seed_is_chosen = False
        self._changes.pop("seed", None)

    def for_reply(self, seed: int | None = None) -> SamplingParameters:
        """The values for a new reply, its seed `seed` or drawn if the user has not chosen one."""
        if not self.seed_is_chosen:
            self.sampling = self.sampling.replace(seed=self._draw() if seed is None else seed)
        return self.sampling
