"""What the panel and the line at the foot say while the panel has the keys, and what is kept for whom."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from chatterm.language import _
from chatterm.tui.widgets.inspector import Inspector
from chatterm.tui.widgets.key_line import KeyLine
from chatterm.tui.widgets.transcript import Transcript


def foot(it) -> str:
    return it.app.chat.query_one(KeyLine).render_line(0).text


async def test_the_foot_names_the_keys_that_work_while_a_view_has_them(chat):
    async with chat(size=(120, 40)) as it:
        await it.ask()
        assert "ctrl+r again" in foot(it)
        await it.press("alt+2", "alt+2")
        await it.until(lambda: "[ ] token" in foot(it))
        assert "esc back" in foot(it) and "ctrl+r" not in foot(it)
        await it.press("escape")
        await it.until(lambda: "ctrl+r again" in foot(it))


@pytest.mark.parametrize("key", ["alt+2", "alt+3", "alt+4", "alt+5"])
async def test_another_token_is_looked_at_in_the_view_that_is_open(chat, key):
    async with chat(size=(120, 40)) as it:
        reply = await it.ask()
        await it.press(key, key, "left_square_bracket")
        await it.until(lambda: it.session.lookout.pin == (reply, len(reply.tokens) - 2))
        inspector = it.app.chat.query_one(Inspector)
        assert inspector.opened != "next" and inspector.view.has_focus
        await it.press("right_square_bracket")
        await it.until(lambda: it.session.lookout.pin == (reply, len(reply.tokens) - 1))


async def test_a_token_typed_for_comparison_is_forgotten_with_its_conversation(chat):
    async with chat(size=(120, 40)) as it:
        await it.ask()
        await it.press("alt+4", "alt+4", "t")
        await it.until(lambda: isinstance(it.app.focused, Input))
        await it.press(*"deep", "enter")
        view = it.app.chat.query_one(Inspector).view
        await it.until(lambda: view.versus == "typed")
        await it.press("ctrl+r")
        await it.until(lambda: it.session.live is None and it.session.last_reply.siblings == 2)
        assert view.versus == "typed", "it is the same conversation"
        await it.press("ctrl+n")
        await it.until(lambda: view.versus == "nothing")


async def test_an_adopted_continuation_has_its_candidates_even_if_nothing_more_comes(chat, knobs):
    async with chat(size=(120, 40)) as it:
        await it.ask()
        await it.press("f2", "left", "left", "alt+c")
        await it.until(lambda: it.text().count("ends here") == 5)
        await it.press("enter")
        await it.until(lambda: it.app.screen is it.app.chat and it.session.live is None)
        await it.until(lambda: any(line.startswith("▶") for line in it.panel()))
        assert "without token records" not in it.text()


async def test_messages_that_come_while_tokens_are_coloured_are_coloured_too(chat):
    async with chat(size=(120, 40)) as it:
        await it.ask("Write about the sea.")
        await it.press("alt+s")
        await it.ask("Write about the moon.")
        asked = [turn for turn in it.session.turns if turn.role == "user"]
        await it.until(lambda: all(any(t.logprob is not None for t in turn.given) for turn in asked))
        assert it.app.chat.query_one(Transcript).measure is not None


async def test_at_sixty_columns_the_panel_leaves_the_conversation_half_of_them(chat):
    async with chat(size=(60, 20)) as it:
        await it.ask()
        await it.press("f6")
        await it.until(lambda: it.app.chat.query_one(Inspector).region.width == 30)
        await it.pilot.resize_terminal(80, 24)
        await it.until(lambda: it.app.chat.query_one(Inspector).region.width == 40)


async def test_why_the_panel_is_empty_is_said_in_whole_in_chinese(chat):
    async with chat(size=(60, 20), language="zh") as it:
        await it.ready()
        await it.press("f6")
        await it.until(lambda: it.app.chat.query_one(Inspector).display)
        said = _("Nothing has been written yet. The candidates for each token appear here as it is written.")
        await it.until(lambda: "".join(said.split()) in "".join("".join(it.panel()).split()))


async def test_a_new_conversation_begins_with_the_same_values_whatever_went_before(chat):
    async with chat(size=(120, 40)) as it:
        await it.ready()
        at_first = it.session.values.sampling
        it.session.change(temperature=0.3, seed=7)
        await it.press("ctrl+n")
        assert it.session.values.sampling.replace(seed=at_first.seed) == at_first
        assert not it.session.values.seed_is_chosen
        await it.ask()
        it.session.change(top_k=3)
        number = it.session.keeper.conversation
        await it.press("ctrl+n")
        await it.session.resume(number)
        assert it.session.values.sampling.top_k == 3
        await it.press("ctrl+n")
        assert it.session.values.sampling.top_k == at_first.top_k
