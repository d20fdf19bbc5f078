"""Saves the conversation as it happens."""

from __future__ import annotations

from typing import Protocol

from chatterm.engine.messages import Timing
from chatterm.sampling import SamplingParameters
from chatterm.tui.turns import Turn


class Keeper(Protocol):
    """Where conversations are kept."""

    @property
    def state(self) -> str:
        """A word for the status line."""
        ...

    def model_is(self, name: str) -> None:
        """Which checkpoint answers from now on."""
        ...

    def begin(self) -> None:
        """What is said next belongs to a new conversation."""
        ...

    async def said(self, turn: Turn) -> None:
        """The user's message, on disk when this returns."""
        ...

    async def began(self, turn: Turn, sampling: SamplingParameters) -> None:
        """A reply begins."""
        ...

    def grew(self, turn: Turn) -> None:
        """A reply has more tokens; they are on disk within a second."""
        ...

    async def ended(self, turn: Turn, timing: Timing | None) -> None:
        """A reply ended."""
        ...

    async def chosen(self, turn: Turn) -> None:
        """The conversation goes on from another reply to the same message."""
        ...

    async def open(self, conversation: int | None) -> list[Turn] | None:
        """A saved conversation, the last one if None; None if there is none."""
        ...

    async def close(self) -> None:
        """Everything is on disk when this returns."""
        ...


class Forgetful:
    """Keeps nothing, and says so: for when the library cannot be opened."""

    def __init__(self, state: str = "not saved") -> None:
        self.state = state

    def model_is(self, name: str) -> None:
        """Nothing to note."""

    def begin(self) -> None:
        """Nothing to begin."""

    async def said(self, turn: Turn) -> None:
        """Nothing is kept."""

    async def began(self, turn: Turn, sampling: SamplingParameters) -> None:
        """Nothing is kept."""

    def grew(self, turn: Turn) -> None:
        """Nothing is kept."""

    async def ended(self, turn: Turn, timing: Timing | None) -> None:
        """Nothing is kept."""

    async def chosen(self, turn: Turn) -> None:
        """Nothing is kept."""

    async def open(self, conversation: int | None) -> list[Turn] | None:
        """There is nothing."""
        return None

    async def close(self) -> None:
        """Nothing to finish."""
