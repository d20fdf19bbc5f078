"""How the list of conversations, a chosen message, its editor and the tree look."""

from __future__ import annotations

import pytest
from conftest import Chat
from scripted_model import CHINESE, HAIKU
from test_snapshots import SIZES, THEMES, compare

from chatterm.tui.dialogs.tree import TreeScreen


async def talk(chat: Chat) -> None:
    """Two conversations, the second one with two ways through it."""
    chat.knobs.replies = [CHINESE, HAIKU, HAIKU, CHINESE]
    await chat.ask("苹果是水果吗？请用一句话回答，并说明为什么它是水果而不是蔬菜")
    await chat.press("ctrl+n")
    await chat.ask("Write a haiku about the sea.")
    await chat.ask("And the mirror in the hall?")
    before = chat.session.last_reply
    await chat.press("ctrl+r")
    await chat.until(lambda: chat.session.last_reply is not before and chat.session.live is None)
    await chat.until(lambda: chat.session.keeper.state != "saving")


async def conversations(chat: Chat) -> None:
    await talk(chat)
    await chat.press("f9")
    await chat.until(lambda: chat.app.chat.widgets.sidebar.entries.rows == 3)
    await chat.press("down")


async def searching(chat: Chat) -> None:
    await talk(chat)
    await chat.press("alt+q", *"mirror")
    await chat.until(lambda: chat.app.chat.widgets.sidebar.entries.rows == 4)
    await chat.press("down")


async def message(chat: Chat) -> None:
    await talk(chat)
    await chat.press("alt+m", "up")


async def editor(chat: Chat) -> None:
    await message(chat)
    await chat.press("e")
    chat.app.screen.query_one("Words").cursor_blink = False


async def tree(chat: Chat) -> None:
    await talk(chat)
    await chat.press("alt+t")
    await chat.until(lambda: isinstance(chat.app.screen, TreeScreen))


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize(
    "scene", [conversations, searching, message, editor, tree], ids=lambda scene: scene.__name__
)
def test_look_of_conversations(scene, size, snap_compare, monkeypatch):
    theme = THEMES[size == SIZES["200x60"]]  # one size dark, the other light
    assert compare(scene, size, theme, snap_compare, monkeypatch)
