"""What every question about the inside of the model is."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

A_co = TypeVar("A_co", covariant=True)


class Question(msgspec.Struct, Generic[A_co], frozen=True):
    """Something to ask of the loaded model; `A_co` is the type of its answer."""
