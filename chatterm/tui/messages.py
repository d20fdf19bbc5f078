"""What the parts of the interface say to each other."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from chatterm.tui.turns import Turn

# --- from the session to the screen ---------------------------------------------------------------------


class TurnsReplaced(Message):
    """Another conversation, or another walk through it: show all of it anew."""


@dataclass
class TurnAdded(Message):
    """The conversation has one turn more."""

    turn: Turn


@dataclass
class TurnChanged(Message):
    """A turn ended, or its state changed. A growing reply is drawn by the clock, not by messages."""

    turn: Turn


class StateChanged(Message):
    """The engine, the loading or the saving came further; see `ChatSession`."""


class SamplingChanged(Message):
    """Other sampling values are in force."""


class LookChanged(Message):
    """The next-token panel has something else to show."""


# --- from the widgets to the screen ---------------------------------------------------------------------


@dataclass
class Submitted(Message):
    """The user sent a message."""

    text: str


@dataclass
class Nudged(Message):
    """A knob was turned by so many steps."""

    field: str
    steps: int


@dataclass
class ValueChosen(Message):
    """A knob was put at a value."""

    field: str
    value: float


@dataclass
class TokenPicked(Message):
    """A token of a reply was selected."""

    turn: Turn
    index: int


@dataclass
class SiblingWanted(Message):
    """Show another of the replies to the same message: -1 the one before, 1 the one after."""

    turn: Turn
    step: int


@dataclass
class ExampleChosen(Message):
    """One of the welcome's example prompts."""

    text: str


class PickerWanted(Message):
    """Open the checkpoint picker."""


@dataclass
class ParametersWanted(Message):
    """Open the parameters at one of them."""

    field: str = "temperature"


@dataclass
class TokensLeft(Message):
    """The user is done with walking over tokens, perhaps because of typing `text`."""

    text: str


@dataclass
class ModelChosen(Message):
    """Fetch if need be, load and answer with this model: a path or a catalog name."""

    model: str


class CancelWanted(Message):
    """Cancel the model that is being fetched or loaded."""


@dataclass
class Reset(Message):
    """Back to the checkpoint's sampling values; `seed_only` draws a new seed for each reply again."""

    seed_only: bool = False
