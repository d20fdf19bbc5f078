"""What is on the screen as the library would keep it, where the library itself cannot be written to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from chatterm.chat.stored_turns import FINISH, to_stored
from chatterm.chat.turns import Turn
from chatterm.library import Library
from chatterm.library.exchange import Whole


async def shown(turns: Sequence[Turn], *, model: str, system_prompt: str) -> Whole:
    """The conversation that `turns` are: one walk, without the branches beside it."""
    return await asyncio.to_thread(_copied, tuple(turns), model, system_prompt)


def _copied(turns: tuple[Turn, ...], model: str, system_prompt: str) -> Whole:
    with Library.in_memory() as library:
        conversation = library.create(model=model or None, system_prompt=system_prompt).id
        parent: int | None = None
        for turn in turns:
            if turn.role == "user":
                parent = library.add_message(conversation, parent, "user", turn.text).id
            elif turn.role == "assistant" and turn.text:
                reply = library.begin_reply(
                    conversation, parent, model=turn.model, sampling=turn.sampling, raw_prompt=None
                ).id
                spoken = turn.span(len(turn.tokens) - 1)[1] if turn.tokens else 0
                library.extend_reply(reply, to_stored(turn.tokens), turn.text[spoken:])
                library.finish_reply(reply, FINISH[turn.finish or "stopped"])
                parent = reply
        return library.whole(conversation)
