"""How the screens look: SVG pictures that are compared (`pytest --snapshot-update` draws them anew)."""

from __future__ import annotations

import pytest
from conftest import Chat, make_app
from scripted import Knobs
from scripted_model import HAIKU

SIZES = {"80x24": (80, 24), "200x60": (200, 60)}
THEMES = ("chatterm-dark", "chatterm-light")


async def welcome(chat: Chat) -> None:
    await chat.ready()


async def streaming(chat: Chat) -> None:
    await chat.hold(at=9)
    chat.app.chat.set_class(True, "-panel")


async def selected(chat: Chat) -> None:
    await chat.ask()
    chat.app.chat.set_class(True, "-panel")
    await chat.press("f2", "left", "left", "left", "left", "left", "left")


async def picker(chat: Chat) -> None:
    await chat.ready()
    await chat.press("f3")
    await chat.until(lambda: "Scripted-1B" in chat.text())


async def values(chat: Chat) -> None:
    await chat.ask()
    await chat.press("f4", "down", "left", "down")


async def help_screen(chat: Chat) -> None:
    await chat.ready()
    await chat.press("f1")


SCENES = (welcome, streaming, selected, picker, help_screen)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_look(scene, size, theme, snap_compare, monkeypatch):
    assert compare(scene, size, theme, snap_compare, monkeypatch)


def test_look_of_the_values(snap_compare, monkeypatch):
    assert compare(values, SIZES["80x24"], "chatterm-dark", snap_compare, monkeypatch)


def compare(scene, size, theme, snap_compare, monkeypatch, **settings) -> bool:
    for module in ("state", "writing"):
        monkeypatch.setattr(f"chatterm.chat.session.{module}.monotonic", lambda: 1.0)  # no speed is measured
    monkeypatch.setattr("chatterm.tui.widgets.conversation_list.time_of", lambda *_: "14:05")
    monkeypatch.setattr("chatterm.tui.text.models.catalog", lambda: CATALOG)
    monkeypatch.setattr("chatterm.tui.dialogs.picker.catalog", lambda: CATALOG)
    knobs = Knobs()
    knobs.replies = [HAIKU]
    app = make_app(knobs, theme=theme, **settings)

    async def play(pilot) -> None:
        app.chat.query_one("Composer").cursor_blink = False
        chat = Chat(app, pilot, knobs)
        await scene(chat)
        await chat.until(lambda: app.chat.widgets.sidebar.is_settled)
        for field in app.screen.query("Input, TextArea"):
            field.cursor_blink = False  # and is seen
        await pilot.pause()

    return snap_compare(app, terminal_size=size, run_before=play)


def _catalog():
    from chatterm.checkpoint.catalog import CatalogEntry, HubFile, HubSource

    def entry(name: str, parameters: int, size: int, licence: str, kind: str = "chat") -> CatalogEntry:
        return CatalogEntry(
            name=name,
            title=name.replace("-", " "),
            description=f"What {name} is good for.",
            kind=kind,
            family="llama",
            parameters=parameters,
            context=8192,
            licence=licence,
            licence_url="https://example.org/licence",
            hub=HubSource(repository=f"people/{name}", files=(HubFile("model.safetensors", bytes=size),)),
        )

    return (
        entry("Scripted-135M", 134_515_008, 269_000_000, "Apache-2.0"),
        entry("Better-1B", 1_200_000_000, 2_400_000_000, "Apache-2.0"),
        entry("Base-124M", 124_000_000, 550_000_000, "MIT", "base"),
    )


CATALOG = _catalog()
