"""What changed in a chat session, told to whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chatterm.chat.turns import Turn


@dataclass(frozen=True, eq=False)
class TurnsReplaced:
    """Another conversation, or another walk through it: show all of it anew."""


@dataclass(frozen=True, eq=False)
class TurnAdded:
    """The conversation has one turn more."""

    turn: Turn


@dataclass(frozen=True, eq=False)
class TurnChanged:
    """A turn ended, or its state changed. A growing reply tells nothing: it is drawn by the clock."""

    turn: Turn


@dataclass(frozen=True, eq=False)
class StateChanged:
    """The engine, the loading or the saving came further."""


@dataclass(frozen=True, eq=False)
class SamplingChanged:
    """Other sampling values are in force."""


@dataclass(frozen=True, eq=False)
class LookChanged:
    """Another token, or another distribution of it, is looked at."""


@dataclass(frozen=True, eq=False)
class Told:
    """Something that happened beside the conversation, one sentence."""

    sentence: str
    is_trouble: bool = False


Event = TurnsReplaced | TurnAdded | TurnChanged | StateChanged | SamplingChanged | LookChanged | Told


class Events:
    """Tells events to all who subscribed, in the order in which they did, before `tell` returns."""

    def __init__(self) -> None:
        self._subscribers: list[Callable[[Event], object]] = []

    def subscribe(self, subscriber: Callable[[Event], object]) -> Callable[[], None]:
        """Tell `subscriber` every event from now on; the function that is returned ends that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def tell(self, event: Event) -> None:
        """Tell an event to everybody."""
        for subscriber in tuple(self._subscribers):
            subscriber(event)
