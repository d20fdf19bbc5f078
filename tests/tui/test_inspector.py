"""The tabs of the glass box under a pilot, on the scripted engine."""

from __future__ import annotations

import math

import pytest
from scripted_glass import LAYERS, lens
from scripted_model import WORDS

from chatterm.records.generation import Tokens
from chatterm.records.inspection import (
    ApplyEdits,
    AttentionHead,
    Compare,
    Contributions,
    HeadPatterns,
    Lens,
    Neurons,
    ScaleBlock,
    ScaleFeedForward,
    ScaleHead,
)
from chatterm.tui.widgets.composer import Composer
from chatterm.tui.widgets.inspector import Inspector
from chatterm.tui.widgets.tab_strip import TABS, TabStrip

GLASS = [tab.key for tab in TABS[1:]]


def asked(it, kind) -> list:
    return [question for question in it.knobs.questions if isinstance(question, kind)]


async def look(it, key: str, *, into: bool = True) -> Inspector:
    """Walk to a token in the middle, open a view, and give it the keys."""
    await it.ask()
    await it.press("f2", "left", "left", "left", "left")
    it.app.chat.action_open_view(key)
    inspector = it.app.chat.query_one(Inspector)
    await it.until(lambda: inspector.inspecting.idle and inspector.view.size.height > 0)
    if into:
        inspector.view.focus()
    await settled(it)
    return inspector


async def settled(it) -> None:
    inspector = it.app.chat.query_one(Inspector)
    await it.pilot.pause()
    await it.until(lambda: inspector.inspecting.idle)
    await it.pilot.pause()


def shown(it) -> str:
    view = it.app.chat.query_one(Inspector).view
    return "\n".join(view.render_line(y).text.rstrip() for y in range(view.size.height))


async def type_in(it, text: str) -> None:
    await it.press(*({" ": "space", ".": "full_stop"}.get(c, c) for c in text), "enter")


# --- tabs -----------------------------------------------------------------------------------------------


async def test_keys_go_round_the_tabs_while_the_message_has_the_focus(chat):
    async with chat() as it:
        await it.ask()
        inspector = it.app.chat.query_one(Inspector)
        for key in [*GLASS, "next"]:
            await it.press("f5")
            assert inspector.opened == key
            assert it.app.focused is it.app.chat.query_one(Composer)
        await it.press("shift+f5")
        assert inspector.opened == "edits"
        await it.press("alt+3")
        assert inspector.opened == "attention"
        await it.press("alt+3")
        assert it.app.focused is inspector.view
        await it.press("escape")
        assert it.app.focused is it.app.chat.query_one(Composer)


async def test_a_click_opens_a_tab(chat):
    async with chat() as it:
        await it.ask()
        strip = it.app.chat.query_one(TabStrip)
        text = strip.render_line(0).text
        await it.pilot.click(TabStrip, offset=(1 + text.index("neur"), 0))
        assert it.app.chat.query_one(Inspector).opened == "neurons"


async def test_closed_panels_ask_nothing(chat):
    async with chat() as it:
        await it.ask()
        await it.press("f2", "left", "left")
        assert not it.knobs.questions or not asked(it, (Lens, AttentionHead, Contributions, Neurons))
        await it.press("alt+2")
        await settled(it)
        assert asked(it, Lens) and not asked(it, (AttentionHead, Contributions, Neurons))
        await it.press("escape", "f6")
        before = len(asked(it, Lens))
        await it.ask("Once more.")
        assert len(asked(it, Lens)) == before, "nor does a hidden one"


async def test_the_panel_takes_the_whole_screen_and_gives_it_back(chat):
    async with chat() as it:
        inspector = await look(it, "lens")
        width = inspector.size.width
        await it.press("f10")
        await settled(it)
        assert inspector.size.width == it.app.size.width
        await it.press("escape")
        assert inspector.size.width == width


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60), (60, 14)])
async def test_every_line_of_every_view_is_exactly_as_wide_as_the_panel(chat, size):
    async with chat(size) as it:
        await look(it, GLASS[0])
        for key in GLASS:
            for maximised in (False, True):
                it.app.chat.action_open_view(key)
                if maximised:
                    await it.press("f10")
                await settled(it)
                view = it.app.chat.query_one(Inspector).view
                assert view.size.width > 0
                for y in range(view.size.height):
                    assert view.render_line(y).cell_length == view.size.width, (key, maximised, y)
            await it.press("f10")


@pytest.mark.parametrize("key", [key for key in GLASS if key != "edits"])
async def test_empty_views_say_what_would_fill_them(chat, key):
    async with chat() as it:
        await it.ready()
        it.app.chat.action_open_view(key)
        await settled(it)
        text = shown(it)
        assert "Nothing has been written yet" in text or "types a word" in text


async def test_without_a_model_the_view_says_so(chat):
    async with chat(model="nothing") as it:
        it.knobs.load_error = "It cannot be loaded."
        it.app.chat.action_open_view("lens")
        await it.until(lambda: "No model is loaded" in shown(it) or it.session.info is not None)
        assert it.session.info is not None or "ctrl+o" in shown(it)


async def test_an_error_is_one_sentence_in_the_panel(chat):
    async with chat() as it:
        it.knobs.inspect_error = "The lens cannot be computed for this model."
        await look(it, "lens")
        assert "The lens cannot be computed" in shown(it)


async def test_a_message_of_another_model_says_which_to_load(chat):
    async with chat() as it:
        await look(it, "lens")
        await it.session.host.open("Scripted-1B")
        await it.until(lambda: "Scripted-135M" in shown(it).replace("\n", " "))


async def test_while_a_reply_is_written_the_view_follows(chat):
    async with chat() as it:
        it.app.chat.action_open_view("lens")
        live = await it.hold(at=6)
        await it.until(lambda: asked(it, Lens))
        question = asked(it, Lens)[-1]
        assert question.prompt.ids[: len(live.prompt)] == live.prompt
        assert len(asked(it, Lens)) <= 2, "not once a token"
        it.knobs.go.set()
        await it.until(lambda: it.session.live is None)
        await it.until(lambda: asked(it, Lens)[-1].target == live.tokens[-1].id)


async def test_a_wait_is_said_and_the_keys_still_work(chat):
    import asyncio

    async with chat() as it:
        await it.ask()
        it.knobs.inspect_gate = asyncio.Event()
        await it.press("alt+2", "alt+2")
        view = it.app.chat.query_one(Inspector).view
        await it.until(lambda: view.waiting)
        await it.press("alt+7")
        assert it.app.chat.query_one(Inspector).opened == "edits"
        it.knobs.inspect_gate.set()
        await settled(it)


# --- the views ------------------------------------------------------------------------------------------


async def test_the_lens_shows_the_numbers_of_the_answer(chat):
    async with chat() as it:
        await look(it, "lens")
        moment = await it.session.moment()
        read = lens(Lens(Tokens(moment.before), 3, moment.token)).positions[-1]
        last = read.layers[-1]
        text = shown(it)
        assert f"▸  {LAYERS - 1}" in text
        assert f"{last.candidates[0].p:.1%}" in text
        assert f"rank {last.target_rank}" in text
        await it.press("down", "down")
        assert f"block {LAYERS - 3}:" in shown(it)
        await it.press("g")
        await settled(it)
        assert asked(it, Lens)[-1].positions > 1
        assert "underlined: what came" in shown(it)


async def test_the_lens_switches_a_block_off_and_the_status_line_says_so(chat):
    async with chat() as it:
        inspector = await look(it, "lens")
        await it.press("down", "o")
        await it.until(lambda: inspector.edits.in_force == (ScaleBlock(LAYERS - 2),))
        await it.until(lambda: f"✎ edited: block {LAYERS - 2} off" in it.text())
        assert "model edited" in shown(it)
        await it.press("f")
        await it.until(lambda: len(inspector.edits.in_force) == 2)
        assert inspector.edits.in_force[1] == ScaleFeedForward(LAYERS - 2)
        await it.press("o", "f")
        await it.until(lambda: not inspector.edits.in_force)
        await it.until(lambda: "✎" not in it.text())


async def test_attention_walks_over_heads_and_says_the_mass_on_the_first_token(chat):
    async with chat() as it:
        inspector = await look(it, "attention")
        await it.press("right", "right", "down")
        await settled(it)
        question = asked(it, AttentionHead)[-1]
        assert (question.layer, question.head) == (2, 1)
        text = shown(it)
        assert "head 2.1" in text and "first token" in text and "outside the window of 16" in text
        await it.press("m", "m")
        await settled(it)
        assert "weight on" in shown(it)
        await it.press("h")
        await settled(it)
        assert asked(it, AttentionHead)[-1].rows > 1 and "looked at →" in shown(it)
        await it.press("p")
        await settled(it)
        assert asked(it, HeadPatterns) and "all heads of layer 2" in shown(it)
        await it.press("o")
        await it.until(lambda: inspector.edits.in_force == (ScaleHead(2, 1),))


async def test_contributions_add_up_on_the_screen(chat):
    async with chat() as it:
        await look(it, "contributions")
        text = shown(it)
        logit = float(text.partition("logit of ")[2].partition(": ")[2].split()[0])
        total = float(text.partition("sum ")[2].split()[0])
        assert math.isclose(logit, total, abs_tol=2e-3)
        await it.press("r")
        await settled(it)
        assert asked(it, Contributions)[-1].against is not None
        await it.press("t")
        await it.until(lambda: it.app.screen is not it.app.chat)
        await type_in(it, "The")
        await it.until(lambda: asked(it, Contributions)[-1].against == WORDS.index("The"))
        await settled(it)
        assert "− The" in shown(it)


async def test_neurons_of_one_layer_or_all(chat):
    async with chat() as it:
        inspector = await look(it, "neurons")
        assert "all layers" in shown(it)
        await it.press("right", "right")
        await settled(it)
        assert asked(it, Neurons)[-1].layer == 1 and "layer 1" in shown(it)
        await it.press("down", "o")
        await it.until(lambda: inspector.edits.in_force)
        assert inspector.edits.in_force[0].layer == 1


async def test_embeddings_take_words_analogies_and_a_map(chat):
    async with chat() as it:
        await look(it, "embeddings")
        assert "state after block 29" in shown(it)
        await it.press("a")
        await it.until(lambda: it.app.screen is not it.app.chat)
        for word in ("king", "man", "woman"):
            await type_in(it, word)
        await it.until(lambda: it.app.screen is it.app.chat)
        await settled(it)
        assert "king − man + woman" in shown(it)
        await it.press("l")
        await it.until(lambda: it.app.screen is not it.app.chat)
        await type_in(it, "sea sky moon")
        await it.until(lambda: it.app.screen is it.app.chat)
        await settled(it)
        assert all(word in shown(it) for word in ("sea", "sky", "moon", "variance"))


async def test_edits_are_listed_switched_and_compared(chat):
    async with chat() as it:
        inspector = await look(it, "edits")
        await it.press("n")
        await it.until(lambda: it.app.screen is not it.app.chat)
        await type_in(it, "head 7.3")
        await it.until(lambda: inspector.edits.in_force == (ScaleHead(7, 3),))
        await it.until(lambda: "● head 7.3 off" in shown(it))
        await it.press("right")
        await it.until(lambda: inspector.edits.in_force == (ScaleHead(7, 3, 0.25),))
        await it.press("c")
        await it.until(lambda: "KL here" in it.text())
        question = asked(it, Compare)[-1]
        assert question.edits == (ScaleHead(7, 3, 0.25),) and question.max_tokens > 0
        assert "clean wrote" in it.text() and "1.250" in it.text()
        await it.press("escape")
        inspector.view.focus()
        await it.press("space")
        await it.until(lambda: not inspector.edits.in_force)
        assert asked(it, ApplyEdits)[-1] == ApplyEdits(())
        await it.press("delete")
        assert not inspector.edits.entries


async def test_nothing_to_compare_is_said(chat):
    async with chat() as it:
        await look(it, "edits")
        await it.press("c")
        await it.until(lambda: any("Nothing is edited" in n.message for n in it.app._notifications))


async def test_the_self_check_lists_what_does_not_hold_first(chat):
    async with chat() as it:
        await it.ready()
        it.app.chat.action_self_check()
        await it.until(lambda: "1 of 2 do not hold" in it.text())
        text = it.text()
        assert text.index("✗ attention rows sum to 1") < text.index("✓ the lens after the last block")
        assert "2.0e-03 > 1e-05" in text
