"""A saved conversation of many messages, each reply with the records of all its tokens."""

from __future__ import annotations

from pathlib import Path

from benchmarks.interface.fast_engine import token
from chatterm.chat.stored_turns import to_stored
from chatterm.library import Library
from chatterm.sampling import SamplingParameters

TOKENS_PER_REPLY = 60
LAST_WORDS = "the very last words"


def write(path: Path, messages: int) -> None:
    """Write a library with one conversation of that many messages."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tokens = to_stored(token(0, index, last=False) for index in range(TOKENS_PER_REPLY))
    with Library(path) as library:
        conversation = library.create(model="Metronome").id
        parent: int | None = None
        for number in range(0, messages, 2):
            question = library.add_message(conversation, parent, "user", f"Question {number} of many.")
            reply = library.begin_reply(
                conversation, question.id, model="Metronome", sampling=SamplingParameters()
            )
            last = number + 2 >= messages
            library.finish_reply(
                reply.id,
                "end",
                tokens=tokens,
                text=f" {LAST_WORDS}" if last else f" That was answer {number + 1}.",
            )
            parent = reply.id
