"""The list of conversations: finding, opening, naming, pinning, deleting; several windows at once."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import partial

import pytest
from scripted_model import CHINESE, HAIKU

from chatterm.errors import UserError
from chatterm.library import AsyncLibrary, Conversation, Hit, Library
from chatterm.tui.widgets.composer import Composer
from chatterm.tui.widgets.conversation_list import conversation_rows, day_of, snippet_lines, time_of
from chatterm.tui.widgets.sidebar import Sidebar

TODAY = date(2026, 3, 15)


@pytest.fixture
def opened(library_file):
    return partial(AsyncLibrary.open_library, library_file)


def conversation(number: int, title: str, days: int = 0, *, pinned: bool = False) -> Conversation:
    then = (datetime.combine(TODAY, datetime.min.time()) - timedelta(days=days)).timestamp()
    return Conversation(number, title, False, then, then, pinned, None, "Scripted-135M", "", None)


def sidebar(it) -> Sidebar:
    return it.app.chat.query_one(Sidebar)


def listed(it) -> list[str]:
    return [row.text for row in sidebar(it).entries._rows if row.conversation is not None]


async def settle(it) -> None:
    await it.until(lambda: sidebar(it).is_settled)


async def open_list(it) -> None:
    await it.press("f9")
    await settle(it)


def test_headings_say_the_day_as_people_do():
    rows = conversation_rows(
        [
            conversation(1, "kept", 40, pinned=True),
            conversation(2, "now"),
            conversation(3, "before", 1),
            conversation(4, "in the week", 6),
            conversation(5, "long ago", 7),
            conversation(6, "longer ago", 14),
            conversation(7, "in February", 20),
        ],
        TODAY,
    )
    assert [row.text for row in rows] == [
        "pinned", "kept", "today", "now", "yesterday", "before", "the last seven days", "in the week",
        "2026-03", "long ago", "longer ago", "2026-02", "in February",
    ]  # fmt: skip


@pytest.mark.parametrize("before", ["", "word " * 20, "字" * 38])
def test_the_words_that_were_searched_for_are_in_sight_and_marked(before):
    text = before + "苹果 pie" + " after" * 20
    spans = ((len(before), len(before) + 2),)
    lines = snippet_lines(Hit(1, "t", 2, "user", 0.0, text, spans), 28)
    assert len(lines) <= 2
    assert all(line.width <= 28 for line in lines)
    marked = [span.text for line in lines for span in line.spans if span.style & (1 << 15)]
    assert "".join(marked) == "苹果"


async def test_the_list_shows_what_is_open_and_opens_another(chat):
    async with chat() as it:
        await it.ask("about cats")
        await it.press("ctrl+n")
        await it.ask("about [red]dogs[/red]")
        await open_list(it)
        assert listed(it) == ["about [red]dogs[/red]", "about cats"]
        assert any("● about [red]dogs" in line for line in it.lines())
        await it.press("down", "enter")
        await it.until(lambda: it.session.turns and it.session.turns[0].text == "about cats")
        assert not it.app.chat.has_class("-sidebar"), "a drawer closes"
        assert it.app.chat.query_one(Composer).has_focus


async def test_it_stands_beside_the_chat_where_there_is_room(chat):
    async with chat(size=(170, 40)) as it:
        await it.ask("about cats")
        await settle(it)
        assert listed(it) == ["about cats"]
        assert it.app.chat.query_one(Composer).has_focus
        await it.press("f9", "f9")
        assert not it.app.chat.has_class("-sidebar")


async def test_search_finds_words_in_all_conversations_and_opens_at_the_hit(chat, knobs):
    async with chat() as it:
        knobs.replies = [HAIKU]
        await it.ask("about cats")
        await it.press("ctrl+n")
        knobs.replies = [CHINESE]
        await it.ask("about dogs")
        await it.press("alt+q", *"mirror")
        await it.until(lambda: any("mirror" in line and "search" not in line for line in it.lines()))
        await settle(it)
        await it.press("down", "enter")
        await it.until(lambda: it.session.turns and it.session.turns[0].text == "about cats")
        pointed = it.app.chat.query_one("Transcript")._pointed
        assert pointed is not None
        assert pointed[0].text[pointed[1] : pointed[2]] == "mirror"


async def test_titles_are_changed_in_place_and_pinned_ones_come_first(chat):
    async with chat() as it:
        await it.ask("about cats")
        await it.press("ctrl+n")
        await it.ask("about dogs")
        await open_list(it)
        await it.press("down", "p")
        await it.until(lambda: listed(it) == ["about cats", "about dogs"])
        assert sidebar(it).entries.row.text == "about cats", "the cursor stays on it"
        await it.press("r", *["backspace"] * 10, *"苹果", "enter")
        await it.until(lambda: listed(it) == ["苹果", "about dogs"])
        await it.press("r", "x", "escape")
        await settle(it)
        assert listed(it) == ["苹果", "about dogs"]


async def test_what_was_deleted_comes_back(chat):
    async with chat() as it:
        await it.ask("about cats")
        await it.press("ctrl+n")
        await it.ask("about dogs")
        await open_list(it)
        await it.press("d")
        await it.until(lambda: listed(it) == ["about cats"])
        assert it.session.turns == [], "the chat does not go on in what was deleted"
        await it.press("u")
        await it.until(lambda: listed(it) == ["about dogs", "about cats"])


async def test_what_could_not_be_brought_back_can_be_once_there_is_room(chat, monkeypatch):
    async def full(*_arguments):
        raise UserError("The disk is full.")

    async with chat() as it:
        await it.ask("about cats")
        await open_list(it)
        await it.press("d")
        await it.until(lambda: listed(it) == [])
        with monkeypatch.context() as patch:
            patch.setattr(AsyncLibrary, "undelete", full)
            await it.press("u")
            await it.until(lambda: any("disk is full" in n.message for n in it.app._notifications))
        await it.press("u")
        await it.until(lambda: listed(it) == ["about cats"])


async def test_what_is_open_in_another_window_is_said_and_not_deleted(chat, opened, library_file):
    with Library(library_file) as other:
        number = other.create().id
        other.add_message(number, None, "user", "theirs")
        other.hold(number)
        async with chat(library=opened) as it:
            await it.ready()
            await open_list(it)
            assert "open in another window" in it.text()
            await it.press("d")
            await it.until(lambda: any("close it there" in n.message for n in it.app._notifications))
            assert listed(it) == ["theirs"]
            other.hold(None)
            await it.press("d")
            await it.until(lambda: listed(it) == [])


async def test_a_window_says_what_it_has_open_until_it_leaves_it(chat, opened, library_file):
    with Library(library_file) as other:
        async with chat(library=opened) as it:
            await it.ask("mine")
            assert other.open_elsewhere() == {it.session.keeper.conversation}
            await it.press("ctrl+n")
            await it.until(lambda: other.open_elsewhere() == frozenset())
        assert other.open_elsewhere() == frozenset()


async def test_thousands_are_listed_a_page_at_a_time(chat, opened, library_file, monkeypatch):
    monkeypatch.setattr("chatterm.tui.widgets.sidebar.PAGE", 40)
    monkeypatch.setattr("chatterm.tui.widgets.conversation_list.AHEAD", 0)
    with Library(library_file) as library:
        for number in range(100):
            library.add_message(library.create().id, None, "user", f"number {number}")
    async with chat(library=opened) as it:
        await it.ready()
        await open_list(it)
        assert len(listed(it)) == 40
        for count in (80, 100):
            await it.press("end")
            await it.until(lambda count=count: len(listed(it)) == count)
        await settle(it)
        assert listed(it)[-1] == "number 0"


async def test_a_conversation_goes_on_with_its_own_values_and_system_prompt(chat, opened, knobs):
    async with chat(library=opened, system_prompt="Speak like a pirate.") as it:
        await it.ready()
        it.session.change(temperature=0.3, top_k=7)
        await it.ask("one")
        it.session.change(temperature=0.2)
    async with chat(library=opened, resume=True) as it:
        await it.ready()
        await it.until(lambda: it.session.turns)
        values = it.session.values
        assert (values.sampling.temperature, values.sampling.top_k) == (0.2, 7)
        assert not values.seed_is_chosen, "the seed was drawn, not chosen"
        assert it.session.system_prompt == "Speak like a pirate."
        await it.ask("two")
        assert knobs.chats[-1].messages[0].content == "Speak like a pirate."
        assert knobs.samplings[-1].temperature == 0.2
        await it.press("ctrl+n")
        assert it.session.values.sampling == it.session.values.start.replace(seed=values.sampling.seed)
        assert it.session.system_prompt == ""


@pytest.mark.parametrize("moment", [1e15, -1e15, float("nan")])
def test_times_that_no_calendar_has(moment):
    """A clock that was wrong, or a file of another program, must not take the list away."""
    assert day_of(moment, date(2026, 1, 1)) and time_of(moment, date(2026, 1, 1)) == ""
