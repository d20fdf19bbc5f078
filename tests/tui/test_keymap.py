"""The user's own keys: they work, they are shown, and what cannot be is said without losing the rest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatterm.tui import keys
from chatterm.tui.keys import keymap
from chatterm.tui.widgets.key_line import KeyLine


@pytest.fixture(autouse=True)
def _table_afterwards():
    yield
    keys.use({})


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Ctrl+K", "ctrl+k"),
        ("?", "question_mark"),
        ("/", "slash"),
        ("alt+,", "alt+comma"),
        ("ctrl++", "ctrl+plus"),
        ("esc", "escape"),
        ("G", "G"),
        ("shift+alt+enter", "shift+alt+enter"),
        ("ctrl+", None),
        ("", None),
        ("strg+k", None),
        ("f99", None),
    ],
)
def test_keys_are_written_as_people_write_them(name, key):
    assert keymap.canonical(name) == key


def test_all_keys_of_the_table_are_keys():
    for entry in keys.KEYS:
        assert tuple(map(keymap.canonical, entry.keys)) == entry.keys


def test_tables_may_be_written_with_and_without_quotes():
    assert keymap.read({"chat": {"new": "f13"}}) == keymap.read({"chat.new": "f13"})
    assert keymap.read({"chat.new": ["f13", "f14"]}).own == {"chat.new": ("f13", "f14")}


@pytest.mark.parametrize(
    ("wishes", "says"),
    [
        ({"chat.fly": "f14"}, "no action chat.fly"),
        ({"chat.new": "strg+x"}, "strg+x is no key"),
        ({"chat.new": 7}, "must be one text"),
        ({"chat.new": []}, "must be one text"),
        ({"chat.new": "f3"}, "it is chat.pick already"),
        ({"chat.new": "ctrl+q"}, "it is anywhere.app.quit already"),
        ({"tokens.leave": "f3"}, "it is chat.pick already"),
    ],
)
def test_what_cannot_be_is_said_and_the_rest_stays(wishes, says):
    read = keymap.read({"chat.pick": ["f3"], **wishes, "chat.bottom": "f14"})
    assert [says in complaint for complaint in read.complaints] == [True]
    assert read.own == {"chat.pick": ("f3",), "chat.bottom": ("f14",)}


def test_two_actions_can_change_places():
    read = keymap.read({"chat.new": "f3", "chat.pick": "ctrl+n"})
    assert read.complaints == ()


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([key.id for key in keys.KEYS]),
        st.sampled_from([name for key in keys.KEYS for name in key.keys]),
        max_size=12,
    )
)
def test_no_wishes_make_a_key_mean_two_things(wishes):
    read = keymap.read(wishes)
    assert len(read.own) + len(read.complaints) == len(wishes)
    for one in keys.KEYS:
        for other in keys.KEYS:
            if one.id in read.own and one.id < other.id and keymap._meet(one, other):
                assert not set(read.own[one.id]) & set(read.own.get(other.id, other.keys))


async def test_own_keys_work_and_are_shown(chat):
    own = {
        "chat.hotter": "ctrl+y",
        "chat.pick": "f15",
        "message.send": "ctrl+s",
        "message.newline": "enter",
    }
    async with chat(keys=own, size=(160, 40)) as it:
        await it.ready()
        before = it.session.values.sampling.temperature
        await it.press("ctrl+y")
        assert it.session.values.sampling.temperature == pytest.approx(before + 0.05)
        await it.press("alt+up")
        assert it.session.values.sampling.temperature == pytest.approx(before + 0.05)
        assert "F15 models" in it.app.chat.query_one(KeyLine).render_line(0).text
        await it.press("a", "enter", "b", "ctrl+s")
        await it.until(lambda: it.session.turns and it.session.turns[0].text == "a\nb")
        await it.press("f1")
        await it.until(lambda: "ctrl+y" in it.text())


async def test_mistakes_in_the_keys_are_said_at_the_start(chat):
    async with chat(keys={"chat.fly": "f14", "chat.new": "f13"}) as it:
        await it.ready()
        await it.until(lambda: any("chat.fly" in notice.message for notice in it.app._notifications))
        await it.ask()
        await it.press("f13")
        assert it.session.turns == []


def test_an_empty_name_takes_no_key_away():
    read = keymap.read({"chat.hotter": [""], "chat.colder": "ctrl+y"})
    assert "chat.hotter" not in read.own and read.own["chat.colder"] == ("ctrl+y",)
    assert len(read.complaints) == 1
