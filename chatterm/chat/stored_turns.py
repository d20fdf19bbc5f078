"""Turns and tokens between the engine's messages and the library's records: the same fields, other types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from chatterm.chat.turns import Ending, Turn
from chatterm.engine.messages import TokenEvent
from chatterm.library import Candidate as StoredCandidate
from chatterm.library import Message, Token
from chatterm.library import Removal as StoredRemoval
from chatterm.records.generation import Candidate, Distribution, Removal

_ENDINGS: dict[str, Ending] = {
    "stopped": "stopped",
    "length": "length",
    "context": "context",
    "failed": "broken",
    "interrupted": "interrupted",
}
FINISH: dict[Ending, Literal["end", "stop", "stopped", "length", "context", "failed"]] = {
    "end": "end",
    "stop": "stop",
    "stopped": "stopped",
    "length": "length",
    "context": "context",
    "broken": "failed",
    "interrupted": "failed",
}
"""How the library calls the end of a reply."""


def to_stored(events: Iterable[TokenEvent]) -> list[Token]:
    """Token events as the library keeps them."""
    return [
        Token(
            id=event.id,
            text=event.text,
            position=event.distribution.position,
            logprob=event.logprob,
            rank=event.rank,
            sampled=event.sampled,
            entropy=event.distribution.entropy,
            temperature=event.temperature,
            kept=event.distribution.kept,
            removed=tuple(StoredRemoval(r.step, r.tokens, r.mass) for r in event.distribution.removed),
            candidates=tuple(
                StoredCandidate(c.id, c.text, c.logprob, c.rank, c.sampled, c.removed_by)
                for c in event.distribution.candidates
            ),
        )
        for event in events
    ]


def from_stored(message: Message) -> Turn:
    """A saved message as a turn, its token records still unread."""
    return Turn(
        "user" if message.role == "user" else "assistant",
        message.content,
        model=message.model or "",
        sampling=message.sampling,
        finish=_ENDINGS.get(message.status),
        number=message.id,
        conversation=message.conversation,
        sibling=message.sibling,
        siblings=message.siblings,
        unread=message.tokens,
        left_out=message.left_out,
        quotes_left_out=message.attachments_left_out,
        raw=message.raw_prompt is not None,
        prompt=message.raw_prompt or (),
        placed=message.placed,
    )


def add_records(turn: Turn, tokens: Sequence[Token]) -> None:
    """Give a saved turn the records of its tokens."""
    turn.unread = 0
    turn.starts = [token.start for token in tokens]
    turn.tokens = [_event(token) for token in tokens]


def _event(token: Token) -> TokenEvent:
    return TokenEvent(
        request=0,
        id=token.id,
        text=token.text,
        logprob=token.logprob,
        rank=token.rank,
        sampled=token.sampled,
        temperature=token.temperature,
        distribution=Distribution(
            position=token.position,
            entropy=token.entropy,
            kept=token.kept,
            removed=tuple(Removal(r.step, r.tokens, r.mass) for r in token.removed),
            candidates=tuple(
                Candidate(c.id, c.text, c.logprob, c.rank, c.sampled, c.removed_by) for c in token.candidates
            ),
        ),
    )
