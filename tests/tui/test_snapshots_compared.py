"""How two models side by side look, the help of that screen, and a message with attachments folded."""

from __future__ import annotations

import pytest
from conftest import Chat
from scripted_model import HAIKU
from test_snapshots import SIZES, compare

from chatterm.tui.dialogs.help import HelpScreen
from chatterm.tui.dialogs.models_compared import ModelsScreen

OTHER = ["The", " ocean", "'s", " song", ",", "\n", " calls", " home", "."]
NAMED = (
    "说明 书.txt:\n\n```txt\n一 二\n三 四\n```\n\n"
    "notes.md:\n\n```md\n# Title\n\none two\n```\n\n苹果是水果吗？"
)


async def compared(chat: Chat) -> None:
    await chat.ask("Write a haiku about 海.")
    chat.knobs.replies = [HAIKU, OTHER]
    chat.app.chat.comparisons.compare_with("/models/Scripted-1B.gguf")
    await chat.until(lambda: isinstance(chat.app.screen, ModelsScreen))
    screen = chat.app.screen
    await chat.until(lambda: all(side.turn.finish for side in screen._comparison.sides))
    await chat.press("d")
    await chat.until(lambda: "song" in chat.text())


async def explained(chat: Chat) -> None:
    await compared(chat)
    await chat.press("f1")
    await chat.until(lambda: isinstance(chat.app.screen, HelpScreen))


async def folded(chat: Chat) -> None:
    await chat.ready()
    chat.session.send(NAMED)
    await chat.until(lambda: chat.session.last_reply is not None and chat.session.live is None)
    await chat.until(lambda: len(chat.session.turns[0].quote_tokens) == 2)
    chat.app.chat.widgets.transcript.flip_attachments(chat.session.turns[0], 1)
    await chat.until(lambda: "one two" in chat.transcript())


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("scene", (compared, explained, folded), ids=lambda scene: scene.__name__)
def test_look_of_comparing_and_folding(scene, size, snap_compare, monkeypatch):
    assert compare(scene, size, "chatterm-dark", snap_compare, monkeypatch)


@pytest.mark.parametrize("scene", (compared, explained, folded), ids=lambda scene: scene.__name__)
def test_look_of_comparing_and_folding_in_chinese(scene, snap_compare, monkeypatch):
    from chatterm.language import speak

    try:
        assert compare(scene, (120, 40), "chatterm-light", snap_compare, monkeypatch, language="zh")
    finally:
        speak("en")
