"""Take the pictures of the documentation from real runs: `.venv/bin/python docs/pictures/take.py [NAME …]`.

The real default model answers with a fixed seed; nothing is posed. Pictures are SVGs that Textual exports.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

HERE = Path(__file__).parent
SEA = "Write three lines about the sea."
POLAND = "What is the capital of Poland?"

SCENES: dict[str, tuple[str, str, list[str]]] = {
    # name: theme, question, keys after the reply
    "chat-dark": ("chatterm-dark", SEA, ["f2", *["left"] * 11]),
    "chat-light": ("chatterm-light", SEA, ["f2", *["left"] * 11]),
    "colours": ("chatterm-dark", SEA, ["alt+s", "f2", *["left"] * 11]),
    "candidates": ("chatterm-dark", SEA, ["f2", *["left"] * 11, "enter", "down", "down"]),
    "continuations": ("chatterm-dark", SEA, ["f2", *["left"] * 11, "alt+c"]),
    "ranks": ("chatterm-dark", SEA, ["f2", *["left"] * 11, "alt+p"]),
    "lens": ("chatterm-dark", POLAND, ["f2", "left", "left", "alt+2"]),
    "lens-grid": ("chatterm-dark", POLAND, ["f2", "left", "left", "alt+2", "alt+0", "g"]),
    "attention": ("chatterm-dark", POLAND, ["f2", "left", "left", "alt+3", "alt+0", "m"]),
    "contributions": ("chatterm-dark", POLAND, ["f2", "left", "left", "alt+4", "alt+4", "r"]),
    "neurons": ("chatterm-dark", POLAND, ["f2", "left", "left", "alt+5"]),
    "neighbours": ("chatterm-dark", POLAND, ["f2", "left", "left", "alt+6"]),
    "edits": ("chatterm-dark", POLAND, ["f2", "left", "left", "alt+4", "alt+4", "o", "alt+7"]),
    "compare": (
        "chatterm-dark",
        POLAND,
        ["f2", "left", "left", "alt+4", "alt+4", "o", "alt+7", "alt+7", "c"],
    ),
}


async def wait_until(pilot: Pilot[int], holds: Callable[[], bool], seconds: float = 120) -> None:
    """Let the program run until something is true of it."""
    for _ in range(int(seconds * 20)):
        await pilot.pause(0.05)
        if holds():
            return
    raise TimeoutError("the program did not get there")


async def take(name: str) -> None:
    """A question answered, then some keys, then the picture."""
    from chatterm.settings import Settings
    from chatterm.tui.app import ChattermApp
    from chatterm.tui.widgets.composer import Composer
    from chatterm.tui.widgets.inspector import Inspector

    theme, question, keys = SCENES[name]
    temperature = 0.8 if question == SEA else 0.0
    app = ChattermApp(Settings(theme=theme, sampling={"temperature": temperature, "seed": 8}))
    async with app.run_test(size=(120, 38)) as pilot:
        session = app.session
        inspecting = app.screen.query_one(Inspector).inspecting
        await wait_until(pilot, lambda: session.info is not None)
        app.screen.query_one(Composer).text = question
        await pilot.press("enter")
        await wait_until(pilot, lambda: len(session.turns) == 2 and session.turns[1].finish is not None)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.3)
            await wait_until(pilot, lambda: inspecting.idle)
        await pilot.pause(8 if name in ("continuations", "compare") else 2)
        (HERE / f"{name}.svg").write_text(app.export_screenshot(title="chatterm"), "utf-8")


async def main(names: list[str]) -> None:
    """Take them all, each with a library of its own."""
    for name in names or SCENES:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["CHATTERM_DATA"] = folder
            os.environ["CHATTERM_CONFIG"] = folder
            await take(name)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
