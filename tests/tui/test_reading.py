"""Reading: thinking folded, words selected with the mouse, several replies, narrow screens, no colour."""

from __future__ import annotations

import pytest
from scripted_model import WORDS, vocabulary
from textual.geometry import Offset
from textual.selection import Selection
from textual.style import Style

from chatterm.chat.turns import Turn
from chatterm.tui.dialogs.dialog import Palette
from chatterm.tui.widgets.inspector import Inspector
from chatterm.tui.widgets.transcript import Transcript
from chatterm.tui.widgets.turn_view import INDENT


async def show(it, *turns: Turn) -> Transcript:
    await it.ready()
    it.session._show(list(turns))
    transcript = it.app.chat.query_one(Transcript)
    await it.until(lambda: turns[0].text in it.transcript())
    return transcript


async def test_thinking_is_folded_and_unfolds(chat):
    async with chat() as it:
        turn = Turn("assistant", "<think>Let me see.\nHm.</think>\n\nThe **answer**.", model="m")
        await show(it, Turn("user", "why?"), turn)
        assert "▸ thought · ctrl+g" in it.transcript()
        assert "Let me see." not in it.transcript()
        assert "The answer." in it.transcript()
        await it.press("ctrl+g")
        assert "▾ thought" in it.transcript() and "Let me see." in it.transcript()
        await it.press("ctrl+g")
        assert "Let me see." not in it.transcript()


async def test_tokens_behind_folded_thinking_are_found(chat, knobs):
    knobs.replies = [["<think>", " the", "</think>", "\n\n", "The", " sea", "."]]
    with vocabulary((*WORDS, "<think>", "</think>")):
        async with chat() as it:
            reply = await it.ask()
            await it.until(lambda: "▸ thought for" in it.transcript())
            transcript = it.app.chat.query_one(Transcript)
            row = next(
                y for y in range(transcript.size.height) if "The sea." in transcript.render_line(y).text
            )
            column = transcript.render_line(row).text.index("sea")
            await it.pilot.click(Transcript, offset=(column, row))
            await it.pilot.pause()
            assert it.session.lookout.pin == (reply, 5)


async def test_selected_words_are_copied_without_the_margin(chat):
    async with chat() as it:
        transcript = await show(it, Turn("user", "hi"), Turn("assistant", "one two\nthree four", model="m"))
        lines = [
            y for y in range(transcript._starts[-1])
            if (place := transcript._at(y)) and place[0].line(place[1])[0].text in ("one two", "three four")
        ]  # fmt: skip
        left = transcript._left + INDENT
        selection = Selection(Offset(left + 4, lines[0]), Offset(left + 5, lines[1]))
        assert transcript.get_selection(selection) == ("two\nthree", "\n")


async def test_the_arrows_of_several_replies_can_be_clicked(chat, knobs):
    async with chat() as it:
        first = await it.ask()
        await it.press("ctrl+r")
        await it.until(lambda: it.session.last_reply is not first and it.session.live is None)
        await it.until(lambda: "‹ 2/2 ›" in it.transcript())
        transcript = it.app.chat.query_one(Transcript)
        row = next(y for y in range(transcript.size.height) if "‹" in transcript.render_line(y).text)
        await it.pilot.click(Transcript, offset=(transcript.render_line(row).text.index("‹"), row))
        await it.until(lambda: "‹ 1/2 ›" in it.transcript())


async def test_on_a_narrow_screen_the_panel_comes_and_goes(chat):
    async with chat(size=(80, 24)) as it:
        await it.ask()
        panel = it.app.chat.query_one(Inspector)
        assert not panel.display
        await it.press("f6")
        assert panel.display
        assert any(line.startswith("▶") for line in it.panel())
        assert f"token {len(it.session.last_reply.tokens)} of" in it.panel()[-1], "all of it fits"
        await it.press("f6")
        assert not panel.display


async def test_a_wider_screen_shows_the_panel_by_itself_and_lays_out_anew(chat):
    async with chat(size=(80, 24)) as it:
        await it.ask("words " * 30 + "end")
        await it.pilot.resize_terminal(140, 40)
        await it.until(lambda: it.app.chat.query_one(Inspector).display)
        await it.until(lambda: "the deep blue moon." in it.transcript())


async def test_all_wide_characters_keep_the_columns_straight(chat, knobs):
    knobs.replies = [["苹果", "是", "水果", "。"] * 30]
    async with chat(size=(100, 30)) as it:
        await it.ask("苹果是水果吗？")
        transcript = it.app.chat.query_one(Transcript)
        panel = it.app.chat.query_one(Inspector)
        for widget in (transcript, panel):
            for y in range(widget.size.height):
                assert widget.render_line(y).cell_length == widget.size.width


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (300, 80)])
async def test_it_works_at_any_size(chat, size):
    async with chat(size=size) as it:
        await it.ask()
        for key in ("f6", "f2", "f1", "escape", "escape", "f3", "escape", "f4", "escape", "f9", "escape"):
            await it.press(key)
        assert it.app.screen is it.app.chat


async def test_everything_reads_without_colour(chat, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    async with chat() as it:
        await it.ask()
        assert it.app.no_color
        panel = "\n".join(it.panel())
        assert "▶" in panel and "removed: min-p" in panel
        await it.press("f2")
        assert "selected" in it.panel()[0]


async def test_a_palette_that_has_gone_away_can_still_make_a_line(chat):
    """Its search is told to end, and meets that only at its next wait."""
    async with chat() as it:
        await it.ready()
        await it.press("ctrl+p")
        await it.until(lambda: isinstance(it.app.screen, Palette))
        palette = it.app.screen
        await it.press("escape")
        await it.until(lambda: not palette.is_attached)
        assert Style.from_styles(palette.get_component_styles("command-palette--help-text")) is not None


async def test_the_palette_offers_what_the_keys_do(chat):
    async with chat() as it:
        await it.ready()
        titles = [command.title for command in it.app.get_system_commands(it.app.screen)]
        assert "Begin a new conversation" in titles and "Theme: chatterm-light" in titles
        it.app.show_theme("chatterm-light")
        await it.pilot.pause()
        assert it.app.theme == "chatterm-light"
        await it.press("ctrl+p")
        await it.until(lambda: it.app.screen is not it.app.chat)
        await it.press("escape")


async def test_help_explains_the_screen_one_is_on(chat):
    async with chat(size=(100, 40)) as it:
        await it.ready()
        await it.press("f1")
        assert "In the chat" in it.text() and "Temperature up by 0.05" in it.text()
        await it.press("escape", "f3")
        await it.until(lambda: "Scripted-1B" in it.text())
        await it.press("f1")
        await it.until(lambda: "Load this model" in it.text())
        await it.press("escape", "escape")
        assert it.app.screen is it.app.chat


async def test_selecting_a_token_brings_the_hidden_panel(chat):
    async with chat(size=(80, 24)) as it:
        await it.ask()
        panel = it.app.chat.query_one(Inspector)
        await it.press("f2")
        await it.until(lambda: panel.display and panel.size.width)
        assert any(line.startswith("▶ .") for line in it.panel())
        await it.press("escape")
        await it.until(lambda: not panel.display)


async def test_what_the_mouse_selected_is_copied_also_while_one_writes(chat):
    async with chat() as it:
        await it.ask()
        transcript = it.app.chat.query_one(Transcript)
        lines = [transcript.render_line(y).text for y in range(transcript.size.height)]
        row = next(y for y, line in enumerate(lines) if "reflecting" in line)
        column = lines[row].index("reflecting")
        await it.pilot.mouse_down(Transcript, offset=(column, row))
        await it.pilot.hover(Transcript, offset=(column + 4, row))
        await it.pilot.hover(Transcript, offset=(column + 9, row))
        await it.pilot.mouse_up(Transcript, offset=(column + 9, row))
        await it.pilot.pause()
        assert it.session.lookout.pin is None, "a drag selects words, not a token"
        await it.press("ctrl+c")
        assert it.app.clipboard == "reflecting"


async def test_it_is_drawn_however_narrow_the_terminal_is(chat):
    async with chat(size=(80, 24)) as it:
        await it.ready()
        for width in (1, 2, 3, 5, 8):
            await it.pilot.resize_terminal(width, 40)
            await it.pilot.pause()
            await it.press("f1", "escape", "f4", "escape", "alt+h", "escape")
        await it.pilot.resize_terminal(80, 24)
        assert it.app.screen is it.app.chat


async def test_a_reply_that_ended_without_a_token_does_not_hide_those_before_it(chat, knobs):
    async with chat() as it:
        first = await it.ask("the first question")
        second = await it.ask("the second")
        knobs.hold_at = 0
        knobs.go.clear()
        await it.press("ctrl+r")
        await it.until(lambda: it.session.live is not None)
        knobs.delay = 0.5
        await it.press("escape")
        await it.until(lambda: "stopping …" in it.text())
        await it.until(lambda: it.session.live is None)
        assert "stopping …" not in it.text() and second not in it.session.turns
        await it.press("alt+left")
        await it.until(lambda: it.session.last_reply is second)
        assert first in it.session.turns
