"""How the views of tokens look: candidates, colours, what the model reads, continuations, the plot."""

from __future__ import annotations

import pytest
from conftest import Chat
from scripted_model import CHINESE, HAIKU
from test_snapshots import SIZES, THEMES, compare


async def choosing(chat: Chat) -> None:
    await chat.ask("苹果是水果吗？ 🙂")
    await chat.press("f2", "left", "left", "left", "enter")
    await chat.until(lambda: chat.app.chat.query_one("NextTokenPanel").has_focus)
    await chat.press("down", "down")


async def coloured(chat: Chat) -> None:
    chat.knobs.replies = [[*CHINESE, "\n", *HAIKU]]
    await chat.ask("苹果是水果吗？ 🙂")
    await chat.press("alt+s", "alt+s", "alt+s")
    await chat.until(lambda: chat.session.turns[0].given)
    await chat.pilot.pause(0.1)


async def what_it_reads(chat: Chat) -> None:
    await chat.ask("Is <0xE4> 苹果 🙂 fruit?")
    await chat.press("ctrl+l")
    await chat.until(lambda: "what Scripted-135M reads" in chat.transcript())
    await chat.press("f2", "left", "left")


async def several(chat: Chat) -> None:
    chat.knobs.replies = [HAIKU, [*HAIKU[:4], *CHINESE, "\n", *HAIKU]]
    await chat.ask()
    await chat.press("f2", "home", "right", "right", "right", "right", "alt+c")
    await chat.until(lambda: not getattr(chat.app.screen, "busy", True))
    await chat.press("right")


async def plot(chat: Chat) -> None:
    await chat.ask()
    await chat.press("f2", "left", "alt+p")
    await chat.until(lambda: "slope" in chat.text() or "斜率" in chat.text())


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize(
    "scene", [choosing, coloured, what_it_reads, several, plot], ids=lambda scene: scene.__name__
)
def test_look_of_tokens(scene, size, snap_compare, monkeypatch):
    theme = THEMES[size == SIZES["200x60"]]  # one size dark, the other light
    assert compare(scene, size, theme, snap_compare, monkeypatch)
