"""What is typed into a line can be read while it is typed."""

from __future__ import annotations

import pytest

WORDS = "苹果 seen"
LINES = {
    "search conversations": ("alt+q",),
    "rename a conversation": ("f9", "r"),
    "filter models": ("f3",),
    "find a setting": ("f11", "slash"),
    "set a value": ("f11", "down", "down", "down", "down", "enter"),
    "save a preset": ("alt+u", "s"),
    "find a word": ("f2", "enter", "slash"),
    "go on with own words": ("f2", "enter", "w"),
    "search commands": ("ctrl+p",),
}


@pytest.mark.parametrize("size", [(120, 36), (80, 24)], ids=str)
async def test_what_is_typed_can_be_read(chat, size, tmp_path, monkeypatch):
    monkeypatch.setenv("CHATTERM_CONFIG", str(tmp_path))
    async with chat(size=size) as it:
        await it.ask()
        seen = set()
        for pressed in LINES.values():
            await it.press(*pressed)
            await it.until(lambda: hasattr(it.app.focused, "value"))
            seen.add((type(it.app.screen).__name__, it.app.focused.id))
            it.app.focused.clear()
            await it.press(*WORDS)
            await it.until(lambda: WORDS in it.text())
            for _ in range(4):
                await it.press("escape")
        assert len(seen) == len(LINES) - 1  # two of them ask in the same way
