"""What is attached to a message stays folded in the conversation, and is read whole by the model."""

from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from chatterm import quoting
from chatterm.chat.turns import Turn
from chatterm.library import AsyncLibrary
from chatterm.library.exports import export
from chatterm.tui.text import quoted_files
from chatterm.tui.text.lines import Line

NOTES = quoting.Quote("notes.txt", "one two three\nfour five\n", "txt")
CODE = quoting.Quote("code.py", "print('``` in it')", "py")
MESSAGE = f"{quoting.quoted(NOTES)}\n\n{quoting.quoted(CODE)}\n\nWhat is in them?"


def shown(lines: list[Line]) -> list[str]:
    return [line.text.rstrip() for line in lines]


def test_a_line_stands_for_each_attachment_and_opens():
    turn = Turn("user", MESSAGE)
    lines, folds = quoted_files.lay_out(turn, 60)
    assert shown(lines) == ["▸ notes.txt · 2 lines", "▸ code.py · 1 line", "", "What is in them?"]
    assert folds == {0: 0, 1: 1}
    turn.quote_tokens = (1234, 1)
    quoted_files.flip(turn, 1)
    lines, folds = quoted_files.lay_out(turn, 60)
    words = shown(lines)
    assert words[0] == "▸ notes.txt · 1\N{NO-BREAK SPACE}234 tokens" and words[1] == "▾ code.py · 1 token"
    assert "print('``` in it')" in "\n".join(words) and "one two" not in "\n".join(words)
    quoted_files.flip(turn)
    assert turn.unfolded == set(), "one is open: all are folded"
    quoted_files.flip(turn)
    assert turn.unfolded == {0, 1}


def test_where_a_character_stands():
    turn = Turn("user", MESSAGE)
    assert quoted_files.at(turn, MESSAGE.index("three")) == 0
    assert quoted_files.at(turn, MESSAGE.index("print")) == 1
    assert quoted_files.at(turn, MESSAGE.index("What is")) is None


NAMES = st.text(alphabet="abc 苹果.`\x1b", min_size=1, max_size=20).filter(str.strip)


@given(
    st.lists(st.builds(quoting.Quote, NAMES, st.text(max_size=60)), max_size=3),
    st.text(max_size=30),
    st.sets(st.integers(0, 4)),
    st.integers(20, 90),
)
def test_what_is_shown_of_any_message_stands_in_it(quotes, said, unfolded, width):
    text = "\n\n".join([*map(quoting.quoted, quotes), said])
    turn = Turn("user", text, unfolded=unfolded)
    lines, folds = quoted_files.lay_out(turn, width)
    places = quoting.located(text)
    assert sorted(folds.values()) == list(range(len(places)))
    for line in lines:
        bounds = line.bounds()
        if bounds is not None:
            assert 0 <= bounds[0] <= bounds[1] < len(text)
            hidden = quoted_files.at(turn, bounds[0])
            assert hidden is None or hidden in unfolded, "what is folded is not shown"


async def test_it_is_folded_after_sending_and_opens_by_mouse_and_key(chat, tmp_path):
    async with chat(library=partial(AsyncLibrary.open_library, tmp_path / "library.sqlite3")) as it:
        await it.ready()
        it.session.send(MESSAGE)
        await it.until(lambda: "▸ notes.txt · 4 tokens" in it.transcript())
        await it.until(lambda: it.session.last_reply is not None and it.session.live is None)
        assert "three" not in it.transcript()
        assert it.knobs.chats[-1].messages[-1].content == MESSAGE, "the model reads all of it"
        line = next(n for n, text in enumerate(it.lines()) if "▸ notes.txt" in text)
        await it.pilot.click(offset=(it.lines()[line].index("▸"), line))
        await it.until(lambda: "one two three" in it.transcript())
        await it.pilot.click(offset=(it.lines()[line].index("▾"), line))
        await it.until(lambda: "three" not in it.transcript())
        await it.press("alt+m", "up", "enter")
        await it.until(lambda: "one two three" in it.transcript() and "in it')" in it.transcript())
        await it.press("enter")
        await it.until(lambda: "three" not in it.transcript())
        library = await it.session.keeper.library()
        whole = await library.whole(it.session.keeper.conversation)
        assert "one two three" in export([whole], "markdown")


async def test_what_was_searched_for_is_shown_though_it_is_attached(chat):
    async with chat() as it:
        await it.ready()
        it.session.send(MESSAGE)
        await it.until(lambda: it.session.last_reply is not None and it.session.live is None)
        turn = it.session.turns[0]
        place = MESSAGE.index("five")
        it.app.chat.widgets.transcript.point_at(turn, place, place + 4)
        await it.until(lambda: "four five" in it.transcript())
        assert turn.unfolded == {0}
