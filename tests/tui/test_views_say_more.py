"""What a view shows that one would otherwise have to guess: scales, more beyond the edge, where it begins."""

from __future__ import annotations

import re

from chatterm.chat.edits import words
from chatterm.records.inspection import Steer
from chatterm.tui.dialogs.compare import CompareScreen
from chatterm.tui.dialogs.editing import EditScreen
from chatterm.tui.dialogs.parameters import ParametersScreen
from chatterm.tui.widgets.inspector import Inspector


async def attention(it):
    await it.ask()
    await it.press("alt+3")
    view = it.app.chat.query_one(Inspector).view
    await it.until(lambda: view._overview is not None)
    return view


async def test_heads_that_are_not_in_sight_are_pointed_at(chat):
    async with chat(size=(80, 24)) as it:
        view = await attention(it)
        await it.until(lambda: re.search(r"h\d+ *↓", it.text()))
        assert "↑" not in "".join(line for line in it.text().splitlines() if "▸h" in line)
        for _number in range(len(view._overview.entropy[0])):
            view.action_move(1, 0)
        await it.until(lambda: re.search(r"h\d+ *↑", it.text()) and not re.search(r"h\d+ *↓", it.text()))


async def test_the_shades_of_entropy_reach_from_the_lowest_to_the_highest(chat):
    async with chat(size=(140, 40)) as it:
        view = await attention(it)
        every = [value for heads in view._overview.entropy for value in heads]
        assert f"entropy, {min(every):.2f} to {max(every):.2f} nats" in it.text()
        shares = [segment.text for row in view._grid(view._overview)[1:] for segment in row[2:]]
        assert {text[0] for text in shares} >= {" ", "░", "▒", "▓", "█"}


async def test_a_head_that_has_no_room_for_its_weight_says_that_it_is_cut(chat):
    async with chat(size=(120, 40)) as it:
        view = await attention(it)

        def said() -> str:
            lines = (view.render_line(y).text.strip() for y in range(view.size.height))
            return next((line for line in lines if line.startswith(f"head {view.of_layer}.{view.head} ")), "")

        await it.until(said)
        whole, cut = said(), 0
        assert whole.endswith("%") and "…" not in whole
        for columns in range(60, 36, -2):
            await it.pilot.resize_terminal(columns, 24)
            await it.until(lambda columns=columns: view.size.width <= columns // 2 and said())
            assert said() == whole or said().endswith("…"), said()
            cut += said() != whole
        assert cut


async def test_clean_and_edited_says_after_which_words_both_write_on(chat):
    async with chat(size=(120, 40)) as it:
        await it.ask()
        await it.press("f2", "left", "left", "alt+2", "alt+2", "o")
        await it.until(lambda: it.app.chat.query_one(Inspector).edits.in_force)
        await it.app.chat.run_action("compare")
        await it.until(lambda: isinstance(it.app.screen, CompareScreen) and "after “" in it.text())
        before = it.session.lookout.look.before.splitlines()[-1]
        assert before[-8:] in next(line for line in it.text().splitlines() if "│ after “" in line)


def test_how_strongly_one_steers_is_never_what_is_cut():
    assert words(Steer(15, "love " * 20, "hate " * 20, 1.5)).startswith("steered × 1.5 after block 15")


async def test_a_click_beside_a_dialog_closes_it_unless_words_would_be_lost(chat):
    async with chat(size=(120, 40)) as it:
        await it.ask()
        await it.press("f4")
        await it.until(lambda: isinstance(it.app.screen, ParametersScreen))
        await it.pilot.click(offset=(30, 8))
        await it.pilot.pause()
        assert isinstance(it.app.screen, ParametersScreen)
        await it.pilot.click(offset=(110, 30))
        await it.until(lambda: it.app.screen is it.app.chat)
        await it.press("alt+m", "up", "e")
        await it.until(lambda: isinstance(it.app.screen, EditScreen))
        await it.pilot.click(offset=(1, 1))
        await it.pilot.pause()
        assert isinstance(it.app.screen, EditScreen)
