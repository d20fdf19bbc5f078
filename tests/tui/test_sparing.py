"""What is not done: timers that have nothing to do, widgets asked for lines that nobody sees. And that it is
the same on the screen."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from conftest import Chat
from textual import events
from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import TextArea

from chatterm.chat.turns import Turn
from chatterm.tui.screens.chat import reply_clock
from chatterm.tui.terminal.frames import Frames
from chatterm.tui.text.lines import Line
from chatterm.tui.widgets import composer as composer_module
from chatterm.tui.widgets.composer import Composer
from chatterm.tui.widgets.status_line import StatusLine
from chatterm.tui.widgets.transcript import Transcript
from chatterm.tui.widgets.turn_view import TurnView

OFTEN = 0.4
"""Seconds; the cursor blinks twice a second, whatever happens less often costs nothing."""


def timers(running: Chat) -> list[Timer]:
    """All that go on."""
    pumps = [running.app, *running.app.screen_stack, *running.app.chat.query("*")]
    found = [timer for pump in pumps for timer in pump._timers] + [running.app.animator._timer]
    return [
        timer
        for timer in found
        if (task := timer._task) is not None and not task.done() and timer._active.is_set()
    ]


def often(running: Chat) -> list[str]:
    return [timer.name for timer in timers(running) if timer._interval < OFTEN]


# --- the clock --------------------------------------------------------------------------------------------


async def test_a_chat_in_which_nothing_happens_has_no_quick_timer(chat, monkeypatch):
    monkeypatch.setattr(reply_clock, "AWAKE", 0.05)
    async with chat() as running:
        await running.ask()
        await running.until(lambda: not often(running))
        assert timers(running)  # the cursor's, at least


async def test_typing_and_what_the_session_says_wake_the_clock(chat, monkeypatch):
    monkeypatch.setattr(reply_clock, "AWAKE", 0.05)
    async with chat() as running:
        await running.ready()
        for act in (lambda: running.pilot.press("x"), lambda: running.pilot.hover(Composer)):
            await running.until(lambda: not often(running))
            await act()
            assert often(running)
        await running.until(lambda: not often(running))
        running.session.change(temperature=0.3)
        assert often(running)
        await running.until(lambda: "T 0.30" in running.text() and not often(running))


async def test_the_clock_goes_on_while_a_reply_is_written(chat, monkeypatch):
    monkeypatch.setattr(reply_clock, "AWAKE", 0.0)
    async with chat() as running:
        await running.hold(at=4)
        await running.pilot.pause(0.2)
        assert often(running)
        running.knobs.go.set()
        await running.until(lambda: running.session.live is None and not often(running))


async def test_what_nobody_told_of_is_seen_all_the_same(chat, monkeypatch):
    monkeypatch.setattr(reply_clock, "AWAKE", 0.0)
    async with chat() as running:
        await running.ask()
        await running.until(lambda: not often(running))
        with patch.object(type(running.app.chat.widgets.inspector), "catch_up") as looked:
            await running.until(lambda: looked.called)


# --- the compositor ---------------------------------------------------------------------------------------


def drawn(update: ChopsUpdate | None, running: Chat, *, before: Frames) -> str:
    """What a terminal is told that showed nothing before."""
    return before.changed(update.render_segments(running.app.console)) if update is not None else ""


def cells(text: str, size: tuple[int, int]) -> list:
    import pyte

    screen = pyte.Screen(*size)
    pyte.Stream(screen).feed(text)
    return [[screen.buffer[y][x] for x in range(size[0])] for y in range(size[1])]


@pytest.mark.parametrize("size", [(120, 36), (90, 24), (170, 40)])
async def test_what_changed_is_drawn_as_by_the_whole_compositor(chat, size):
    async with chat(size=size) as running:
        await running.ask("Some words")
        await running.ask("苹果 🙂 and more")
        await running.pilot.pause(0.1)
        screen, random_ = running.app.chat, random.Random(1)
        compositor = screen._compositor
        for number in range(40):
            corners = [
                (random_.randrange(size[0]), random_.randrange(size[1])) for _ in range(1 + number % 4)
            ]
            regions = {
                Region(x, y, 1 + random_.randrange(size[0] - x), 1 + random_.randrange(min(6, size[1] - y)))
                for x, y in corners
            }
            updates = []
            for draw in (
                compositor.render_partial_update,
                lambda: Compositor.render_partial_update(compositor),
            ):
                compositor._dirty_regions = set(regions)
                updates.append(cells(drawn(draw(), running, before=Frames()), size))
            assert updates[0] == updates[1], regions


async def test_only_widgets_of_which_a_changed_line_is_seen_are_asked(chat):
    async with chat(size=(120, 36)) as running:
        await running.ask()
        await running.pilot.pause(0.1)
        screen = running.app.chat
        asked: list[tuple[Widget, Region]] = []
        old = Widget.render_lines

        def render_lines(self: Widget, crop: Region):
            asked.append((self, crop))
            return old(self, crop)

        widgets = [screen.query_one(Transcript), screen.query_one(StatusLine)]
        with (
            patch.object(Widget, "render_lines", render_lines),
            patch.object(Transcript, "render_lines", render_lines),
        ):
            screen._compositor._dirty_regions = {
                Region(widgets[0].region.x, widgets[0].region.y + 2, 20, 1),
                widgets[1].region,
            }
            screen._compositor.render_partial_update()
        rows = {widget: (crop.y, crop.height) for widget, crop in asked}
        assert rows == {widgets[0]: (2, 1), widgets[1]: (0, 1)}
        assert len(asked) == 2


# --- lines that are kept ----------------------------------------------------------------------------------


def look(strips) -> list:
    return [[(segment.text, segment.style) for segment in strip.simplify()] for strip in strips]


async def test_the_lines_of_the_transcript_are_what_textual_makes_of_them(chat):
    async with chat(size=(100, 24)) as running:
        for number in range(4):
            await running.ask(f"{number} 苹果 🙂")
        transcript = running.app.chat.query_one(Transcript)
        for y in (0, 3, 7, transcript.max_scroll_y):
            transcript.scroll_to(y=y, animate=False, immediate=True)
            for crop in (transcript.size.region, Region(5, 2, 20, 3), Region(0, 0, 7, 1)):
                transcript._styles_cache.clear()
                assert look(transcript.render_lines(crop)) == look(Widget.render_lines(transcript, crop))


async def test_a_scrolled_line_is_not_made_anew(chat):
    async with chat(size=(100, 24)) as running:
        for number in range(4):
            await running.ask(f"{number} words")
        transcript = running.app.chat.query_one(Transcript)
        transcript.scroll_to(y=5, animate=False, immediate=True)
        before = transcript.render_lines(transcript.size.region)
        transcript.scroll_to(y=6, animate=False, immediate=True)
        after = transcript.render_lines(transcript.size.region)
        assert all(old is new for old, new in zip(before[1:], after, strict=False))


async def test_the_message_has_the_colours_of_the_theme(chat):
    async with chat(size=(100, 24)) as running:
        await running.ready()
        composer = running.app.chat.query_one(Composer)
        composer.put("some words")
        seen = []
        for change in (
            lambda: running.app.show_theme("chatterm-light"),
            lambda: running.app.show_theme("chatterm-contrast"),
            lambda: running.app.chat.query_one(Transcript).focus(),
            composer.focus,
        ):
            change()
            await running.pilot.pause(0.1)
            crop = composer.size.region
            found = look(composer.render_lines(crop))
            composer._styles_cache.clear()
            assert found == look(TextArea.render_lines(composer, crop))
            seen.append(str(found))
        assert len(set(seen)) >= 3


# --- what is typed comes first ----------------------------------------------------------------------------


@contextmanager
def displays(running: Chat) -> Iterator[list[str]]:
    """What is drawn from now on, as a terminal is told."""
    told: list[str] = []
    old = type(running.app)._display

    def display(self, screen, renderable):
        told.append(drawn(renderable, running, before=Frames()) if renderable is not None else "")
        old(self, screen, renderable)

    with patch.object(type(running.app), "_display", display):
        yield told


async def test_a_key_is_drawn_before_what_the_model_wrote(chat):
    async with chat() as running:
        turn = await running.hold(at=4)
        composer = running.app.chat.query_one(Composer)
        composer.focus()
        await running.pilot.pause(0.1)
        with displays(running) as told:
            running.app.chat.query_one(Transcript).grew(turn)
            await composer._on_key(events.Key("ö", "ö"))
            assert len(told) == 1 and "ö" in told[0] and "ocean" not in told[0]
            await running.pilot.pause(0.1)
            assert any("ocean" in text for text in told[1:])
            assert not any("ö" in text for text in told[1:] if text)
        assert "ö" in running.text()


async def test_keys_that_follow_one_another_are_drawn_together(chat, monkeypatch):
    async with chat() as running:
        await running.ready()
        composer = running.app.chat.query_one(Composer)
        monkeypatch.setattr(composer_module, "BURST", 60.0)
        with displays(running) as told:
            for sign in "abc":
                await composer._on_key(events.Key(sign, sign))
            assert len(told) <= 1
            await running.until(lambda: any("abc" in text for text in told))


async def test_a_key_that_moves_other_things_is_drawn_with_them(chat):
    async with chat() as running:
        await running.ready()
        composer = running.app.chat.query_one(Composer)
        composer.put("one")
        await running.pilot.pause(0.1)
        running.app.chat.refresh(layout=True)
        running.app.chat._layout_required = True
        with displays(running) as told:
            await composer._on_key(events.Key("x", "x"))
            assert not told
            await running.until(lambda: "onex" in running.text())


async def test_the_cursor_blinks(chat):
    async with chat() as running:
        await running.ready()
        composer = running.app.chat.query_one(Composer)
        composer.blink_timer.pause()
        composer.put("words")
        await running.pilot.pause(0.1)
        with displays(running) as told:
            for _ in range(4):
                composer._toggle_cursor_blink_visible()
        assert len(told) == 4 and told[0] != told[1] and told[:2] == told[2:]


# --- a growing reply --------------------------------------------------------------------------------------


def said(view: TurnView) -> list[tuple[Line, bool]]:
    return [view.line(index) for index in range(view.height)]


@pytest.mark.parametrize(
    "text",
    [
        "A paragraph of many words that goes on and on, and **some** of them are strong. " * 20,
        "- a list of many words\n- and its second part, which is longer than a line of it\n" * 8,
        "```python\ndef code(of, a, function):\n    return 'words'\n"
        + "    pass\n" * 20
        + "```\n\nAnd words.",
        "苹果是水果吗？是的，它是水果。" * 20,
        "One *word that is closed later, and much before that, so that all of it changes* and more. " * 4,
    ],
    ids=["words", "list", "code", "chinese", "changes"],
)
def test_of_a_growing_reply_the_first_changed_line_is_said(text):
    turn = Turn("assistant", live=True, model="M")
    view = TurnView(turn, 40)
    spared = 0
    for place in range(0, len(text), 7):
        before = said(view)
        turn.text += text[place : place + 7]
        first = view.update()
        after = said(view)
        assert before[:first] == after[:first]
        caret = 1 + len(view.body) - 1
        assert first <= max(1, min(caret, len(before) - 2))  # where the caret was and is
        spared += len(after) - first
    assert spared / (len(text) / 7) < 8


def test_a_reply_that_has_ended_is_drawn_without_its_caret():
    turn = Turn("assistant", "Some words that take more than a line of the width there is", live=True)
    view = TurnView(turn, 30)
    turn.live = False
    assert view.update() <= len(view.head) + len(view.body) - 1


async def test_a_list_in_which_nothing_has_changed_is_left_alone(chat):
    async with chat(size=(170, 40)) as running:
        await running.ask()
        sidebar = running.app.chat.widgets.sidebar
        await running.until(lambda: sidebar.is_settled and "Write a haiku" in running.text())
        with patch.object(type(sidebar.entries), "lay_out", autospec=True) as laid_out:
            sidebar.look_again()
            await running.until(lambda: sidebar.is_settled)
            assert not laid_out.called
            running.app.chat.action_new()
            await running.until(lambda: laid_out.called)


async def test_a_blink_is_drawn_again_until_something_changes(chat):
    async with chat() as running:
        await running.ready()
        composer = running.app.chat.widgets.composer
        composer.blink_timer.pause()
        composer.put("words")
        await running.pilot.pause(0.1)
        composer._toggle_cursor_blink_visible()
        composer._toggle_cursor_blink_visible()
        with patch.object(type(composer.draws), "draw_now", autospec=True, return_value=None) as anew:
            composer._toggle_cursor_blink_visible()
            composer._toggle_cursor_blink_visible()
            assert not anew.called
            composer.insert("!")
            composer._toggle_cursor_blink_visible()
            assert anew.called


async def test_a_blink_does_not_draw_over_what_has_come_before_it(chat):
    async with chat() as running:
        await running.ready()
        composer, screen = running.app.chat.query_one(Composer), running.app.chat
        composer.blink_timer.pause()
        await running.pilot.pause(0.1)
        composer._toggle_cursor_blink_visible()
        composer._toggle_cursor_blink_visible()
        (drawn, *_) = composer._blinks.values()
        assert composer.draws.draw_again(drawn)
        screen.action_toggle_panel()
        await running.pilot.pause(0.1)
        assert not composer.draws.draw_again(drawn)
