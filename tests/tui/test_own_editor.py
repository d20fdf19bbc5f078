"""While the user's own editor has the terminal the chat goes on, draws nothing and hears no key."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

import pytest
from scripted_model import HAIKU
from textual import events
from textual.drivers.headless_driver import HeadlessDriver

from chatterm.library import AsyncLibrary, Library
from chatterm.tui.dialogs.settings import SettingsScreen
from chatterm.tui.widgets.composer import Composer


class Editor:
    """An editor that waits until it is told to save. It notes its process each time it is started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.file = folder / "editor"
        self.file.write_text(
            f'#!/bin/sh\ncd "{folder}"\necho $$ >> started\n'
            'while [ ! -e go ]; do sleep 0.05; done\nrm go\necho -n "edited" >> "$1"\n'
        )
        self.file.chmod(0o700)

    @property
    def started(self) -> list[int]:
        file = self._folder / "started"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def save(self) -> None:
        (self._folder / "go").touch()


@pytest.fixture
def editor(tmp_path, monkeypatch) -> Editor:
    (tmp_path / "editing").mkdir()
    found = Editor(tmp_path / "editing")
    monkeypatch.setenv("VISUAL", str(found.file))
    monkeypatch.setattr(HeadlessDriver, "can_suspend", True)
    return found


@pytest.fixture
def holds(monkeypatch) -> list[str]:
    """What has become of the terminal."""
    done: list[str] = []
    for name in ("suspend", "resume"):
        method = f"{name}_application_mode"
        before = getattr(HeadlessDriver, method)
        monkeypatch.setattr(
            HeadlessDriver, method, lambda self, name=name, act=before: (done.append(name), act(self))
        )
    return done


def draft(it) -> Composer:
    composer = it.app.chat.query_one(Composer)
    composer.focus()
    composer.put("a long draft, ")
    return composer


def notified(it, words: str) -> bool:
    return any(words in notification.message for notification in it.app._notifications)


async def test_a_growing_reply_is_saved_while_the_editor_is_open(chat, knobs, editor, holds, tmp_path):
    file = tmp_path / "library.sqlite3"
    knobs.delay, knobs.context, knobs.replies = 0.02, 8192, [HAIKU * 100]
    async with chat(library=partial(AsyncLibrary.open_library, file)) as it:
        await it.ready()
        await it.say("a long one")
        await it.until(lambda: it.session.live is not None and it.session.live.number is not None)
        composer = draft(it)
        await it.press("ctrl+e", "ctrl+e")
        await it.until(lambda: len(editor.started) == 1)
        with Library(file) as library:
            reply = it.session.live.number
            before = library.message(reply).tokens
            await it.press("x", "escape", "f2", "ctrl+e")
            it.app.post_message(events.Paste("pasted"))
            await it.until(lambda: library.message(reply).tokens > before + 20)
        assert it.session.live is not None, "escape would have stopped it"
        assert composer.text == "a long draft, " and holds == ["suspend"] and it.app.is_lent
        editor.save()
        await it.until(lambda: composer.text == "a long draft, edited")
        assert holds == ["suspend", "resume"] and len(editor.started) == 1 and not it.app.is_lent
        await it.press("!")
        assert composer.text == "a long draft, edited!"
        await it.press("escape")
        await it.until(lambda: it.session.live is None)


async def test_what_was_typed_before_the_editor_is_in_the_text(chat, editor):
    async with chat() as it:
        await it.ready()
        composer = draft(it)
        for key in ("n", "o", "w", "ctrl+e", "!"):  # faster than they are handled
            it.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await it.until(lambda: editor.started)
        editor.save()
        await it.until(lambda: composer.text in ("a long draft, nowedited", "a long draft, now!edited"))


async def test_a_second_editor_is_not_begun(chat, editor):
    async with chat() as it:
        await it.ready()
        composer = draft(it)
        it.app.chat.action_edit_outside()
        it.app.chat.action_edit_outside()
        await it.until(lambda: editor.started)
        await it.until(lambda: notified(it, "has the terminal already"))
        editor.save()
        await it.until(lambda: composer.text == "a long draft, edited")
        assert len(editor.started) == 1


@pytest.mark.parametrize("trouble", ["full disk", "half a character", "no editor", "status"])
async def test_whatever_goes_wrong_the_draft_and_the_terminal_stay(trouble, chat, holds, editor, monkeypatch):
    def full(*_arguments, **_more):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    async with chat() as it:
        await it.ready()
        composer = draft(it)
        match trouble:
            case "full disk":
                monkeypatch.setattr("tempfile.TemporaryDirectory", full)
            case "half a character":
                composer.put("\ud800")
            case "no editor":
                monkeypatch.setenv("VISUAL", "/no/such/editor")
            case "status":
                monkeypatch.setenv("VISUAL", "/bin/false")
        text = composer.text
        await it.press("ctrl+e")
        await it.until(lambda: notified(it, "cannot be used") or notified(it, "ended with status"))
        assert composer.text == text and holds == ["suspend", "resume"] and not it.app.is_lent
        await it.press("x")
        assert composer.text == f"{text}x"


async def test_in_a_browser_there_is_no_other_program(chat, editor, monkeypatch):
    monkeypatch.setattr(HeadlessDriver, "can_suspend", False)
    async with chat() as it:
        await it.ready()
        draft(it)
        await it.press("ctrl+e")
        await it.until(lambda: notified(it, "as in a browser"))
        assert not editor.started


async def test_leaving_ends_the_editor_and_does_not_take_the_terminal_back(chat, editor, holds):
    async with chat() as it:
        await it.ready()
        draft(it)
        await it.press("ctrl+e")
        await it.until(lambda: editor.started)
        it.app.leave(0)
        await it.until(lambda: not it.app.is_running)
    assert holds == ["suspend"]
    with pytest.raises(ProcessLookupError):
        os.kill(editor.started[0], 0)


async def test_the_settings_are_edited_while_the_chat_goes_on(chat, editor, monkeypatch, tmp_path):
    monkeypatch.setenv("CHATTERM_CONFIG", str(tmp_path / "config"))
    async with chat() as it:
        await it.ready()
        await it.press("f11")
        await it.until(lambda: isinstance(it.app.screen, SettingsScreen))
        await it.press("o", "o", "escape")
        await it.until(lambda: editor.started)
        await it.press("escape")
        assert isinstance(it.app.screen, SettingsScreen)
        it.session.send("go on")
        await it.until(lambda: it.session.last_reply is not None and it.session.live is None)
        editor.save()
        await it.until(lambda: "Expected '=' after a key" in it.text())  # `edited` is no setting
        assert len(editor.started) == 1
