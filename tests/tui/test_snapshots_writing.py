"""How writing looks: completion, chips, and the screens around the conversation."""

from __future__ import annotations

import pytest
from conftest import Chat
from test_snapshots import SIZES, THEMES, compare

from chatterm.chat import attachments
from chatterm.tui.dialogs.context import ContextScreen
from chatterm.tui.dialogs.raw import RawScreen
from chatterm.tui.dialogs.system_prompt import SystemPromptScreen
from chatterm.tui.widgets.chips import Chips
from chatterm.tui.widgets.completions import Completions
from chatterm.tui.widgets.composer import Composer
from chatterm.tui.widgets.context_meter import ContextMeter


async def commands(chat: Chat) -> None:
    await chat.ask("苹果是水果吗？ 🙂")
    await chat.press("slash", "t")
    await chat.until(lambda: chat.app.chat.query_one(Completions).is_open)
    await chat.press("down")


async def attached(chat: Chat) -> None:
    await chat.ready()
    chat.session.system_prompt = "你是一个乐于助人的助手。 Answer in one or two sentences."
    await chat.ask("Hello")
    chips = chat.app.chat.query_one(Chips)
    for name in ("说明 书.txt", "notes.md"):
        quote = attachments.quoting.Quote(name, "一 二\n三 四\n")
        chips.add(attachments.Attachment(quote))
    chat.app.chat.query_one(Composer).put("Compare them.")
    await chat.until(lambda: all(one.tokens is not None for one in chips.attachments))
    await chat.until(lambda: chat.app.chat.query_one(Composer).border_subtitle)


async def window(chat: Chat) -> None:
    chat.knobs.context = 512
    chat.session.system_prompt = "你是一个乐于助人的助手。 Answer in one or two sentences."
    await chat.ask("Hello")
    await chat.ask("说明 书.txt:\n\n```txt\n一 二\n三 四\n```\n\n苹果是水果吗？ and more words")
    await chat.session.leave_out(dict.fromkeys(chat.session.turns[:2], (True, False)))
    await chat.press("alt+a")
    await chat.until(lambda: isinstance(chat.app.screen, ContextScreen))
    await chat.until(lambda: chat.app.screen.query_one(ContextMeter)._filling)


async def presets(chat: Chat) -> None:
    await chat.ask()
    await chat.press("alt+u", "down")
    await chat.until(lambda: "min-p: 0.08" in chat.text())


async def system_prompt(chat: Chat) -> None:
    await attached(chat)
    await chat.press("alt+e")
    await chat.until(lambda: isinstance(chat.app.screen, SystemPromptScreen))


async def raw(chat: Chat) -> None:
    await attached(chat)
    await chat.press("alt+r")
    await chat.until(lambda: isinstance(chat.app.screen, RawScreen))


SCENES = (commands, attached, window, presets, system_prompt, raw)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_look_of_writing(scene, size, snap_compare, monkeypatch, tmp_path):
    monkeypatch.setattr("chatterm.presets.presets_folder", lambda: tmp_path)
    theme = THEMES[size == SIZES["200x60"]]  # one size dark, the other light
    assert compare(scene, size, theme, snap_compare, monkeypatch)
