"""The settings screen: what holds, what is refused, what is written, and what is seen at once."""

from __future__ import annotations

import errno
import os

import pytest
from textual.drivers.headless_driver import HeadlessDriver
from textual.widgets import Input, OptionList

from chatterm import language
from chatterm.settings import Settings, load_settings, settings_file
from chatterm.tui import keys
from chatterm.tui.dialogs.settings import SettingsScreen, rows
from chatterm.tui.widgets.next_token import NextTokenPanel


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch, tmp_path):
    for name in Settings.__struct_fields__:
        monkeypatch.delenv(f"CHATTERM_{name.upper()}", raising=False)
    monkeypatch.setenv("CHATTERM_CONFIG", str(tmp_path))
    yield
    language.speak("en")
    keys.use({})


async def choose(it, name: str) -> None:
    """Put the cursor on a field."""
    options = it.app.screen.query_one(OptionList)
    options.highlighted = options.get_option_index(name)
    await it.pilot.pause()


async def opened(it) -> SettingsScreen:
    await it.ready()
    await it.press("f11")
    await it.until(lambda: isinstance(it.app.screen, SettingsScreen))
    return it.app.screen


def test_every_field_has_a_title_and_a_description():
    assert [row.name for row in rows()] == list(Settings.__struct_fields__)
    for row in rows():
        assert row.title != row.name and row.says.endswith((".", ":")), row.name


async def test_all_settings_are_shown_with_their_sources_and_variables(chat):
    async with chat(size=(120, 50), candidates=12) as it:
        await opened(it)
        text = it.text()
        for row in rows():
            assert row.title in text
        assert "command line" in text  # the tests give values as flags do
        await choose(it, "candidates")
        assert "CHATTERM_CANDIDATES" in it.text() and "≥ 1" in it.text()


async def test_a_value_that_cannot_be_is_refused_beside_the_field(chat):
    async with chat() as it:
        await opened(it)
        await choose(it, "candidates")
        await it.press("enter", "0", "enter")
        assert "This cannot be the value" not in it.text()  # 10 became 100
        await it.press("enter", "0", "enter")
        assert "This cannot be the value: Expected `int` <= 200." in it.text()
        assert it.app.settings.candidates == 100
        await it.press("escape")
        assert isinstance(it.app.screen, SettingsScreen)
        assert load_settings().candidates == 100
        assert it.app.chat.query_one(NextTokenPanel)._rows.usual == 100
        await it.press("delete")
        assert it.app.settings.candidates == 10
        assert settings_file().read_text("utf-8").strip() == ""


async def test_sampling_values_that_no_chat_could_begin_with_are_refused(chat):
    async with chat() as it:
        await opened(it)
        await choose(it, "sampling")
        await it.press("enter", *"{temprature = 1}", "enter")
        assert "unknown field `temprature`" in it.text()
        line = it.app.screen.query_one("#value", Input)
        assert line.value == "{temprature = 1}" and line.has_focus
        assert not settings_file().exists() and it.app.settings.sampling == {}


async def test_what_cannot_be_saved_stays_in_the_line(chat, monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with chat() as it:
        await opened(it)
        await choose(it, "system_prompt")
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", full)
            await it.press("enter", *"long", "enter")
        assert "cannot be" in it.text()
        line = it.app.screen.query_one("#value", Input)
        assert line.value == "long" and line.has_focus
        await it.press("enter")
        assert load_settings().system_prompt == it.app.settings.system_prompt == "long"
        assert not line.has_class("-on")


async def test_themes_are_seen_while_one_turns_through_them(chat):
    settings_file().write_text("# kept\n", "utf-8")
    async with chat(theme="chatterm-dark") as it:
        await opened(it)
        await choose(it, "theme")
        await it.press("right")
        assert it.app.theme == "chatterm-light"
        await it.press("right", "right")
        assert it.app.theme == "chatterm-blue-yellow"
        await it.press("left")
        assert it.app.theme == "chatterm-contrast"
        assert settings_file().read_text("utf-8") == '# kept\ntheme = "chatterm-contrast"\n'


async def test_the_language_changes_the_screen_at_once(chat):
    async with chat(size=(120, 40)) as it:
        await it.ask()
        await opened(it)
        await choose(it, "language")
        await it.press("right")
        assert it.app.settings.language == "zh"
        assert "语言" in it.text() and "Language" not in it.text()
        await it.press("escape")
        await it.until(lambda: it.app.screen is it.app.chat)
        assert "设置" not in it.text() and "models" not in it.text() and "模型" in it.text()


async def test_search_finds_by_name_words_and_variable(chat):
    async with chat() as it:
        screen = await opened(it)
        for words, names in (
            ("chatterm_threads", ["threads"]),
            ("nothing at all", []),
            ("float32", ["exact"]),
        ):
            screen.query_one("#search", Input).value = words
            await it.pilot.pause()
            shown = [option.id for option in screen.query_one(OptionList).options if not option.disabled]
            assert shown == names
        await it.press("slash")
        await it.press("escape")
        assert screen.query_one("#search", Input).value == ""
        await it.press("escape")
        assert it.app.screen is it.app.chat


async def test_a_variable_that_wins_is_said(chat, monkeypatch):
    monkeypatch.setenv("CHATTERM_RESUME", "new")
    async with chat() as it:
        await opened(it)
        await choose(it, "resume")
        assert "CHATTERM_RESUME is set" in it.text()
        await it.press("right")
        assert "wins again at the next start" in it.text()
        assert 'resume = "last"' in settings_file().read_text("utf-8")


async def test_the_file_opens_in_the_editor_and_is_read_again(chat, monkeypatch, tmp_path):
    editor = tmp_path / "editor.sh"
    editor.write_text('#!/bin/sh\necho "candidates = 33" > "$1"\n', "utf-8")
    editor.chmod(0o700)
    monkeypatch.setenv("VISUAL", str(editor))
    async with chat() as it:
        monkeypatch.setattr(HeadlessDriver, "can_suspend", True)
        await opened(it)
        await it.press("o")
        await it.until(lambda: it.app.settings.candidates == 33)
        monkeypatch.delenv("VISUAL")
        monkeypatch.delenv("EDITOR", raising=False)
        await it.press("o")
        assert "$EDITOR" in it.text()
