"""Few rows and few columns: what matters stays in sight."""

from __future__ import annotations

import re

import pytest


@pytest.mark.parametrize("rows", [3, 5, 7, 9, 10, 12])
async def test_the_line_that_is_being_written_is_in_sight_however_few_rows_there_are(chat, rows):
    async with chat(size=(60, rows)) as it:
        await it.press(*"mine")
        await it.until(lambda: "mine" in it.text())
        await it.pilot.resize_terminal(60, 30)
        await it.until(lambda: "╭" in it.text() and "mine" in it.text())
        await it.pilot.resize_terminal(60, rows)
        await it.until(lambda: ("╭" in it.text()) == (rows >= 10) and "mine" in it.text())


async def test_the_heads_of_the_lens_do_not_touch(chat):
    for width, heads in ((60, "block +best .* +p +rank"), (100, "block +best guess +p +rank +nats")):
        async with chat(size=(width, 30)) as it:
            await it.ask()
            await it.press("alt+2")
            await it.until(lambda heads=heads: re.search(heads, it.text()))
