"""What the transcript shows: the conversation as it is said, or all that the model reads, as one turn."""

from __future__ import annotations

from chatterm.chat.prompt_tokens import catch_up
from chatterm.chat.session import ChatSession
from chatterm.chat.turns import Turn
from chatterm.tui.widgets.transcript import Transcript


class VisibleTurns:
    """Chooses between the two, and finds a token of one in the other."""

    def __init__(self, session: ChatSession, transcript: Transcript) -> None:
        self._session = session
        self._transcript = transcript
        self._context: Turn | None = None  # shown in place of the conversation

    @property
    def turns(self) -> list[Turn]:
        """The turns in sight."""
        return [self._context] if self._context is not None else self._session.turns

    @property
    def is_context(self) -> bool:
        """Whether all that the model reads is shown."""
        return self._context is not None

    def show_context(self, context: Turn) -> None:
        """Show all that the model reads."""
        self._context = context
        self.show()

    def show_conversation(self) -> None:
        """Show the conversation as it is said."""
        self._context = None
        self.show()

    def show(self) -> None:
        """Give the transcript what is to be seen."""
        self._transcript.show(self.turns)

    def forget_context(self) -> None:
        """Another conversation, or another turn: from the next drawing on it is shown as it is said."""
        self._context = None

    def grow_context(self) -> None:
        """The reply at the end of what the model reads has grown."""
        if self._context is not None and self._context.origin is not None:
            catch_up(self._context)
            self._transcript.grew(self._context)

    def place_of(self, turn: Turn, index: int) -> tuple[Turn, int] | None:
        """Where a token stands in what is shown now; None if it does not."""
        context = self._context
        if turn in self.turns:
            return turn, index
        if context is not None:
            self.grow_context()  # a token that has just come is not drawn yet
            if turn is not context.origin and not turn.prompt:
                return None  # what stood before it is not known
            place = (context.kept if turn is context.origin else len(turn.prompt)) + index
            is_there = place < len(context.given) and context.given[place].id == turn.seen[index].id
            return (context, place) if is_there else None
        for other in self._session.turns:
            first = len(other.prompt)
            if other.given and first <= index < first + len(other.given):
                return other, index - first
        return None
