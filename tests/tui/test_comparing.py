"""Two models side by side: both replies, where they part, what memory allows, and keeping one."""

from __future__ import annotations

import asyncio
from functools import partial

from scripted_model import HAIKU

from chatterm.chat.comparison import Comparison
from chatterm.library import AsyncLibrary
from chatterm.tui.dialogs.models_compared import ModelsScreen, Replies

OTHER = ["The", " ocean", "'s", " song", ",", "\n", " calls", " home", "."]
PATH = "/models/Scripted-1B.gguf"


def two(it) -> Comparison:
    return it.app.screen._comparison


async def begin(it) -> Comparison:
    """Answer a message, then let both answer it; the second engine has another script."""
    await it.ask()
    it.knobs.replies = [HAIKU, OTHER]
    it.app.chat.comparisons.compare_with(PATH)
    await it.until(lambda: isinstance(it.app.screen, ModelsScreen))
    comparison = two(it)
    await it.until(lambda: all(side.turn.finish for side in comparison.sides))
    await it.until(lambda: "part at token" in it.text())
    return comparison


async def test_both_answer_with_the_same_seed_and_part_somewhere(chat):
    async with chat(size=(140, 40)) as it:
        comparison = await begin(it)
        left, right = comparison.sides
        assert (left.turn.model, right.turn.model) == ("Scripted-135M", "Scripted-1B")
        assert [s.seed for s in it.knobs.samplings[-2:]] == [comparison.sampling.seed] * 2
        assert it.knobs.chats[-1] == it.knobs.chats[-2]
        assert comparison.parted == len("The ocean's ")
        assert "Both write at once" in it.text() and "They part at token 4" in it.text()
        await it.press("d")
        await it.until(lambda: "“·mirror”" in it.text() and "“·song”" in it.text())
        await it.press("left")
        await it.until(lambda: it.text().count("“'s”") == 2)
        await it.press("tab", "right", "right")
        await it.until(lambda: it.app.screen.query_one(Replies).chosen is right)
        await it.press("escape")
        await it.until(lambda: not isinstance(it.app.screen, ModelsScreen))
        await it.until(lambda: it.knobs.started[-1].closed)
        assert len(it.session.turns) == 2 and it.session.info.name == "Scripted-135M"


async def test_enter_keeps_a_reply_as_a_branch(chat, tmp_path):
    library = partial(AsyncLibrary.open_library, tmp_path / "library.sqlite3")
    async with chat(size=(140, 40), library=library) as it:
        await begin(it)
        first = it.session.last_reply
        await it.press("tab", "enter")
        await it.until(lambda: it.session.last_reply is not first and it.session.last_reply.siblings == 2)
        kept = it.session.last_reply
        assert (kept.text, kept.model) == ("".join(OTHER), "Scripted-1B")
        assert [turn.role for turn in it.session.turns] == ["user", "assistant"]
        await it.until(lambda: "‹ 2/2 ›" in it.transcript())
        await it.until(lambda: it.session.keeper.state == "saved")
    async with chat(size=(140, 40), library=library, resume=True) as it:
        await it.until(lambda: it.session.last_reply is not None)
        assert it.session.last_reply.text == "".join(OTHER)
        assert len(it.session.last_reply.tokens) == len(OTHER)


async def test_where_memory_does_not_hold_both_they_take_turns(chat):
    async with chat(size=(140, 40)) as it:
        await it.ready()
        first = it.session.engines.engine
        it.knobs.available_bytes = 1_000_000
        comparison = await begin(it)
        assert "one after the other" in comparison.note and "one after the other" in it.text()
        assert first.closed, "the first was unloaded for the second"
        await it.press("escape")
        await it.until(lambda: it.session.info is not None and it.session.info.name == "Scripted-135M")
        await it.until(
            lambda: sum(not engine.closed and engine.info is not None for engine in it.knobs.started) == 1
        )


async def test_a_model_that_cannot_be_loaded_is_a_sentence_beside_the_other_reply(chat):
    async with chat(size=(140, 40)) as it:
        await it.ask()
        it.knobs.load_error = "This file is damaged."
        it.app.chat.comparisons.compare_with(PATH)
        await it.until(lambda: "This file is damaged." in it.text())
        await it.until(lambda: two(it).sides[0].turn.finish == "end")
        await it.press("enter")
        await it.until(lambda: not isinstance(it.app.screen, ModelsScreen))
        await it.until(lambda: it.session.last_reply.siblings == 2)


async def test_leaving_while_the_other_is_loaded_gives_it_up(chat):
    async with chat(size=(140, 40)) as it:
        await it.ask()
        loaded = it.session.engines.engine
        it.knobs.load_gate = asyncio.Event()
        it.app.chat.comparisons.compare_with(PATH)
        await it.until(lambda: "loading the model" in it.text())
        await it.press("escape")
        await it.until(lambda: it.knobs.started[-1].closed)
        assert it.session.engines.engine is loaded and not loaded.closed
        it.knobs.load_gate = None
        await it.ask("and again")


async def test_from_a_command_the_palette_and_only_with_something_to_answer(chat):
    async with chat(size=(140, 40)) as it:
        await it.ready()
        it.app.chat.comparisons.compare_with(PATH)
        await it.pilot.pause()
        assert not isinstance(it.app.screen, ModelsScreen), "there is nothing to answer"
        await it.ask()
        composer = it.app.chat.widgets.composer
        composer.focus()
        composer.put(f"/compare {PATH}")
        await it.press("enter")
        await it.until(lambda: isinstance(it.app.screen, ModelsScreen))
        await it.press("escape")
        await it.press("alt+v")
        await it.until(lambda: "Scripted-1B" in it.text() and "Compare Scripted-135M with" in it.text())
        await it.press("enter")
        await it.until(lambda: isinstance(it.app.screen, ModelsScreen))
        await it.until(lambda: all(side.turn.finish for side in two(it).sides))
