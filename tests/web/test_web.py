"""`chatterm web`: who may talk to it, and a conversation in a real browser."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from chatterm.errors import UserError
from chatterm.web.server import LOOPBACK, listen

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Served:
    """A running `chatterm web`."""

    def __init__(self, folder: Path, browser: str = "") -> None:
        environment = {
            **os.environ,
            "BROWSER": browser,
            "CHATTERM_CONFIG": str(folder / "config"),
            "CHATTERM_DATA": str(folder / "data"),
            "PYTHONUNBUFFERED": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "chatterm", "web", "--port", "0", "--open" if browser else "--no-open"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stdout is not None
        self.link = self.process.stdout.readline().split()[-1]
        self.address, self.secret = self.link.split("/?secret=")

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


def written(file: Path, patience: float = 30.0) -> str:
    """What another process writes into a file, once it has."""
    gives_up = time.monotonic() + patience
    while not file.exists():
        assert time.monotonic() < gives_up, f"nobody wrote {file}"
        time.sleep(0.05)
    return file.read_text()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("web"))
    yield server
    assert server.end() == 0, "SIGTERM ends it in order"


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def test_the_link_opens_the_page_and_hides_the_secret(
    served: Served, browser: aiohttp.ClientSession
) -> None:
    async with browser.get(served.link) as page:
        text = await page.text()
        assert page.status == 200
        assert served.secret not in str(page.url) and served.secret not in text
        assert "googleapis" not in text and "https://" not in text, "nothing is loaded from elsewhere"
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    async with browser.get(f"{served.address}/static/js/textual.js") as script:
        assert script.status == 200


async def test_what_the_command_line_of_the_browser_shows_works_once(
    tmp_path: Path, browser: aiohttp.ClientSession
) -> None:
    opener = tmp_path / "opener"
    opener.write_text('#!/bin/sh\nprintf %s "$1" > "$0.part"\nmv "$0.part" "$0.link"\n')
    opener.chmod(0o700)
    served = Served(tmp_path, f"{opener} %s")
    try:
        link = await asyncio.to_thread(written, tmp_path / "opener.link")
        assert link.startswith(f"{served.address}/?secret=") and served.secret not in link
        async with browser.get(link) as page:
            assert page.status == 200
        async with browser.get(link) as again:
            assert again.status == 403
            assert "worked once and has been used" in await again.text()
        async with browser.get(served.address) as page:
            assert page.status == 200, "whoever came first stays"
    finally:
        served.end()


@pytest.mark.parametrize(
    "path", ["/", "/?secret=", "/?secret=wrong", "/ws", "/static/js/textual.js", "/download/x"]
)
async def test_nothing_answers_without_the_secret(
    served: Served, browser: aiohttp.ClientSession, path: str
) -> None:
    async with browser.get(served.address + path) as answer:
        assert answer.status == 403
        assert "link that `chatterm web` printed" in await answer.text()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:80"},
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_pages_of_other_sites_are_refused(
    served: Served, browser: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    async with browser.get(served.link) as page:
        assert page.status == 200  # the cookie is there
    async with browser.get(served.address, headers=headers) as answer:
        assert answer.status == 403
    for given in (headers, {}):  # a WebSocket without an origin is no browser of ours either
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await browser.ws_connect(served.address + "/ws", headers=given)
        assert refused.value.status == 403


async def test_a_broken_client_ends_only_its_own_chat(served: Served, browser: aiohttp.ClientSession) -> None:
    async with browser.get(served.link):
        pass
    headers = {"Origin": served.address}
    for nonsense in ("no json", "{}", '["stdin"]', '["resize", {}]', '["resize", 3]'):
        async with browser.ws_connect(f"{served.address}/ws?width=-1&height=x", headers=headers) as socket:
            await socket.send_str(nonsense)
            async for _ in socket:
                pass
    async with browser.get(served.address) as page:
        assert page.status == 200


def test_it_listens_on_the_loopback_interface_only() -> None:
    with listen(0) as listener:
        host, port = listener.getsockname()
        assert host == LOOPBACK
        with pytest.raises(UserError, match=f"Port {port} cannot be used"):
            listen(port)
    with pytest.raises(UserError, match="no such port"):
        listen(70000)


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
        return answer["result"].get("value")  # type: ignore[attr-defined]


@pytest.mark.e2e
@pytest.mark.model
@pytest.mark.usefixtures("default_model_path")
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
async def test_a_question_is_answered_in_the_browser(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text("[sampling]\ntemperature = 0.0\n")
    server = Served(tmp_path)
    chromium = subprocess.Popen(  # noqa: ASYNC220  the test waits for nothing else
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,700",
         f"--user-data-dir={tmp_path / 'chromium'}", "--remote-debugging-port=0", server.link],
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
                await converse(Tab(socket), tmp_path)
    finally:
        chromium.terminate()
        chromium.wait(30)
        assert server.end() == 0


async def converse(tab: Tab, folder: Path) -> None:
    async with asyncio.timeout(120):
        while not await tab.value("document.body.classList.contains('-first-byte')"):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        height = await tab.value("innerHeight")
        for kind in ("mousePressed", "mouseReleased"):
            await tab.call(
                "Input.dispatchMouseEvent", type=kind, x=300, y=height - 79, button="left", clickCount=1
            )
        for character in "What is the capital of France?\r":
            await tab.press(character)
        while "Paris" not in "".join(replies(folder)):  # noqa: ASYNC110
            await asyncio.sleep(0.2)


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
