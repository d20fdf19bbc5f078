"""Keys and clicks that come before or after what they are meant for, or where it has no room."""

from __future__ import annotations

import pytest
from textual import events
from textual.widgets import Static

from chatterm.tui.dialogs.acts import Act, ActsScreen
from chatterm.tui.dialogs.continuations import Columns
from chatterm.tui.widgets.composer import Composer


@pytest.mark.parametrize("key", ["pageup", "pagedown"])
@pytest.mark.parametrize("opens", ["f3", "ctrl+p", "f11", "alt+a"])
async def test_a_list_without_room_can_be_paged_through(chat, opens, key):
    async with chat() as it:
        await it.ask()
        await it.press(opens)
        await it.until(lambda: it.app.screen is not it.app.chat)
        await it.pilot.pause(0.3)  # the palette has found its rows
        await it.press("down")
        await it.pilot.resize_terminal(5, 1)
        await it.press(key)
        await it.pilot.resize_terminal(120, 36)
        await it.press(key)
        assert it.app.is_running


async def test_a_screen_that_is_not_there_yet_can_only_be_left(chat):
    async with chat() as it:
        await it.ready()
        screen = ActsScreen("A model", [], [Act("load", "Load it")])
        it.app.push_screen(screen)
        assert not screen.is_mounted
        await screen.run_action("choose")
        await screen.run_action("back")
        await it.until(lambda: it.app.screen is it.app.chat)
        assert it.app.chat.query_one(Composer)


async def test_a_click_on_what_has_just_gone_away_hits_nothing(chat, monkeypatch):
    async with chat() as it:
        await it.ready()
        gone = Static("no more"), it.app.screen.region
        monkeypatch.setattr(it.app, "get_widget_at", lambda *_place: gone)
        monkeypatch.setattr(it.app.screen, "_forward_event", lambda _event: pytest.fail("it went on"))
        await it.app.on_event(events.MouseDown(None, 3, 3, 0, 0, 1, False, False, False, 3, 3))


def test_continuations_that_have_no_room():
    assert Columns().get_content_height(None, None, 0) > 0
