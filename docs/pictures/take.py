"""Take the pictures of the documentation from real runs: `.venv/bin/python docs/pictures/take.py`.

The real default model answers with a fixed seed; nothing is posed. Pictures are SVGs that Textual exports.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

HERE = Path(__file__).parent
QUESTION = "Write three lines about the sea."


async def wait_until(pilot: Pilot[int], holds: Callable[[], bool], seconds: float = 40) -> None:
    """Let the program run until something is true of it."""
    for _ in range(int(seconds * 20)):
        await pilot.pause(0.05)
        if holds():
            return
    raise TimeoutError("the program did not get there")


async def chat(theme: str, name: str, temperature: float) -> None:
    """A question answered, and a word of the answer looked at."""
    from chatterm.settings import Settings
    from chatterm.tui.app import ChattermApp
    from chatterm.tui.widgets.composer import Composer

    sampling = {"temperature": temperature, "seed": 8}
    app = ChattermApp(Settings(theme=theme, sampling=sampling))
    async with app.run_test(size=(120, 34)) as pilot:
        session = app.session
        await wait_until(pilot, lambda: session.info is not None)
        app.screen.query_one(Composer).text = QUESTION
        await pilot.press("enter")
        await wait_until(pilot, lambda: len(session.turns) == 2 and session.turns[1].finish is not None)
        await pilot.press("f2", *["left"] * 11)
        await pilot.pause(1)
        (HERE / name).write_text(app.export_screenshot(title="chatterm"), "utf-8")


async def main() -> None:
    """Take them all, with a library of their own."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CHATTERM_DATA"] = folder
        os.environ["CHATTERM_CONFIG"] = folder
        await chat("chatterm-dark", "chat-dark.svg", 0.8)
        await chat("chatterm-light", "chat-light.svg", 0.8)


if __name__ == "__main__":
    asyncio.run(main())
