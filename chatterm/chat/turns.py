"""The conversation as the screen holds it: turns, and the tokens that a reply is made of."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from msgspec import structs

from chatterm import quoting
from chatterm.engine.messages import TokenEvent
from chatterm.records.generation import Chat, Finish, Message, Tokens
from chatterm.records.inspection import ScoredToken
from chatterm.sampling import SamplingParameters

Ending = Finish | Literal["broken", "interrupted"]
"""Why a reply ended; `broken`: the engine failed in the middle, `interrupted`: the whole program did."""

USUAL_MARKERS = ("<think>", "</think>")


class ReadToken(Protocol):
    """A token that the model wrote (`TokenEvent`) or was given (`ScoredToken`). Numbers may be unknown."""

    @property
    def id(self) -> int: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def logprob(self) -> float | None: ...  # noqa: D102
    @property
    def rank(self) -> int | None: ...  # noqa: D102
    @property
    def entropy(self) -> float | None: ...  # noqa: D102


@dataclass(slots=True, eq=False)
class Turn:
    """One turn: what the user or the model said, or a sentence of chatterm's own (`notice`).

    A reply has `tokens`, the record of how each was chosen. What the user said has `given` tokens, once the
    engine has been asked how it is cut. All that the model reads, template and all, is a turn of the role
    `context`, whose text is the tokens as they are shown.
    """

    role: Literal["user", "assistant", "notice", "context"]
    text: str = ""
    model: str = ""
    tokens: list[TokenEvent] = field(default_factory=list)
    given: list[ScoredToken] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)  # of each token in `text` …
    ends: list[int] = field(default_factory=list)  # … and of each given one its end
    prompt: tuple[int, ...] = ()  # the tokens in front of the reply, where this session knows them
    sampling: SamplingParameters | None = None  # with which the reply began
    finish: Ending | None = None
    live: bool = False
    thinking: bool = False  # the reply began inside a thinking block
    markers: tuple[str, str] = USUAL_MARKERS  # what opens and closes thinking
    number: int | None = None  # in the library …
    conversation: int | None = None  # … and of its conversation
    stored: int = 0  # of its tokens, how many this session has put there
    sibling: int = 1  # which of the replies to the same message this is, from 1
    siblings: int = 1
    unread: int = 0  # records of its tokens that are in the library and not here yet
    origin: Turn | None = None  # the reply that this one was forked from …
    kept: int = 0  # … the tokens that it has from there …
    placed: tuple[tuple[int, int], ...] = ()  # tokens that the user put there: first, and behind the last
    left_out: bool = False  # the user chose not to send it to the model …
    quotes_left_out: bool = False  # … or not the texts that were attached to it
    raw: bool = False  # the reply answers a prompt that the user edited as raw text
    goes_on: bool = False  # it is `origin` itself, which goes on where it ended
    edited: Turn | None = None  # the message of which this one has other words
    instead: Turn | None = None  # nothing came of this reply: what follows it follows this turn
    unfolded: set[int] = field(default_factory=set)  # which of the texts attached to it are shown whole
    quote_tokens: tuple[int, ...] = ()  # of each of them, where they were counted

    @property
    def seen(self) -> Sequence[ReadToken]:
        """The tokens that one can walk over."""
        return self.tokens or self.given

    def add(self, event: TokenEvent) -> None:
        """One token more."""
        self.starts.append(len(self.text))
        self.tokens.append(event)
        self.text += event.text

    def span(self, index: int) -> tuple[int, int]:
        """Where token `index` stands in `text`; empty for a token that brought no text."""
        start = self.starts[index]
        return start, self.ends[index] if self.ends else start + len(self.tokens[index].text)

    def token_at(self, offset: int) -> int | None:
        """The token that brought the character at `offset`; None where no token record exists."""
        index = bisect_right(self.starts, offset) - 1
        if index < 0 or offset >= self.span(index)[1]:
            return None
        return index

    def ids(self, upto: int | None = None) -> tuple[int, ...]:
        """The token ids of the turn, or of its first `upto`."""
        return tuple(token.id for token in self.seen[:upto])

    def piece(self, index: int) -> str:
        """Token `index` alone, as the tokenizer has it: an increment may be empty or hold several."""
        token = self.seen[index]
        if isinstance(token, TokenEvent):
            return next((c.text for c in token.distribution.candidates if c.id == token.id), token.text)
        return token.text

    def answers_raw(self, model: str) -> bool:
        """Whether it answers raw text, in tokens of that model."""
        return self.raw and bool(self.prompt) and self.model == model

    @property
    def sent(self) -> str:
        """What of `text` the model gets."""
        if self.left_out:
            return ""
        return quoting.split(self.text)[1] if self.quotes_left_out else self.text

    @property
    def chosen(self) -> int:
        """How many tokens behind those of `origin` the user put there."""
        return next((end - start for start, end in self.placed if start == self.kept), 0)

    def put_there(self, index: int) -> bool:
        """Whether token `index` was put there by the user."""
        return any(start <= index < end for start, end in self.placed)

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


def saved_before(turn: Turn | None) -> Turn | None:
    """The turn under which what follows `turn` is saved: a reply of which nothing came is passed over."""
    while turn is not None and turn.number is None and turn.instead is not None:
        turn = turn.instead
    return turn


def chat_of(turns: list[Turn], system_prompt: str) -> Chat:
    """What the model is asked to answer: the turns up to the last message of the user.

    Notices are chatterm's own and left out, and so are empty replies and what the user chose not to send;
    messages of the user that follow each other become one: most templates want the roles to alternate.
    """
    messages = [Message("system", system_prompt)] if system_prompt.strip() else []
    for turn in read_by_model(turns):
        if turn.role == "user" and messages and messages[-1].role == "user":
            messages[-1] = Message("user", f"{messages[-1].content}\n\n{turn.sent}")
        else:
            messages.append(Message("user" if turn.role == "user" else "assistant", turn.sent))
    return Chat(tuple(messages))


def asked_for(
    turn: Turn, turns: list[Turn], system_prompt: str, begun: tuple[int, ...] = ()
) -> Chat | Tokens:
    """What the model is given to write `turn`, which begins with `begun`, behind `turns`."""
    if turn.raw:
        return Tokens(turn.prompt, begun)
    return structs.replace(chat_of(turns, system_prompt), begun=begun)


def read_by_model(turns: Sequence[Turn]) -> list[Turn]:
    """The turns that are sent: no notices, nothing empty or left out, no reply without its message."""
    found: list[Turn] = []
    for turn in turns:
        is_said = turn.role in ("user", "assistant") and turn.sent.strip()
        if is_said and (turn.role == "user" or (found and found[-1].role == "user")):
            found.append(turn)
    return found
