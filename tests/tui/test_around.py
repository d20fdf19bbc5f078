"""What stands around the conversation: system prompt, presets, the window, the raw text."""

from __future__ import annotations

import errno
import os

import pytest
from scripted_model import CHINESE, WORDS
from textual.widgets import Static, TextArea

from chatterm import presets
from chatterm.chat.context_usage import Filling, Part
from chatterm.errors import UserError
from chatterm.library import AsyncLibrary
from chatterm.records.generation import Tokens
from chatterm.tui.commands import presets as in_chat
from chatterm.tui.dialogs.context import ContextScreen
from chatterm.tui.dialogs.presets import PresetsScreen
from chatterm.tui.dialogs.raw import RawScreen
from chatterm.tui.dialogs.system_prompt import SystemPromptScreen
from chatterm.tui.widgets.context_meter import cells
from chatterm.tui.widgets.system_line import SystemLine


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("chatterm.presets.presets_folder", lambda: tmp_path / "presets")


async def test_the_system_prompt_is_edited_sent_shown_and_kept_with_its_conversation(chat, tmp_path):
    async with chat(library=lambda: AsyncLibrary.open_library(tmp_path / "library")) as running:
        await running.ask("苹果?")
        first = running.session.keeper.conversation
        await running.press("alt+e")
        await running.until(lambda: isinstance(running.app.screen, SystemPromptScreen))
        await running.press(*"Be kind.", "ctrl+s")
        await running.until(lambda: running.app.chat.query_one(SystemLine).display)
        assert "Be kind." in running.app.chat.query_one(SystemLine).render_line(0).text
        await running.ask("And now?")
        assert running.knobs.chats[-1].messages[0].content == "Be kind."
        await running.press("ctrl+n")
        assert running.session.system_prompt == ""
        await running.session.resume(first)
        assert running.session.system_prompt == "Be kind."


def full_disk(_descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_presets_are_taken_saved_renamed_deleted_and_brought_back(chat, monkeypatch):
    async with chat() as running:
        await running.ask()
        await running.press("alt+u")
        await running.until(lambda: isinstance(running.app.screen, PresetsScreen))
        assert "One or two plain sentences" in running.text()
        await running.press("enter")  # brief
        await running.until(lambda: running.session.values.sampling.temperature == 0.3)
        assert "short, plain sentences" in running.session.system_prompt
        running.session.change(top_k=7)
        await running.press("alt+u", "s", *"mine", "enter", "enter")
        await running.until(lambda: isinstance(running.app.screen, PresetsScreen))
        saved = presets.load_preset("mine")
        assert saved.sampling["temperature"] == 0.3
        assert saved.sampling["top_k"] == 7
        assert saved.system_prompt == running.session.system_prompt
        assert "seed" not in saved.sampling
        await running.press("r", *"other", "enter")
        await running.until(lambda: "other" in running.text())
        await running.press("d")
        await running.until(lambda: "u brings it back" in running.text())
        with pytest.raises(UserError):
            presets.load_preset("other")
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", full_disk)
            await running.press("u")
            await running.until(lambda: "cannot be saved" in running.text())
        await running.press("u")
        assert presets.load_preset("other").sampling["top_k"] == 7


async def test_a_preset_with_a_value_out_of_range_changes_nothing(chat):
    async with chat() as running:
        await running.ready()
        before = running.session.values.sampling
        wrong = presets.Preset(name="wrong", system_prompt="x", sampling={"temperature": -1})
        with pytest.raises(UserError):
            in_chat.apply(running.session, wrong)
        assert running.session.values.sampling == before
        assert running.session.system_prompt == ""


async def test_messages_and_attachments_are_left_out_and_sent_again(chat):
    async with chat() as running:
        await running.ask("a.py:\n\n```py\nprint(1) print(2)\n```\n\nWhat is it?")
        await running.ask("And now?")
        first = running.session.turns[0]
        filling = await running.session.fill("one two")
        assert filling.of("attachments") > 0
        assert filling.of("draft") == 2
        await running.press("alt+a")
        await running.until(lambda: isinstance(running.app.screen, ContextScreen))
        await running.until(lambda: "attachments" in running.text())
        await running.press("down", "space")
        await running.until(lambda: first.quotes_left_out)
        assert first.sent == "What is it?"
        await running.until(lambda: running.session.context_used < filling.used)
        await running.press("up", "space")
        await running.until(
            lambda: [turn.left_out for turn in running.session.turns] == [True, True, False, False]
        )
        await running.press("a")
        await running.until(lambda: not any(turn.left_out for turn in running.session.turns))
        assert not first.quotes_left_out


def test_a_bar_has_a_cell_for_everything_and_no_more_than_there_are():
    parts = (Part("template", None, 1), Part("system", None, 5000), Part("user", None, 2))
    for width in (3, 10, 79):
        shares = cells(Filling(4096, parts), width)
        assert sum(shares.values()) <= width
        assert min(shares.values()) >= 1
    assert cells(Filling(100, (Part("user", None, 50),)), 10) == {"user": 5}


async def test_edited_raw_text_is_answered_beside_the_other_replies(chat):
    async with chat() as running:
        running.knobs.replies = [CHINESE]
        old = await running.ask("apple")
        await running.press("alt+r")
        await running.until(lambda: isinstance(running.app.screen, RawScreen))
        await running.press(*"Sure")
        await running.press("ctrl+s")
        await running.until(lambda: running.session.live is None and running.session.last_reply is not old)
        reply = running.session.last_reply
        prompt = running.knobs.chats[-1]
        assert isinstance(prompt, Tokens)
        assert reply.raw
        await running.until(lambda: reply.siblings == 2)
        await running.until(lambda: "raw text" in running.transcript())


def raw_note(running) -> str:
    return str(running.app.screen.query_one(Static).render())


async def open_raw(running) -> TextArea:
    await running.press("alt+r")
    await running.until(lambda: isinstance(running.app.screen, RawScreen))
    return running.app.screen.query_one("#text", TextArea)


async def test_the_count_of_tokens_follows_what_is_written(chat):
    async with chat() as running:
        await running.ask("apple")
        count = len((await running.session.rendered()).tokens)
        area = await open_raw(running)
        was = area.text
        assert raw_note(running).startswith(f"{count} tokens")
        await running.press(*"Sure", "space", *"it", "space", *"is")
        await running.until(lambda: raw_note(running).startswith(f"{count + 2} tokens"))
        while area.text != was:
            await running.press("ctrl+z")
        await running.until(lambda: raw_note(running).startswith(f"{count} tokens"))


async def test_edits_can_be_taken_back_after_the_tokens_were_looked_at(chat):
    async with chat() as running:
        running.knobs.replies = [CHINESE]
        old = await running.ask("apple")
        ids = tuple(token.id for token in (await running.session.rendered()).tokens)
        area = await open_raw(running)
        was = area.text
        await running.press("ctrl+home", *["delete"] * 4)
        await running.press("ctrl+l")
        await running.until(lambda: not area.display)
        await running.press("ctrl+l")
        await running.until(lambda: area.display and area.has_focus)
        while area.text != was:
            await running.press("ctrl+z")
        await running.press("ctrl+s")
        await running.until(lambda: running.session.live is None and running.session.last_reply is not old)
        assert running.knobs.chats[-1] == Tokens(ids), "control tokens are control tokens again"


async def test_another_reply_to_raw_text_answers_the_same_raw_text(chat):
    async with chat() as running:
        running.knobs.replies = [CHINESE]
        await running.ask("apple")
        running.session.answer_raw((7, 5, 3))
        await running.until(lambda: running.session.live is None and running.session.last_reply.raw)
        first = running.session.last_reply
        running.session.regenerate()
        await running.until(lambda: running.session.live is None and running.session.last_reply is not first)
        again = running.session.last_reply
        assert running.knobs.chats[-1] == Tokens((7, 5, 3))
        assert again.raw and again.prompt == (7, 5, 3)
        area = await open_raw(running)
        assert area.text == WORDS[7] + WORDS[5] + WORDS[3], "and it is what one goes on editing"
