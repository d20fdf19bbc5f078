"""Choosing among candidates, and going on from another token."""

from __future__ import annotations

from scripted_model import HAIKU, WORDS

from chatterm.library import AsyncLibrary
from chatterm.tui.dialogs.asking import AskScreen
from chatterm.tui.dialogs.continuations import ONLY_ONE, ContinuationsScreen
from chatterm.tui.widgets.next_token import NextTokenPanel


async def choose(it, *keys):
    """Over to the candidates of the selected token."""
    await it.press("f2", *keys, "enter")
    await it.until(lambda: it.app.chat.query_one(NextTokenPanel).has_focus)
    await it.until(lambda: it.app.chat.query_one(NextTokenPanel).chosen is not None)


async def test_enter_on_a_candidate_goes_on_from_it_as_a_branch(chat):
    async with chat() as it:
        first = await it.ask()
        at = len(HAIKU) - 6
        await choose(it, *["left"] * 5)
        await it.press("down", "down")
        chosen = it.app.chat.query_one(NextTokenPanel).chosen
        assert chosen.rank == 3
        await it.press("enter")
        await it.until(lambda: it.session.last_reply is not first and it.session.live is None)
        branch = it.session.last_reply
        assert branch.tokens[:at] == first.tokens[:at], "what is kept keeps its records"
        assert branch.ids()[: at + 1] == (*first.ids(at), chosen.id)
        asked = [prompt.ids + prompt.begun for prompt, _ in it.knobs.predictions]
        assert asked[-1] == first.prompt + first.ids(at), "its record is what the model made of it there"
        assert branch.tokens[at].distribution.position == len(asked[-1])
        assert branch.text.startswith("".join([*HAIKU[:at], WORDS[chosen.id]]))
        assert it.knobs.chats[-1].begun == branch.ids(at + 1)
        assert it.knobs.samplings[-1].seed == it.knobs.samplings[0].seed, "the same random choices"
        assert branch.prompt == first.prompt
        await it.until(lambda: "‹ 2/2 ›" in it.transcript())
        await it.press("alt+left")
        await it.until(lambda: it.session.last_reply.text == first.text)
        await it.press("alt+right")
        await it.until(lambda: it.session.last_reply.text == branch.text)
        assert "put there by you" not in "\n".join(it.panel())
        await it.press("f2", *["left"] * (len(branch.tokens) - 1 - at))
        assert "put there by you" in "\n".join(it.panel())


async def test_a_running_reply_is_stopped_first(chat):
    async with chat() as it:
        live = await it.hold(at=6)
        await choose(it, "left", "left")
        await it.press("down", "enter")
        await it.until(lambda: it.session.last_reply is not live and it.session.live is None)
        assert live.finish == "stopped"
        assert it.session.last_reply.tokens[:3] == live.tokens[:3]
        assert it.session.last_reply.number != live.number


async def test_words_of_ones_own_go_into_the_reply(chat):
    async with chat() as it:
        first = await it.ask()
        await choose(it, *["left"] * 4)
        await it.press("w")
        await it.until(lambda: isinstance(it.app.screen, AskScreen))
        assert it.app.screen.query_one("Input").value == " ", "the space of the token that came is there"
        await it.press(*"moon", "enter")
        await it.until(lambda: it.session.last_reply is not first and it.session.live is None)
        branch = it.session.last_reply
        at = len(HAIKU) - 5
        assert branch.tokens[at].id == WORDS.index(" moon")
        assert branch.put_there(at) and not branch.put_there(at + 1)


async def test_a_branch_is_saved_with_all_its_tokens(chat, tmp_path):
    async def library():
        return await AsyncLibrary.open_library(tmp_path / "library.db")

    async with chat(library=library) as it:
        first = await it.ask()
        await choose(it, "left")
        await it.press("down", "enter")
        await it.until(lambda: it.session.last_reply is not first and it.session.live is None)
        await it.until(lambda: it.session.keeper.state == "saved")
        branch = it.session.last_reply
    async with chat(library=library, resume=True, model="Scripted-1B") as it:
        await it.until(lambda: it.session.turns)
        back = it.session.last_reply
        assert (back.text, back.ids(), back.siblings) == (branch.text, branch.ids(), 2)
        await it.ready()
        await it.press("f2")
        assert any(line.startswith("▶") for line in it.panel()), "records open with another model loaded"
        before = len(it.session.turns)
        await it.press("enter", "enter")
        await it.until(lambda: len(it.session.turns) > before)
        assert "Scripted-135M wrote this reply" in it.notices()[-1]


async def test_a_refused_branch_leaves_the_reply_where_it_was(chat):
    async with chat() as it:
        first = await it.ask()
        it.knobs.generate_error = "The context window is full."
        await choose(it, "left")
        await it.press("down", "enter")
        await it.until(lambda: "The context window is full." in it.notices())
        assert it.session.last_reply is first
        assert first in it.app.chat.visible_turns.turns and "mirror" in it.transcript()


async def test_one_scrolls_to_any_rank(chat):
    async with chat(candidates=5) as it:
        await it.ask()
        await choose(it, "left", "left")
        for _ in range(len(WORDS) + 3):
            await it.press("down")
        panel = it.app.chat.query_one(NextTokenPanel)
        await it.until(lambda: panel._rows.known == len(WORDS))
        for _ in range(len(WORDS)):
            await it.press("down")
        assert panel.chosen.rank == len(WORDS)
        assert f"{len(WORDS)}. " in "\n".join(it.panel())
        await it.press("home")
        assert panel.chosen.rank == 1


async def test_a_word_that_is_typed_is_found_at_its_rank(chat):
    async with chat(candidates=5) as it:
        await it.ask()
        await choose(it, "left", "left")
        await it.press("slash")
        await it.until(lambda: isinstance(it.app.screen, AskScreen))
        await it.press(*"tide", "enter")
        panel = it.app.chat.query_one(NextTokenPanel)
        await it.until(lambda: len(it.session.lookout.found) == 2 and panel._rows.cursor == -2)
        await it.press("down")
        assert panel.chosen.text == " tide"
        row = next(line for line in it.panel() if "·tide" in line)
        assert row.startswith("›") and f"{panel.chosen.rank}. ·tide" in row


async def test_every_value_of_the_table_recomputes_the_selected_token(chat):
    async with chat() as it:
        await it.ask()
        await it.press("f2", "left")
        for field, value in (
            ("top_k", 2),
            ("min_p", 0.5),
            ("repetition_penalty", 1.5),
            ("dry_multiplier", 1),
        ):
            it.session.change(**{field: value})
            await it.until(lambda: it.session.lookout.look.recomputed)
            await it.until(lambda f=field, v=value: getattr(it.knobs.predictions[-1][1], f) == v)
        assert len(it.knobs.chats) == 1, "nothing is generated"


async def test_continuations_are_drawn_with_one_seed_after_the_other(chat):
    async with chat(size=(140, 40)) as it:
        first = await it.ask()
        seed = it.session.values.sampling.seed
        await it.press("f2", *["left"] * 9, "alt+c")
        await it.until(lambda: isinstance(it.app.screen, ContinuationsScreen))
        screen = it.app.screen
        await it.until(lambda: not screen.busy and len(screen._drawn) == 5)
        greedy, *others = it.knobs.samplings[1:]
        assert greedy.temperature == 0 and "most probable" in it.text()
        assert [sampling.seed for sampling in others] == [seed + n for n in range(4)]
        assert f"seed {seed + 3}" in it.text()
        assert all(one.text == "".join(HAIKU[-10:]) for one in screen._drawn)
        await it.press("plus")
        await it.until(lambda: not screen.busy and len(screen._drawn) == 6)
        await it.press("right", "right", "enter")
        await it.until(lambda: it.session.last_reply is not first and it.session.live is None)
        branch = it.session.last_reply
        assert branch.sampling.seed == seed + 2
        assert branch.tokens[: len(HAIKU) - 10] == first.tokens[: len(HAIKU) - 10]
        assert not branch.put_there(len(HAIKU) - 10)
        await it.until(lambda: "‹ 2/2 ›" in it.transcript())


async def test_the_temperature_is_turned_among_the_continuations_and_the_greedy_one_stays(chat):
    async with chat(size=(140, 40)) as it:
        await it.ask()
        await it.press("f2", *["left"] * 9, "alt+c")
        await it.until(lambda: isinstance(it.app.screen, ContinuationsScreen))
        screen = it.app.screen
        await it.until(lambda: not screen.busy and len(screen._drawn) == 5)
        first, *before = screen._drawn
        drawn = len(it.knobs.samplings)
        await it.press("alt+up")
        await it.until(lambda: not screen.busy and len(it.knobs.samplings) == drawn + 4)
        assert screen._drawn[0] is first and not {*map(id, before)} & {*map(id, screen._drawn)}
        assert {round(sampling.temperature, 2) for sampling in it.knobs.samplings[drawn:]} == {0.85}
        assert "T 0.85" in it.text()


async def test_at_temperature_0_it_says_that_all_are_the_same(chat):
    async with chat(size=(140, 40)) as it:
        await it.ask()
        it.session.change(temperature=0.0)
        await it.press("f2", "left", "left", "alt+c")
        await it.until(lambda: ONLY_ONE in it.text())
        screen = it.app.screen
        await it.until(lambda: not screen.busy)
        assert len(screen._drawn) == 1
        await it.press("plus")
        assert len(screen._drawn) == 1
        chats = len(it.session.turns)
        await it.press("escape")
        assert it.app.screen is it.app.chat and len(it.session.turns) == chats
