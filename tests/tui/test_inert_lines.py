"""The last gate before the terminal, and the places where Textual would take a text for markup."""

from __future__ import annotations

import pytest
from conftest import Chat, make_app
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.widgets import Input, TextArea

from chatterm.library import AsyncLibrary
from chatterm.tui.terminal.inert_lines import InertLines

BLACK = Color(0, 0, 0)


def drawn(*segments: Segment) -> list[Segment]:
    return InertLines().apply(list(segments), BLACK)


def test_a_line_stays_as_wide_as_it_was() -> None:
    for text in ("a\x1b[31mb", "苹\u202e果", "a\u200bb", "z" + "\u0301" * 40, "e\u0301", "👩\u200d👧"):
        before = Segment(text, Style(bold=True))
        (after,) = drawn(before)
        assert after.cell_length == before.cell_length
        assert after.style == before.style
        assert not set(after.text) & set("\x1b\u202e\u200b")


def test_a_joiner_belongs_to_the_sign_in_the_segment_before() -> None:
    family = [Segment("👩"), Segment("\u200d"), Segment("👧")]
    assert drawn(*family) == family
    assert drawn(Segment("a"), Segment("\u200d"))[1].text == ""


def test_links_lead_nowhere_and_what_is_harmless_is_the_same_object() -> None:
    plain, linked = Segment("safe"), Segment("safe", Style(link="https://pwned.example"))
    after = drawn(plain, linked)
    assert after[0] is plain
    assert after[1].style is not None and after[1].style.link is None


async def test_a_notification_is_no_markup_whoever_tells_it(knobs) -> None:
    app = make_app(knobs)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        running = Chat(app, pilot, knobs)
        await running.ready()
        for told in (app, app.chat):
            told.notify("[@click=app.quit]free[/] [/nonsense] \x1b]0;x\x07")
            await running.until(lambda: "[@click=app.quit]free[/] [/nonsense] ␛]0;x␇" in running.text())
            app.clear_notifications()
        await app.session.close()


async def test_an_editor_shows_what_it_holds_and_keeps_it(chat) -> None:
    text = "a\x1b[31mb\u202ec"
    async with chat(system_prompt=text) as running:
        await running.ready()
        await running.app.chat.run_action("edit_system_prompt")
        await running.until(lambda: "a␛[31m�c" in running.text() or "a␛[31mb" in running.text())
        assert running.app.screen.query_one(TextArea).text == text


@pytest.mark.parametrize(
    "title", ["[bold]sea[/bold]", "sea [/nonsense]", "[@click=app.quit]sea[/]", "sea \u202e[x]"]
)
async def test_a_title_in_the_palette_is_no_markup(chat, title: str) -> None:
    async with chat(library=lambda: _with(title)) as running:
        await running.ready()
        await running.app.run_action("command_palette")
        await running.pilot.pause()
        running.app.screen.query_one(Input).value = "sea"
        await running.until(lambda: f"“{title.replace(chr(0x202E), '�')}”" in running.text())


async def _with(title: str) -> AsyncLibrary:
    library = await AsyncLibrary.in_memory()
    talk = await library.create(model="[bold]model[/")
    await library.add_message(talk.id, None, "user", "hello")
    await library.rename(talk.id, title)
    return library
