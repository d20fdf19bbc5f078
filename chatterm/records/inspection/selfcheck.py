"""What must hold inside any model."""

from __future__ import annotations

from typing import Literal

import msgspec

from chatterm.records.inspection.question import Question


class Identity(msgspec.Struct, frozen=True):
    """Something that must hold, and by how much it does not."""

    name: str  # "the lens after the last block is the logits"
    error: float
    tolerance: float
    unit: Literal["nats", "logit", "probability", "relative"]

    @property
    def holds(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.tolerance


class SelfChecked(msgspec.Struct, frozen=True, tag="self-checked"):
    """All identities on the loaded checkpoint."""

    identities: tuple[Identity, ...]


class SelfCheck(Question[SelfChecked], frozen=True, tag="self-check"):
    """Run every identity of the glass box on a short text."""
