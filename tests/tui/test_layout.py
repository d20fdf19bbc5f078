"""The panel is moved, resized, hidden, and stands there again the next time."""

from __future__ import annotations

from functools import partial

import pytest
from conftest import Chat, make_app
from hypothesis import given
from hypothesis import strategies as st

from chatterm.library import AsyncLibrary
from chatterm.tui.layout import (
    LEAST_HEIGHT,
    LEAST_WIDTH,
    LEFT_HEIGHT,
    LEFT_WIDTH,
    Layout,
    load_layout,
    save_layout,
)
from chatterm.tui.widgets.inspector import Inspector


def run(knobs, file, **more):
    return make_app(knobs, layout_file=file, **more)


async def until(pilot, condition):
    for _ in range(500):
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError("it never came to pass")


@given(st.sampled_from(["right", "bottom"]), st.integers(-50, 2000), st.integers(40, 400))
def test_panel_and_conversation_both_keep_room(side, cells, room):
    layout = Layout(side=side).sized(cells, room)
    size = layout.width if side == "right" else layout.height
    least, left = (LEAST_WIDTH, LEFT_WIDTH) if side == "right" else (LEAST_HEIGHT, LEFT_HEIGHT)
    assert size >= least and (size == least or room - size >= left)


def test_it_is_remembered(tmp_path):
    layout = Layout(side="bottom", height=12, shown=False)
    save_layout(tmp_path / "new" / "layout.json", layout)
    assert load_layout(tmp_path / "new" / "layout.json") == layout
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["layout.json"]
    assert load_layout(None) == Layout()


@pytest.mark.parametrize("text", ["", "{", '{"side": "above"}', '{"width": -4}', '{"width": 100000}', "[]"])
def test_a_damaged_file_means_the_defaults(tmp_path, text):
    (tmp_path / "layout.json").write_text(text)
    assert load_layout(tmp_path / "layout.json") == Layout()


def test_where_nothing_can_be_written_nothing_breaks(tmp_path):
    (tmp_path / "file").write_text("")
    save_layout(tmp_path / "file" / "layout.json", Layout(side="bottom"))


async def test_keys_move_and_resize_the_panel_and_the_next_chat_has_it_so(knobs, tmp_path):
    file = tmp_path / "layout.json"
    app = run(knobs, file)
    async with app.run_test(size=(140, 40)) as pilot:
        panel = app.chat.query_one(Inspector)
        before = panel.region
        await pilot.press("alt+w")
        await until(pilot, lambda: panel.region.width == before.width + 2 and panel.region.right == 140)
        await pilot.press("alt+d")
        await until(pilot, lambda: panel.region.width == 140 and panel.region.x == 0)
        height = panel.region.height
        await pilot.press("alt+n", "alt+n")
        await until(pilot, lambda: panel.region.height == height - 2)
        await pilot.press("f10")
        await until(pilot, lambda: panel.region.height > height)
        await pilot.press("f10")
        await until(pilot, lambda: panel.region.height == height - 2)
        await app.session.close()
    app = run(knobs, file)
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: app.chat.query_one(Inspector).region.height == height - 2)
        await pilot.press("alt+d")
        await until(pilot, lambda: app.chat.query_one(Inspector).region.width == before.width + 2)
        await pilot.press("f6")
        await app.session.close()
    assert load_layout(file).shown is False


async def test_the_open_view_is_there_again_beside_the_conversation(knobs, tmp_path):
    file = tmp_path / "layout.json"
    library = partial(AsyncLibrary.open_library, tmp_path / "library.sqlite3")
    app = run(knobs, file, library=library)
    async with app.run_test(size=(140, 40)) as pilot:
        await Chat(app, pilot, knobs).ask()
        await pilot.press("alt+3", "f10")
        await until(pilot, lambda: app.chat.query_one(Inspector).region.width == 140)
        await app.session.close()
    assert load_layout(file).view == "attention"
    for resume in (False, True):
        app = run(knobs, file, library=library, resume=resume)
        async with app.run_test(size=(140, 40)) as pilot:
            panel = app.chat.query_one(Inspector)
            await until(pilot, lambda panel=panel: panel.opened == "attention")
            await until(pilot, lambda app=app, resume=resume: bool(app.session.turns) == resume)
            assert panel.region.width < 140, "the conversation is in sight, though the panel was left large"
            await app.session.close()


async def test_a_view_that_is_no_more_is_not_opened(knobs, tmp_path):
    save_layout(tmp_path / "layout.json", Layout(view="of another version"))
    app = run(knobs, tmp_path / "layout.json")
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: app.chat.query_one(Inspector).region.width)
        assert app.chat.query_one(Inspector).opened == "next"
        await app.session.close()


async def test_the_edge_can_be_dragged(knobs, tmp_path):
    app = run(knobs, tmp_path / "layout.json")
    async with app.run_test(size=(140, 40)) as pilot:
        panel = app.chat.query_one(Inspector)
        left = panel.region.x
        await pilot.mouse_down(offset=(left, 12))
        await pilot.hover(offset=(left - 9, 12))
        await pilot.mouse_up(offset=(left - 9, 12))
        await until(pilot, lambda: panel.region.x == left - 9)
        await pilot.hover(offset=(left + 5, 12))
        await until(pilot, lambda: panel.region.x == left - 9)
        await app.session.close()
    assert load_layout(tmp_path / "layout.json").width == 140 - left + 9


@pytest.mark.parametrize(
    "data", [b"\xff\xfe", b'{"view": "\xc6"}', b"[" * 100_000, b'{"x": ' * 5_000, b"0" * 200_000]
)
def test_a_layout_that_makes_no_sense_is_the_usual_one(tmp_path, data):
    (tmp_path / "layout.json").write_bytes(data)
    assert load_layout(tmp_path / "layout.json") == Layout()
