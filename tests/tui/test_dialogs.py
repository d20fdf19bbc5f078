"""Every screen over the chat: its keys stand in the table, F1 explains it, a user's own keys reach it."""

from __future__ import annotations

import ast
import gc
import importlib
import pkgutil
import weakref
from pathlib import Path

import pytest

from chatterm.tui import dialogs, keys
from chatterm.tui.dialogs.dialog import Dialog
from chatterm.tui.dialogs.help import HelpScreen
from chatterm.tui.dialogs.model_acts import ModelActs

ABSTRACT = {Dialog, ModelActs}
FOLDER = Path(dialogs.__file__).parent


def dialogs() -> list[type[Dialog]]:
    """All of them, wherever they are."""
    for module in pkgutil.iter_modules([str(FOLDER)]):
        importlib.import_module(f"chatterm.tui.dialogs.{module.name}")
    found, waiting = [], [Dialog]
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        if one not in ABSTRACT and one.__module__.startswith("chatterm."):
            found.append(one)
    return found


def test_all_are_found():
    names = {one.__name__ for one in dialogs()}
    assert {"RawScreen", "ContextScreen", "HelpScreen", "ModelsScreen", "AskScreen", "PickerScreen"} <= names
    assert len(names) >= 18


@pytest.mark.parametrize("screen", dialogs(), ids=lambda screen: screen.__name__)
def test_the_keys_of_a_screen_are_those_of_the_table(screen):
    table = {key.id: key for key in keys.KEYS if key.scope == screen.SCOPE}
    assert table, "its place is in the table"
    own = list(screen.BINDINGS)
    assert own and {binding.id for binding in own} <= set(table)
    for binding in own:
        assert hasattr(screen, f"action_{binding.action.split('(')[0]}"), binding.id
    assert any("escape" in key.keys for key in table.values()), "escape leads back"
    if screen is not HelpScreen:
        assert keys.ABOUT[screen.SCOPE]


def test_no_screen_has_keys_of_its_own_making():
    for file in FOLDER.glob("*.py"):
        made = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)]
        assert not [c for c in made if isinstance(c.func, ast.Name) and c.func.id == "Binding"], file.name


OPENS = {
    **{"alt+r": "raw", "alt+a": "window", "alt+e": "system_prompt", "alt+u": "presets", "alt+t": "tree"},
    **{"alt+c": "continuations", "alt+p": "rank_plot", "f3": "picker", "f4": "parameters", "f11": "settings"},
    **{"alt+v": "acts"},
}


async def test_f1_explains_the_screen_one_is_on(chat):
    async with chat(size=(120, 50)) as it:
        await it.ask()
        for opens, scope in OPENS.items():
            await it.press(opens)
            await it.until(lambda scope=scope: getattr(it.app.screen, "SCOPE", "") == scope)
            await it.press("f1")
            await it.until(lambda: isinstance(it.app.screen, HelpScreen))
            await it.until(lambda scope=scope: keys.SCOPES[scope] in it.text())
            titles = [str(title.render()) for title in it.app.screen.query(".scope")]
            assert titles == [keys.SCOPES[scope], keys.SCOPES["anywhere"]], "just its keys"
            await it.press("escape")
            await it.until(lambda scope=scope: getattr(it.app.screen, "SCOPE", "") == scope)
            await it.press("escape")
            await it.until(lambda: it.app.screen is it.app.chat)


async def test_f1_in_help_stays_there_and_in_the_chat_lists_everything(chat):
    async with chat(size=(120, 50)) as it:
        await it.ready()
        await it.press("f1")
        await it.until(lambda: isinstance(it.app.screen, HelpScreen))
        assert len(it.app.screen.query(".scope")) > len(keys.SCOPES) / 2
        await it.press("f1")
        await it.until(lambda: not isinstance(it.app.screen, HelpScreen))


async def test_a_users_own_key_reaches_a_dialog(chat):
    async with chat(keys={"window.oldest": "ctrl+y", "editing.newline": "f7"}) as it:
        await it.ask("one two")
        await it.press("alt+a")
        await it.until(lambda: getattr(it.app.screen, "SCOPE", "") == "window")
        await it.press("ctrl+y")
        await it.until(lambda: it.session.turns[0].left_out)
        await it.press("escape")
        await it.press("alt+m", "e")
        await it.until(lambda: getattr(it.app.screen, "SCOPE", "") == "editing")
        text = it.app.screen.query_one("Words").text
        await it.press("f7")
        await it.until(lambda: it.app.screen.query_one("Words").text == text + "\n")


@pytest.mark.parametrize(
    "key",
    ("f1", "f3", "f4", "alt+a", "alt+e", "alt+o", "alt+p", "alt+r", "alt+t", "alt+u", "alt+v", "ctrl+p"),
)
async def test_a_screen_that_has_gone_away_takes_no_memory(chat, key):
    """The last one may be held by something that still waits; none before it."""
    shown = []
    async with chat() as it:
        await it.ask()
        for _ in range(2):
            await it.press(key)
            await it.until(lambda: it.app.screen is not it.app.chat)
            await it.pilot.pause(0.05)
            shown.append([weakref.ref(widget) for widget in it.app.screen.walk_children(with_self=True)])
            while it.app.screen is not it.app.chat:
                await it.press("escape")
        await it.pilot.pause(0.05)
        gc.collect()
        left = [widget() for widgets in shown[:-1] for widget in widgets if widget() is not None]
        assert not left
