"""A chosen message, and the tree: nothing that was said is ever overwritten."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_model import CHINESE, HAIKU

from chatterm.chat.branches import unchanged
from chatterm.chat.turns import Turn
from chatterm.library import AsyncLibrary, Library, Node
from chatterm.tui.dialogs.editing import EditScreen, Words
from chatterm.tui.dialogs.tree import TreeScreen, guided
from chatterm.tui.text.code import code_at, code_blocks
from chatterm.tui.widgets.message_bar import MessageBar


@pytest.fixture
def opened(library_file):
    return partial(AsyncLibrary.open_library, library_file)


def node(number: int, parent: int | None, depth: int = 0) -> Node:
    return Node(number, parent, depth, "user", "done", 0.0, None, "", 0, False)


async def edited(it, text: str) -> None:
    """Open the editor on the chosen message, write, and go on."""
    await it.press("e")
    await it.until(lambda: isinstance(it.app.screen, EditScreen))
    it.app.screen.query_one(Words).load_text(text)
    await it.press("enter")
    await it.until(lambda: not isinstance(it.app.screen, EditScreen))


async def quiet(it) -> None:
    await it.until(lambda: it.session.live is None and it.session.keeper.state != "saving")


def texts(it) -> list[str]:
    return [turn.text for turn in it.session.turns]


def test_only_what_has_siblings_is_indented():
    nodes = [node(1, None), node(2, 1), node(3, 2), node(4, 3), node(5, 2), node(6, 5)]
    assert [branchlet.guides for branchlet in guided(nodes)] == ["", "", "├─", "│ ", "└─", "  "]


def test_copied_code_is_the_code_alone():
    text = "Look:\n\n```python\nprint(1)\n```\n\n- item\n\n  ```\n  a\n  ```\n"
    assert [(block.language, block.code) for block in code_blocks(text)] == [
        ("python", "print(1)\n"), ("", "a\n"),
    ]  # fmt: skip
    assert code_at(text, text.index("print")).code == "print(1)\n"
    assert code_at(text, text.index("item")) is None


class Piece:
    def __init__(self, text: str) -> None:
        self.text = text


@given(st.lists(st.text("ab苹", max_size=3), max_size=8), st.text("ab苹", max_size=12))
def test_tokens_are_kept_up_to_the_first_difference(pieces, text):
    reply = Turn("assistant")
    for piece in pieces:
        reply.add(Piece(piece))
    kept = unchanged(reply, text)
    assert text.startswith("".join(pieces[:kept]))
    longer = [n for n in range(len(pieces)) if pieces[n] and text.startswith("".join(pieces[: n + 1]))]
    assert kept == (longer[-1] + 1 if longer else 0), "and no more could be"


async def test_an_edited_message_is_a_version_of_its_own(chat, knobs):
    knobs.replies = [HAIKU, CHINESE]
    async with chat() as it:
        await it.ask("one")
        await it.press("alt+m", "up")
        await edited(it, "one, but shorter")
        await it.until(lambda: texts(it)[-1:] == ["".join(CHINESE)])
        await quiet(it)
        assert texts(it) == ["one, but shorter", "".join(CHINESE)]
        assert [m.content for m in knobs.chats[-1].messages] == ["one, but shorter"]
        assert "‹ 2/2 ›" in it.transcript()
        await it.press("alt+m", "up", "left")
        await it.until(lambda: texts(it) == ["one", "".join(HAIKU)])
        bar = it.app.chat.query_one(MessageBar)
        assert bar.turn is it.session.turns[0], "the same place stays chosen"
        assert "version 1 of 2" in it.text()


async def test_the_model_goes_on_from_other_words_in_its_reply(chat, knobs):
    async with chat() as it:
        first = await it.ask()
        await it.press("alt+m")
        await edited(it, "The ocean sea")
        await it.until(lambda: it.session.last_reply is not first)
        await quiet(it)
        reply = it.session.last_reply
        assert reply.text.startswith("The ocean sea")
        assert reply.tokens[:2] == first.tokens[:2], "what is still the same keeps its records"
        assert (reply.kept, reply.chosen) == (2, 1)
        assert (reply.sibling, reply.siblings) == (2, 2)
        assert first.text == "".join(HAIKU)


def other_model(it, reply, monkeypatch) -> str:
    reply.model = "Another"
    return "load it with ctrl+o"


def too_long(it, reply, monkeypatch) -> str:
    monkeypatch.setattr("chatterm.chat.branches.MOST_TOKENS", 2)
    return "at most 2 can be put into a reply"


def no_tokens(it, reply, monkeypatch) -> str:
    reply.tokens.clear()
    return "Only a reply can go on otherwise"


def died(it, reply, monkeypatch) -> str:
    it.session.engines.engine.alive = False
    return "memory ran out"


def no_longer_shown(it, reply, monkeypatch) -> str:
    it.session.turns.remove(reply)
    return "no longer shown"


@pytest.mark.parametrize("trouble", [other_model, too_long, no_tokens, died, no_longer_shown])
async def test_other_words_that_cannot_be_taken_are_never_lost(trouble, chat, monkeypatch):
    async with chat() as it:
        reply = await it.ask()
        await it.press("alt+m", "e")
        await it.until(lambda: isinstance(it.app.screen, EditScreen))
        words = it.app.screen.query_one(Words)
        words.load_text("The ocean and twenty minutes")
        says = trouble(it, reply, monkeypatch)
        await it.press("enter")
        await it.until(lambda: says in " ".join(it.text().replace("│", " ").split()))
        assert isinstance(it.app.screen, EditScreen) and words.text == "The ocean and twenty minutes"
        if trouble is died:
            await it.until(lambda: it.session.engines.engine is not None and not it.session.host.is_busy)
            await it.press("enter")
            await it.until(lambda: it.session.last_reply is not reply)
            await quiet(it)
            assert (it.session.last_reply.kept, it.session.last_reply.chosen) == (2, 3)


async def test_words_that_an_engine_died_over_stand_there_again(chat, monkeypatch):
    async with chat() as it:
        first = await it.ask()
        engine = it.session.engines.engine

        async def die(*_arguments, **_more):
            engine.alive = False
            engine._check()

        monkeypatch.setattr(engine, "predict", die)
        await it.press("alt+m")
        await edited(it, "The ocean sea")
        await it.until(lambda: it.session.engines.engine not in (engine, None))
        await it.until(lambda: not it.session.host.is_busy)
        assert it.session.last_reply is first
        await it.press("alt+m", "e")
        await it.until(lambda: isinstance(it.app.screen, EditScreen))
        assert it.app.screen.query_one(Words).text == "The ocean sea"
        await it.press("enter")
        await it.until(lambda: it.session.last_reply is not first)
        await quiet(it)
        await it.press("alt+left")
        await it.until(lambda: it.session.last_reply is first)
        await it.press("alt+m", "e")
        await it.until(lambda: isinstance(it.app.screen, EditScreen))
        assert it.app.screen.query_one(Words).text == first.text, "these words have come to something"


async def test_a_stopped_reply_goes_on_as_the_same_message(chat, opened, library_file, knobs):
    async with chat(library=opened) as it:
        live = await it.hold(at=5)
        await it.press("escape")
        await quiet(it)
        knobs.hold_at = None
        await it.press("alt+m", "c")
        await it.until(lambda: it.session.last_reply is not live and it.session.live is None)
        await quiet(it)
        reply = it.session.last_reply
        assert knobs.chats[-1].begun == live.ids(5)
        assert reply.text == "".join(HAIKU)
        assert reply.number == live.number
        with Library(library_file) as library:
            message = library.message(reply.number)
            assert (message.content, message.siblings) == ("".join(HAIKU), 1)
            assert message.tokens == len(HAIKU)


async def test_an_answered_reply_goes_on_as_a_branch(chat):
    async with chat() as it:
        first = await it.ask("one")
        await it.ask("two")
        await it.press("alt+m", "up", "up", "c")
        await it.until(lambda: it.session.last_reply not in (first, None) and len(texts(it)) == 2)
        await quiet(it)
        assert (it.session.last_reply.sibling, it.session.last_reply.siblings) == (2, 2)
        await it.press("alt+left")
        await it.until(lambda: len(texts(it)) == 4)


async def test_another_reply_in_the_middle_leaves_the_rest_where_it_was(chat, knobs):
    knobs.replies = [HAIKU, HAIKU, CHINESE]
    async with chat() as it:
        await it.ask("one")
        await it.ask("two")
        await it.press("alt+m", "up", "up", "r")
        await it.until(lambda: texts(it) == ["one", "".join(CHINESE)] and it.session.live is None)
        await quiet(it)
        await it.press("alt+t")
        await it.until(lambda: isinstance(it.app.screen, TreeScreen))
        assert "2 ways through it" in it.text()
        await it.press("home", "down", "down", "enter")
        await it.until(lambda: texts(it)[2:3] == ["two"])
        assert len(texts(it)) == 4


async def test_messages_and_code_are_copied(chat, knobs):
    async with chat() as it:
        await it.ask("one")
        reply = it.session.last_reply
        reply.text = "**Look**:\n\n```\nfirst\n```\n\n```py\nsecond\x1b[201~\n```\n"
        await it.press("alt+y")
        assert it.app.clipboard == reply.text.replace("\x1b", "␛")
        await it.press("alt+m", "k")
        assert it.app.clipboard == "second␛[201~\n"
        await it.press("k")
        assert it.app.clipboard == "first\n"
        await it.press("t")
        assert it.app.clipboard.startswith("Look:\n\n")


async def test_the_sign_on_a_block_of_code_copies_it(chat):
    async with chat() as it:
        reply = await it.ask("one")
        reply.text = "Look:\n\n```py\nprint(1)\n```\n"
        transcript = it.app.chat.query_one("Transcript")
        transcript._lay_out()
        await it.pilot.pause()
        row, line = next((n, line) for n, line in enumerate(it.transcript().split("\n")) if "⧉" in line)
        await it.pilot.click("Transcript", offset=(line.index("⧉"), row))
        await it.pilot.pause()
        assert it.app.clipboard == "print(1)\n"


async def test_a_click_on_a_name_chooses_the_message(chat):
    async with chat() as it:
        await it.ask("one")
        row, line = next((n, line) for n, line in enumerate(it.transcript().split("\n")) if "you" in line)
        await it.pilot.click("Transcript", offset=(line.index("you"), row))
        await it.pilot.pause()
        assert it.app.chat.query_one(MessageBar).turn is it.session.turns[0]
        await it.press("escape")
        assert it.app.chat.query_one(MessageBar).turn is None


async def test_the_palette_has_what_can_be_done_with_a_message_and_conversations(chat):
    async with chat() as it:
        await it.ask("about cats")
        await it.press("ctrl+n")
        reply = await it.ask("about dogs")
        await it.press("ctrl+p", *"copy it as markdown")
        await it.until(lambda: "Copy it as Markdown" in it.text())
        await it.press("enter")
        await it.until(lambda: it.app.clipboard == reply.text)
        await it.press("ctrl+p", *"about cats")
        await it.until(lambda: "Go on with “about cats”" in it.text())
        await it.press("enter")
        await it.until(lambda: it.session.turns and it.session.turns[0].text == "about cats")
