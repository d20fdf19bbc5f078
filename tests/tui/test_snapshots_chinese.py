"""How the main screens look in Chinese, whose characters are two cells wide."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from test_glass_snapshots import SCENES as VIEWS
from test_glass_snapshots import lens_grid
from test_snapshots import compare, help_screen, picker, selected, values, welcome

SIZES = {"80x24": (80, 24), "120x40": (120, 40)}


async def settings(chat) -> None:
    await chat.ready()
    await chat.press("f11", "down", "down")


@pytest.fixture(autouse=True)
def _chinese(monkeypatch, tmp_path):
    """The folder of the settings is empty, and the screen speaks Chinese until the test is over."""
    from chatterm.language import speak

    monkeypatch.setenv("CHATTERM_CONFIG", str(tmp_path))
    yield
    speak("en")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize(
    "scene", (welcome, selected, values, picker, help_screen, settings), ids=lambda scene: scene.__name__
)
def test_look_in_chinese(scene, size, snap_compare, monkeypatch):
    assert compare(scene, size, "chatterm-dark", snap_compare, monkeypatch, language="zh")


@pytest.mark.parametrize("scene", (*VIEWS, lens_grid), ids=lambda scene: scene.__name__)
def test_look_of_a_view_in_chinese(scene, snap_compare, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("chatterm.tui.widgets.glass.shades.is_plain", lambda app: False)
    assert compare(scene, (120, 40), "chatterm-dark", snap_compare, monkeypatch, language="zh")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_no_line_is_wider_than_the_screen(chat, size):
    async with chat(size=size, language="zh") as it:
        await it.ask()
        for key in ("f2", "f1", "escape", "f3", "escape", "f4", "escape", "f11", "escape"):
            await it.press(key)
            assert {cell_len(line) for line in it.lines()} <= {size[0]}, key
