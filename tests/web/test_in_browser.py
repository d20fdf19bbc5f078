"""`chatterm web` in a real browser, from the page that leads to the link to an answer."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

import aiohttp
import pytest

from tests.web.served import Served

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic"),
    *("--no-first-run", "--disable-component-update", "--disable-sync", "--window-size=1200,700"),
)


class Tab:
    """One tab of a headless Chromium, driven through its debugging protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0

    async def call(self, method: str, **parameters: object) -> dict[str, object]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        async for message in self._socket:
            answer = json.loads(message.data)
            if answer.get("id") == self._number:
                return answer.get("result", {})
        raise AssertionError("the browser is gone")

    async def press(self, character: str) -> None:
        """As a key of the keyboard."""
        key = {"key": "Enter", "windowsVirtualKeyCode": 13} if character == "\r" else {"key": character}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=character, **key)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    async def value(self, expression: str) -> object:
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer.get("result", {}).get("value")  # type: ignore[attr-defined]


@pytest.mark.e2e
@pytest.mark.model
@pytest.mark.usefixtures("default_model_path")
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
async def test_a_question_is_answered_in_the_browser(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text("[sampling]\ntemperature = 0.0\n")
    server = Served(tmp_path, opens=True)
    chromium = subprocess.Popen(  # noqa: ASYNC220  the test waits for nothing else
        [str(CHROMIUM), *QUIET, f"--user-data-dir={tmp_path / 'chromium'}", "--remote-debugging-port=0",
         server.opened()],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert chromium.stderr is not None
        port = (
            next(line for line in chromium.stderr if "DevTools listening" in line).split(":")[2].split("/")[0]
        )
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as pages:
                page = next(page for page in await pages.json() if page["type"] == "page")
            async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                tab = Tab(socket)
                await arrive(tab, server)
                await converse(tab, tmp_path)
    finally:
        chromium.terminate()
        chromium.wait(30)
        assert server.end() == 0


async def arrive(tab: Tab, server: Served) -> None:
    """From the file through the link to the terminal: the browser sends the cookie along on the way."""
    async with asyncio.timeout(60):
        while not await tab.value("document.body.classList.contains('-first-byte')"):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    assert await tab.value("location.href") == f"{server.address}/", "the secret is not in the address"
    assert await tab.value("document.cookie") == ""
    assert await tab.value("history.length") == 1, "the way back does not lead through the secret"
    assert not list(server.temporary.iterdir())


async def converse(tab: Tab, folder: Path) -> None:
    async with asyncio.timeout(120):
        while True:
            await ask(tab)  # once more where the chat was not ready: to the test its screen is a picture
            for _ in range(75):
                if "Paris" in "".join(replies(folder)):
                    return
                await asyncio.sleep(0.2)


async def ask(tab: Tab) -> None:
    height = await tab.value("innerHeight")
    for kind in ("mousePressed", "mouseReleased"):
        await tab.call(
            "Input.dispatchMouseEvent", type=kind, x=300, y=height - 79, button="left", clickCount=1
        )
    for character in "What is the capital of France?\r":
        await tab.press(character)


def replies(folder: Path) -> list[str]:
    files = list((folder / "data").glob("*.sqlite3"))
    if not files:
        return []
    try:
        with sqlite3.connect(files[0]) as database:
            return [
                row[0] for row in database.execute("select content from message where role = 'assistant'")
            ]
    except sqlite3.OperationalError:  # the program is just making it
        return []
