"""What the parts of the interface say to each other."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from chatterm.chat import events
from chatterm.chat.turns import Turn
from chatterm.records.generation import Candidate
from chatterm.records.inspection import AnyEdit

# --- from the session to the screen ---------------------------------------------------------------------


class SessionChanged(Message):
    """Something changed in the session; each kind of event of `chatterm.chat.events` has its own message."""


class TurnsReplaced(SessionChanged):
    """Another conversation, or another walk through it: show all of it anew."""


@dataclass(eq=False, repr=False)
class TurnAdded(SessionChanged):
    """The conversation has one turn more."""

    turn: Turn


@dataclass(eq=False, repr=False)
class TurnChanged(SessionChanged):
    """A turn ended, or its state changed. A growing reply is drawn by the clock, not by messages."""

    turn: Turn


class StateChanged(SessionChanged):
    """The engine, the loading or the saving came further; see `ChatSession`."""


class SamplingChanged(SessionChanged):
    """Other sampling values are in force."""


class LookChanged(SessionChanged):
    """The next-token panel has something else to show."""


@dataclass(eq=False, repr=False)
class Told(SessionChanged):
    """Something that happened beside the conversation, one sentence."""

    sentence: str
    is_trouble: bool = False


def of_session(event: events.Event) -> SessionChanged:
    """An event of the session as the message that the chat's screen handles."""
    match event:
        case events.TurnsReplaced():
            return TurnsReplaced()
        case events.TurnAdded(turn):
            return TurnAdded(turn)
        case events.TurnChanged(turn):
            return TurnChanged(turn)
        case events.StateChanged():
            return StateChanged()
        case events.SamplingChanged():
            return SamplingChanged()
        case events.LookChanged():
            return LookChanged()
        case events.Told(sentence, is_trouble):
            return Told(sentence, is_trouble)


# --- within the screen ----------------------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class TurnsShown(Message):
    """These turns of a conversation are laid out now, and their tokens may be looked at."""

    turns: list[Turn]


# --- from the widgets to the screen ---------------------------------------------------------------------


class TokenMessage(Message):
    """About the selected token, or the panel that shows it; for the chat's screen."""


class ConversationMessage(Message):
    """About what was said, or the values with which it goes on; for the chat's screen."""


class WritingMessage(Message):
    """About the message that is being written; for the chat's screen."""


@dataclass(eq=False, repr=False)
class Submitted(WritingMessage):
    """The user sent a message."""

    text: str


@dataclass(eq=False, repr=False)
class LongPaste(WritingMessage):
    """A long text was pasted, which is to go along as an attachment."""

    text: str


@dataclass(eq=False, repr=False)
class CompletionWanted(WritingMessage):
    """Take the completion under the cursor; with `sends` what is complete then is sent."""

    sends: bool = False


@dataclass(eq=False, repr=False)
class Nudged(ConversationMessage):
    """A knob was turned by so many steps."""

    field: str
    steps: int


@dataclass(eq=False, repr=False)
class ValueChosen(ConversationMessage):
    """A knob was put at a value."""

    field: str
    value: float


@dataclass(eq=False, repr=False)
class TokenPicked(TokenMessage):
    """A token of a reply was selected."""

    turn: Turn
    index: int


@dataclass(eq=False, repr=False)
class SiblingWanted(ConversationMessage):
    """Show another of the replies to the same message: -1 the one before, 1 the one after."""

    turn: Turn
    step: int


@dataclass(eq=False, repr=False)
class ExampleChosen(WritingMessage):
    """One of the welcome's example prompts."""

    text: str


class PickerWanted(ConversationMessage):
    """Open the checkpoint picker."""


@dataclass(eq=False, repr=False)
class ParametersWanted(ConversationMessage):
    """Open the parameters at one of them."""

    field: str = "temperature"


@dataclass(eq=False, repr=False)
class TokensLeft(TokenMessage):
    """The user is done with walking over tokens, perhaps because of typing `text`."""

    text: str


@dataclass(eq=False, repr=False)
class ModelChosen(Message):
    """Fetch if need be, load and answer with this model: a path or a catalog name."""

    model: str


class CancelWanted(Message):
    """Cancel the model that is being fetched or loaded."""


@dataclass(eq=False, repr=False)
class Reset(Message):
    """Back to the checkpoint's sampling values; `seed_only` draws a new seed for each reply again."""

    seed_only: bool = False


# --- looking at candidates ------------------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class CandidateChosen(TokenMessage):
    """Go on from this token in place of the one that came."""

    candidate: Candidate


@dataclass(eq=False, repr=False)
class MoreWanted(TokenMessage):
    """So many candidates of the selected token are to be shown."""

    candidates: int


@dataclass(eq=False, repr=False)
class TokenStep(TokenMessage):
    """Select the token before (-1) or after (1)."""

    step: int


class PanelEntered(TokenMessage):
    """The user goes over to the candidates."""


class FindWanted(TokenMessage):
    """The rank of a word is to be found."""


class WordsWanted(TokenMessage):
    """The reply is to go on from words of the user's own."""


@dataclass(eq=False, repr=False)
class CompareModelWanted(TokenMessage):
    """Another model is to be compared with the loaded one: a path, a name of the catalog or a hub id."""

    model: str


@dataclass(eq=False, repr=False)
class ViewOpened(TokenMessage):
    """Another view of the panel is open."""

    key: str


class PanelLeft(TokenMessage):
    """The user goes back to the words."""


@dataclass(eq=False, repr=False)
class WordPicked(TokenMessage):
    """The character at `offset` of a message of the user was clicked, whose tokens are not known yet."""

    turn: Turn
    offset: int


# --- from the panels of the glass box to the inspector and the screen -----------------------------------


class PanelAsks(Message):
    """The open panel needs other answers: its cursor moved, or something was typed."""


class PanelChanged(Message):
    """Another tab is open, or what it looks at must be found out anew."""


class EditsChanged(TokenMessage):
    """Other edits are in force."""


@dataclass(eq=False, repr=False)
class EditSwitched(Message):
    """Switch a part of the model off, or on again if that is what the list says."""

    edit: AnyEdit


class EditsTurned(Message):
    """The list of edits was changed by hand: bring the model in line with it."""


@dataclass(eq=False, repr=False)
class TokenTyped(Message):
    """Compare with the token that `text` begins with."""

    text: str


class CompareWanted(TokenMessage):
    """Write on from here, clean and edited, side by side."""


# --- conversations and their trees ----------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class ConversationWanted(ConversationMessage):
    """Go on with a saved conversation; at a message of it, if one was searched for by `words`."""

    conversation: int
    message: int | None = None
    words: str = ""


@dataclass(eq=False, repr=False)
class MessagePicked(ConversationMessage):
    """A message was chosen, to do something with it."""

    turn: Turn


@dataclass(eq=False, repr=False)
class CodeCopied(ConversationMessage):
    """The code block at `offset` of a message is to be copied."""

    turn: Turn
    offset: int
