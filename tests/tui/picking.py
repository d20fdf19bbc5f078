"""What the tests of the model picker share: opening it, searching the hub, and choosing a row."""

from __future__ import annotations

from textual.widgets import OptionList


async def open_picker(it) -> None:
    await it.ready()
    await it.press("f3")
    await it.until(lambda: "Scripted-70B" in it.text())


async def choose(it, words: str) -> None:
    """Put the cursor on the first row whose text holds these words, and press Enter."""
    options = it.app.screen.query_one(OptionList)
    rows = [str(option.prompt) for option in options.options]
    options.highlighted = next(place for place, row in enumerate(rows) if words in row)
    await it.press("enter")


def toasts(it) -> str:
    return "\n".join(str(note.message) for note in it.app._notifications)


async def search(it, words: str = "sea") -> None:
    await open_picker(it)
    await it.press(*words, "tab")
    await it.until(lambda: "On the hub" in it.text() and "Asking" not in it.text())


async def open_repository(it) -> None:
    await search(it)
    await it.press("enter")
    await it.until(lambda: "Q8_0" in it.text())
