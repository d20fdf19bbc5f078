"""The conversation that `chatterm ask` goes on with, and saving what is said in it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from chatterm.chat.stored_turns import from_stored, to_stored
from chatterm.chat.turns import chat_of
from chatterm.engine.messages import Finished, TokenEvent
from chatterm.library import Library, Timing
from chatterm.records.generation import Message
from chatterm.sampling import SamplingParameters

FLUSH_SECONDS = 1.0
"""A growing reply is on disk at most this long after each token."""


class Talk:
    """A saved conversation, or one that begins.

    Args:
        library: where it is; None: nothing is saved.
        conversation: its number; None: it begins with the first question.
    """

    def __init__(self, library: Library | None, conversation: int | None) -> None:
        self._library = library
        self._reply: int | None = None
        self._stored = 0
        self._flushed = 0.0
        self._parent: int | None = None
        self.conversation = conversation
        self.said: tuple[Message, ...] = ()
        self.system_prompt: str | None = None
        self.sampling: SamplingParameters | None = None

    @classmethod
    def resume(cls, library: Library, conversation: int, *, save: bool) -> Talk:
        """Go on with a conversation where it was left.

        Raises:
            UserError: there is no such conversation.
        """
        opened = library.open(conversation)
        talk = cls(library if save else None, conversation)
        turns = [from_stored(message) for message in opened.path if message.role != "system"]
        talk.said = chat_of(turns, "").messages  # without what the user chose not to send
        talk.system_prompt = opened.conversation.system_prompt
        talk.sampling = opened.conversation.sampling
        talk._parent = opened.path[-1].id if opened.path else None
        return talk

    def ask(self, question: str, model: str, system_prompt: str, sampling: SamplingParameters) -> None:
        """Save the question and begin the reply to it.

        Raises:
            UserError: it cannot be saved.
        """
        if self._library is None:
            return
        if self.conversation is None:
            self.conversation = self._library.create(
                model=model, system_prompt=system_prompt, sampling=sampling
            ).id
        else:
            self._library.configure(
                self.conversation, model=model, system_prompt=system_prompt, sampling=sampling
            )
        asked = self._library.add_message(self.conversation, self._parent, "user", question)
        self._reply = self._library.begin_reply(
            self.conversation, asked.id, model=model, sampling=sampling
        ).id

    def grew(self, tokens: Sequence[TokenEvent]) -> None:
        """Save the tokens so far, if it is time to."""
        if self._library is None or self._reply is None or time.monotonic() - self._flushed < FLUSH_SECONDS:
            return
        self._library.extend_reply(self._reply, to_stored(tokens[self._stored :]))
        self._stored, self._flushed = len(tokens), time.monotonic()

    def finished(self, tokens: Sequence[TokenEvent], end: Finished) -> None:
        """Save the end of the reply."""
        if self._library is None or self._reply is None:
            return
        timing = msgspec.convert(end.timing, Timing, from_attributes=True)
        rest = to_stored(tokens[self._stored :])
        self._library.finish_reply(self._reply, end.reason, tokens=rest, text=end.text, timing=timing)
        self._reply = None

    def broken_off(self, tokens: Sequence[TokenEvent], *, stopped: bool) -> None:
        """Save what there is of a reply that the user stopped or that failed; nothing after `finished`."""
        if self._library is None or self._reply is None:
            return
        rest = to_stored(tokens[self._stored :])
        self._library.finish_reply(self._reply, "stopped" if stopped else "failed", tokens=rest)
        self._reply = None
