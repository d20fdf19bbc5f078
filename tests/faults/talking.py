"""A conversation over a library in any state: the interface with a scripted engine, or the whole program."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from chatterm.library import AsyncLibrary, Library
from tests.e2e.terminal import Terminal
from tests.faults.sentences import check_sentence
from tests.tui import conftest as interface

QUESTION = "Is anybody there?"
PATIENCE = 180.0
"""Seconds after which something is said never to come; a loaded machine takes its time."""


@dataclass(frozen=True)
class Talk:
    """What came of it.

    Attributes:
        state: what the status line said of saving.
        notices: the sentences on the screen.
        reply: what was answered.
    """

    state: str
    notices: tuple[str, ...]
    reply: str


def talk(path: Path) -> Talk:
    """Ask one question in the interface, read the answer, leave; what was shown as saved must be saved."""
    interface.PATIENCE = PATIENCE
    talked = asyncio.run(_talk(path))
    for notice in talked.notices:
        check_sentence(notice)
    assert len(set(talked.notices)) == len(talked.notices), f"said twice: {talked.notices}"
    assert talked.reply, "there was no answer"
    if talked.state == "saved":
        with Library(path) as library:
            last = library.last_conversation()
            assert last is not None, "nothing was saved"
            found = [message.content for message in library.open(last.id).path]
        assert found == [QUESTION, talked.reply], f"shown as saved, and on the disk is {found}"
    else:
        assert talked.state == "not saved" and talked.notices, f"{talked.state!r}, and said {talked.notices}"
    return talked


async def _talk(path: Path) -> Talk:
    knobs = interface.Knobs()
    open_library = partial(AsyncLibrary.open_library, path, or_in_memory=True)
    app = interface.make_app(knobs, library=open_library)
    async with app.run_test(size=(170, 36)) as pilot:
        chat = interface.Chat(app, pilot, knobs)
        reply = await chat.ask(QUESTION)
        await chat.until(lambda: app.session.keeper.state in ("saved", "not saved"))
        state = app.session.keeper.state
        await chat.until(lambda: state in chat.text())
        text, notices = reply.text, tuple(chat.notices())
        await app.session.close()
    return Talk(state, notices, text)


def talk_in_a_terminal(folder: Path) -> str:
    """The same with the whole program and the default model, at a terminal; what it said of saving.

    Everything it keeps is below `folder`, the conversations in `data`.
    """
    (folder / "config").mkdir()
    (folder / "config" / "config.toml").write_text("[sampling]\ntemperature = 0.0\n")
    chat = Terminal([], folder, 170, 40)
    try:
        chat.wait("context ▕", PATIENCE)  # a sentence about saving may have taken the place of the welcome
        chat.type("What is the capital of France?")
        chat.wait("What is the capital of France?", PATIENCE)
        chat.press("enter")
        chat.wait("Paris", PATIENCE)
        screen = chat.wait(lambda text: " saved " in f"{text} " and "esc stop" not in text, PATIENCE)
        chat.press("ctrl+q")
        assert chat.end(PATIENCE) == 0, "it did not leave in order"
    finally:
        chat.process.close(force=True)
    assert "Traceback" not in screen
    return "not saved" if "not saved" in screen else "saved"
