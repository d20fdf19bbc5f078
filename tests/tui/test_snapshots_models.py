"""How the model picker, a repository of the hub and the questions before a download look."""

from __future__ import annotations

import asyncio

import pytest
from conftest import Chat
from scripted_supply import CHOICES
from test_snapshots import compare
from textual.widgets import OptionList

from chatterm.engine.messages import Progress
from chatterm.records.supply import Unfinished
from chatterm.tui.text.downloads import line

SIZES = {"80x24": (80, 24), "120x40": (120, 40)}


async def local(chat: Chat) -> None:
    """A filter over what is here, beside a download of an earlier start."""
    chat.knobs.unfinished = (
        Unfinished("people--Sea-3B", "people/Sea-3B-GGUF:Q4_K_M", 900_000_000, 2_000_000_000),
    )
    await chat.ready()
    await chat.press("f3")
    await chat.until(lambda: "Scripted-70B" in chat.text())
    still(chat)


async def searched(chat: Chat) -> None:
    await chat.ready()
    await chat.press("f3")
    await chat.until(lambda: "Scripted-70B" in chat.text())
    await chat.press(*"sea", "tab")
    await chat.until(lambda: "people/Sea-1B-GGUF" in chat.text())
    still(chat)


async def offline(chat: Chat) -> None:
    chat.knobs.hub_error = "huggingface.co cannot be reached: its name cannot be looked up; try again later."
    await chat.ready()
    await chat.press("f3")
    await chat.until(lambda: "Scripted-70B" in chat.text())
    await chat.press(*"sea", "tab")
    await chat.until(lambda: "huggingface.co" in chat.text())
    still(chat)


async def repository(chat: Chat) -> None:
    """One whose licence has to be accepted."""
    chat.knobs.repositories = chat.knobs.repositories[1:]
    await chat.ready()
    await chat.press("f3")
    await chat.until(lambda: "Scripted-70B" in chat.text())
    await chat.press("海", "tab")
    await chat.until(lambda: "苹果/海-3B" in chat.text())
    await chat.press("enter")
    await chat.until(lambda: "Q8_0" in chat.text())


async def question(chat: Chat) -> None:
    """What is said before a download."""
    await searched(chat)
    await chat.press("enter")
    await chat.until(lambda: "Q8_0" in chat.text())
    await chat.press("enter")


async def downloading(chat: Chat) -> None:
    """A download under way, and what the status line says of it."""
    chat.knobs.fetch_progress = [
        Progress(
            request=1,
            what="downloading Sea-1B-Q4_K_M.gguf",
            done=320_000_000,
            total=720_000_000,
            unit="bytes",
            per_second=5.2e6,
            remaining=77.0,
        )
    ]
    await chat.ready()
    chat.knobs.fetch_gate = asyncio.Event()
    chat.session.downloads.begin(CHOICES[0].name)
    await chat.until(
        lambda: line(chat.session.downloads.running).endswith("1 min left") or "1 min" in chat.text()
    )
    await chat.press("f3")
    await chat.until(lambda: "Scripted-70B" in chat.text() and "5.2 MB/s" in chat.text())
    still(chat)


async def about(chat: Chat) -> None:
    """All about a model, and what can be done with it."""
    await local(chat)
    await chat.press("f2")


async def deleting(chat: Chat) -> None:
    await local(chat)
    await chat.press("delete")
    await chat.until(lambda: len(chat.app.screen.query_one(OptionList).options) == 2)


def still(chat: Chat) -> None:
    """No cursor that blinks in the picture."""
    chat.app.screen.query_one("Input").cursor_blink = False


SCENES = (local, searched, offline, repository, question, downloading, about, deleting)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_look_of_models(scene, size, snap_compare, monkeypatch):
    assert compare(scene, size, "chatterm-dark", snap_compare, monkeypatch)


@pytest.fixture
def _chinese():
    from chatterm.language import speak

    yield
    speak("en")


@pytest.mark.usefixtures("_chinese")
@pytest.mark.parametrize("scene", (local, repository, question, about), ids=lambda scene: scene.__name__)
def test_look_of_models_in_chinese(scene, snap_compare, monkeypatch):
    assert compare(scene, SIZES["80x24"], "chatterm-dark", snap_compare, monkeypatch, language="zh")
