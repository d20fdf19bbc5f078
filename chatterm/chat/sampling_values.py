"""The sampling values in force: the checkpoint's own, and what the user changed about them."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from chatterm.errors import UserError
from chatterm.language import _
from chatterm.records.generation import RuleCounts
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
        rules: how much the checkpoint says must not come.
        seed_is_chosen: the user chose the seed; otherwise each reply draws its own.
    """

    def __init__(self, changes: dict[str, object], draw: Callable[[], int] = draw_seed) -> None:
        """`changes` are those of the settings.

        Raises:
            UserError: one of them cannot be used.
        """
        self._settings = dict(changes)
        self._changes = dict(changes)
        self._draw = draw
        self.start = SamplingParameters()
        self.source = ""
        self.rules = RuleCounts()
        self.seed_is_chosen = "seed" in changes
        self._restored: SamplingParameters | None = None
        try:
            self.sampling = self.start.replace(**changes)
        except msgspec.ValidationError as error:
            sentence = _("A sampling value in the settings cannot be used: {error}.")
            raise UserError(sentence.format(error=error)) from error

    def begin_from(
        self,
        start: SamplingParameters,
        source: str,
        rules: RuleCounts = RuleCounts(),  # noqa: B008
    ) -> None:
        """Another checkpoint, with its own values and rules."""
        self.start, self.source, self.rules = start, source, rules
        if self._restored is not None:
            self._changes = _differences(self._restored, start)
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
        self._restored = None

    @property
    def to_keep(self) -> SamplingParameters:
        """What is saved with a conversation: seed 0 stands for one that each reply draws."""
        return self.sampling if self.seed_is_chosen else self.sampling.replace(seed=0)

    def restore(self, kept: SamplingParameters) -> None:
        """Take the values that a saved conversation was held with."""
        self.seed_is_chosen = kept.seed != 0
        self._restored = kept
        self._changes = _differences(kept, self.start)
        self.sampling = kept if self.seed_is_chosen else kept.replace(seed=self.sampling.seed)

    def leave(self) -> None:
        """Begin a new conversation: with the checkpoint's values and those of the settings, whatever was."""
        self._restored = None
        self._changes = dict(self._settings)
        self.seed_is_chosen = "seed" in self._changes
        seed = {} if self.seed_is_chosen else {"seed": self.sampling.seed}
        self.sampling = self.start.replace(**{**seed, **self._changes})

    def reset(self) -> None:
        """Back to the checkpoint's own values."""
        self._changes.clear()
        self._restored = None
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


def _differences(values: SamplingParameters, start: SamplingParameters) -> dict[str, object]:
    """The values that are not those that a checkpoint starts with; an undrawn seed is none."""
    found = {name: getattr(values, name) for name in SamplingParameters.__struct_fields__}
    return {
        name: value
        for name, value in found.items()
        if value != getattr(start, name) and not (name == "seed" and value == 0)
    }
