"""The conversation as the screen holds it: turns, and the tokens that a reply is made of."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Literal

from chatterm.engine.messages import TokenEvent
from chatterm.engine.records import Chat, Finish, Message
from chatterm.sampling import SamplingParameters

Ending = Finish | Literal["broken"]
"""Why a reply ended; `broken`: the engine failed in the middle."""

USUAL_MARKERS = ("<think>", "</think>")


@dataclass(slots=True, eq=False)
class Turn:
    """One turn: what the user or the model said, or a sentence of chatterm's own (`notice`)."""

    role: Literal["user", "assistant", "notice"]
    text: str = ""
    model: str = ""
    tokens: list[TokenEvent] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)  # of each token in `text`
    prompt: tuple[int, ...] = ()  # the tokens in front of the reply, where this session knows them
    sampling: SamplingParameters | None = None  # with which the reply began
    finish: Ending | None = None
    live: bool = False
    thinking: bool = False  # the reply began inside a thinking block
    markers: tuple[str, str] = USUAL_MARKERS  # what opens and closes thinking
    number: int | None = None  # in the library …
    conversation: int | None = None  # … and of its conversation
    sibling: int = 1  # which of the replies to the same message this is, from 1
    siblings: int = 1
    unread: int = 0  # records of its tokens that are in the library and not here yet

    def add(self, event: TokenEvent) -> None:
        """One token more."""
        self.starts.append(len(self.text))
        self.tokens.append(event)
        self.text += event.text

    def span(self, index: int) -> tuple[int, int]:
        """Where token `index` stands in `text`; empty for a token that brought no text."""
        start = self.starts[index]
        return start, start + len(self.tokens[index].text)

    def token_at(self, offset: int) -> int | None:
        """The token that brought the character at `offset`; None where no token record exists."""
        index = bisect_right(self.starts, offset) - 1
        if index < 0 or offset >= self.span(index)[1]:
            return None
        return index

    def ids(self, upto: int | None = None) -> tuple[int, ...]:
        """The token ids of the reply, or of its first `upto`."""
        return tuple(token.id for token in self.tokens[:upto])

    @property
    def thought(self) -> tuple[int, int] | None:
        """Where in `text` the thinking stands, its markers included; None where there is none."""
        opens, closes = self.markers
        if self.role != "assistant" or not (self.thinking or self.text.lstrip().startswith(opens)):
            return None
        end = self.text.find(closes)
        return 0, len(self.text) if end < 0 else end + len(closes)


def question_of(turns: list[Turn], turn: Turn) -> Turn | None:
    """The turn that `turn` follows; notices do not count."""
    before = turns[: turns.index(turn)] if turn in turns else turns
    return next((other for other in reversed(before) if other.role != "notice"), None)


def chat_of(turns: list[Turn], system_prompt: str) -> Chat:
    """What the model is asked to answer: the turns up to the last message of the user.

    Notices are chatterm's own and left out, and so are empty replies; messages of the user that follow each
    other become one, because most templates want the roles to alternate.
    """
    messages = [Message("system", system_prompt)] if system_prompt.strip() else []
    for turn in turns:
        if turn.role == "notice" or not turn.text.strip():
            continue
        if turn.role == "user" and messages and messages[-1].role == "user":
            messages[-1] = Message("user", f"{messages[-1].content}\n\n{turn.text}")
        elif turn.role == "assistant" and (not messages or messages[-1].role != "user"):
            continue
        else:
            messages.append(Message(turn.role, turn.text))
    return Chat(tuple(messages))
