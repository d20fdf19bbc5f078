"""Every screen is pictured in both languages: those that no other file has, and a list of all."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest
import test_snapshots_conversations as conversations
import test_snapshots_tokens as tokens
import test_snapshots_writing as writing
from conftest import Chat
from test_glass_snapshots import clean_and_edited, self_check
from test_snapshots import compare
from test_snapshots_chinese import settings
from textual.command import CommandList

from chatterm.tui import dialogs
from chatterm.tui.dialogs.asking import AskScreen
from chatterm.tui.dialogs.dialog import Dialog, Palette
from chatterm.tui.dialogs.fields import FieldsScreen
from chatterm.tui.dialogs.model_acts import ModelActs

MIDDLE = (120, 36)


async def asking(chat: Chat) -> None:
    """Finding a word among the candidates."""
    await tokens.choosing(chat)
    await chat.press("slash")
    await chat.until(lambda: isinstance(chat.app.screen, AskScreen))
    await chat.press(*"sea", "苹")
    await chat.until(lambda: "sea苹" in chat.text())


async def fields(chat: Chat) -> None:
    """Saving a preset."""
    await writing.presets(chat)
    await chat.press("s")
    await chat.until(lambda: isinstance(chat.app.screen, FieldsScreen))
    await chat.press(*"海 poet")
    await chat.until(lambda: "海 poet" in chat.text())


async def palette(chat: Chat) -> None:
    await chat.ready()
    await chat.press("ctrl+p")
    await chat.until(lambda: isinstance(chat.app.screen, Palette))
    await chat.until(lambda: chat.app.screen.query_one(CommandList).option_count > 10)
    group = Palette._GATHER_COMMANDS_GROUP
    await chat.until(lambda: all(w.is_finished for w in chat.app.workers if w.group == group))


ENGLISH = (settings, asking, fields, palette)
CHINESE = (
    asking,
    fields,
    palette,
    conversations.searching,
    conversations.editor,
    conversations.tree,
    writing.commands,
    writing.window,
    writing.presets,
    writing.system_prompt,
    writing.raw,
    tokens.choosing,
    tokens.several,
    tokens.plot,
    clean_and_edited,
    self_check,
)
PICTURES = Path(__file__).with_name("__snapshots__")
HERE = ("test_every_screen/test_look_in_english[{}]", "test_every_screen/test_look_in_chinese[{}]")
GLASS = "test_glass_snapshots/test_look_of_a_view[{}]"
MODELS = "test_snapshots_models/test_look_of_models[{}-120x40]"
MODELS_IN_CHINESE = "test_snapshots_models/test_look_of_models_in_chinese[{}]"
TALK = "test_snapshots_conversations/test_look_of_conversations[{}-200x60]"
TOKENS = "test_snapshots_tokens/test_look_of_tokens[{}-200x60]"
MAIN = "test_snapshots/test_look[{}-200x60-chatterm-dark]"
MAIN_IN_CHINESE = "test_snapshots_chinese/test_look_in_chinese[{}-120x40]"
WRITING = "test_snapshots_writing/test_look_of_writing[{}-200x60]"
WHERE = {
    "acts": (MODELS.format("about"), MODELS_IN_CHINESE.format("about")),
    "asking": tuple(one.format("asking") for one in HERE),
    "compare": (GLASS.format("clean_and_edited"), HERE[1].format("clean_and_edited")),
    "continuations": (TOKENS.format("several"), HERE[1].format("several")),
    "editing": (TALK.format("editor"), HERE[1].format("editor")),
    "help": (MAIN.format("help_screen"), MAIN_IN_CHINESE.format("help_screen")),
    "models": (
        "test_snapshots_compared/test_look_of_comparing_and_folding[compared-200x60]",
        "test_snapshots_compared/test_look_of_comparing_and_folding_in_chinese[compared]",
    ),
    "parameters": ("test_snapshots/test_look_of_the_values", MAIN_IN_CHINESE.format("values")),
    "picker": (MAIN.format("picker"), MAIN_IN_CHINESE.format("picker")),
    "presets": (WRITING.format("presets"), HERE[1].format("presets")),
    "rank_plot": (TOKENS.format("plot"), HERE[1].format("plot")),
    "raw": (WRITING.format("raw"), HERE[1].format("raw")),
    "repository": (MODELS.format("repository"), MODELS_IN_CHINESE.format("repository")),
    "selfcheck": (GLASS.format("self_check"), HERE[1].format("self_check")),
    "settings": (HERE[0].format("settings"), MAIN_IN_CHINESE.format("settings")),
    "system_prompt": (WRITING.format("system_prompt"), HERE[1].format("system_prompt")),
    "tree": (TALK.format("tree"), HERE[1].format("tree")),
    "window": (WRITING.format("window"), HERE[1].format("window")),
    FieldsScreen.__name__: tuple(one.format("fields") for one in HERE),  # shares its keys with another
    Palette.__name__: tuple(one.format("palette") for one in HERE),
}
"""Where the pictures of a screen are, in English and in Chinese, by what its keys are listed under. The chat
and its views are in `test_snapshots`, `test_glass_snapshots` and `test_snapshots_chinese`."""


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """No settings and presets but those of the test; English again once it is over."""
    from chatterm.language import speak

    monkeypatch.setenv("CHATTERM_CONFIG", str(tmp_path))
    monkeypatch.setattr("chatterm.presets.presets_folder", lambda: tmp_path / "presets")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("chatterm.tui.widgets.glass.shades.is_plain", lambda app: False)
    yield
    speak("en")


@pytest.mark.parametrize("scene", ENGLISH, ids=lambda scene: scene.__name__)
def test_look_in_english(scene, snap_compare, monkeypatch):
    assert compare(scene, MIDDLE, "chatterm-dark", snap_compare, monkeypatch)


@pytest.mark.parametrize("scene", CHINESE, ids=lambda scene: scene.__name__)
def test_look_in_chinese(scene, snap_compare, monkeypatch):
    assert compare(scene, MIDDLE, "chatterm-dark", snap_compare, monkeypatch, language="zh")


def test_every_screen_is_pictured_in_both_languages():
    for module in pkgutil.iter_modules(dialogs.__path__, f"{dialogs.__name__}."):
        importlib.import_module(module.name)
    kinds, there = [Dialog], set()
    while kinds:
        one = kinds.pop()
        kinds += one.__subclasses__()
        if one not in (Dialog, ModelActs) and one.__module__.startswith(dialogs.__name__):
            there.add(one.__name__ if one is FieldsScreen else one.SCOPE)
    assert there == {*WHERE} - {Palette.__name__}
    missing = [name for pair in WHERE.values() for name in pair if not (PICTURES / f"{name}.svg").is_file()]
    assert not missing
