"""How the views of the glass box look: pictures that are compared (`pytest --snapshot-update` draws anew)."""

from __future__ import annotations

import re

import pytest
from conftest import Chat
from test_snapshots import compare

from chatterm.tui.widgets.inspector import Inspector

MIDDLE = (120, 40)


async def view(chat: Chat, key: str, *pressed: str) -> None:
    await chat.ask()
    await chat.press("f2", "left", "left", "left", "left")
    chat.app.chat.action_open_view(key)
    inspector = chat.app.chat.query_one(Inspector)
    await chat.until(lambda: inspector.view.size.height > 0)
    inspector.view.focus()
    for name in pressed:
        await settled(chat)
        await chat.press(name)
    await settled(chat)


async def settled(chat: Chat) -> None:
    inspector = chat.app.chat.query_one(Inspector)
    await chat.pilot.pause()
    await chat.until(lambda: inspector.inspecting.idle and not inspector.edits.pending)
    await chat.pilot.pause()


async def lens(chat: Chat) -> None:
    await view(chat, "lens", "down", "down")


async def lens_grid(chat: Chat) -> None:
    await view(chat, "lens", "f10", "g", "down")


async def attention(chat: Chat) -> None:
    await view(chat, "attention", "right", "right", "down")


async def attention_map(chat: Chat) -> None:
    await view(chat, "attention", "right", "down", "h")


async def attention_patterns(chat: Chat) -> None:
    await view(chat, "attention", "f10", "p")


async def contributions(chat: Chat) -> None:
    await view(chat, "contributions", "r", "down")


async def neurons(chat: Chat) -> None:
    await view(chat, "neurons", "down")


async def embeddings(chat: Chat) -> None:
    await view(chat, "embeddings", "a", *"king", "enter", *"man", "enter", *"woman", "enter")
    panel = chat.app.chat.query_one(Inspector).view
    panel.words = ("sea", "sky", "moon", "tide", "苹果")
    panel.ask()
    await settled(chat)


async def edits(chat: Chat) -> None:
    await view(chat, "edits")
    inspector = chat.app.chat.query_one(Inspector)
    for layer, on in ((7, True), (12, False)):
        from chatterm.records.inspection import ScaleBlock, ScaleHead

        inspector.edits.add(ScaleHead(layer, 3) if on else ScaleBlock(layer, 0.5))
        if not on:
            inspector.edits.flip(1)
    inspector.view.action_move(1, 0)
    await settled(chat)
    await chat.until(lambda: "✎" in chat.text())
    inspector.view.redraw()


async def clean_and_edited(chat: Chat) -> None:
    await edits(chat)
    await chat.press("c")
    await chat.until(lambda: re.search(r"KL .* nat", chat.text()))


async def self_check(chat: Chat) -> None:
    await chat.ready()
    chat.app.chat.action_self_check()
    await chat.until(lambda: "do not hold" in chat.text() or "不成立" in chat.text())


SCENES = (lens, attention, contributions, neurons, embeddings, edits)
MORE = (lens_grid, attention_map, attention_patterns, clean_and_edited, self_check)


@pytest.fixture(autouse=True)
def _shades(monkeypatch):
    """The same picture whatever the terminal that the tests run in."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("chatterm.tui.widgets.glass.shades.is_plain", lambda app: False)


@pytest.mark.parametrize("scene", (*SCENES, *MORE), ids=lambda scene: scene.__name__)
def test_look_of_a_view(scene, snap_compare, monkeypatch):
    assert compare(scene, MIDDLE, "chatterm-dark", snap_compare, monkeypatch)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_look_of_a_view_in_a_small_terminal(scene, snap_compare, monkeypatch):
    assert compare(scene, (80, 24), "chatterm-light", snap_compare, monkeypatch)


@pytest.mark.parametrize("scene", (attention_map, lens_grid), ids=lambda scene: scene.__name__)
def test_look_without_shades(scene, snap_compare, monkeypatch):
    monkeypatch.setattr("chatterm.tui.widgets.glass.shades.is_plain", lambda app: True)
    assert compare(scene, MIDDLE, "chatterm-dark", snap_compare, monkeypatch)
