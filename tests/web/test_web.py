"""`chatterm web`: who may talk to it, and what it says of those who may not."""

from __future__ import annotations

import asyncio
import io
import logging
import re
import signal
import socket
import stat
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from chatterm.errors import UserError
from chatterm.web.brief import BriefHandler
from chatterm.web.guard import Guard
from chatterm.web.opening import endings, opened
from chatterm.web.server import LOOPBACK, listen
from tests.web.served import Served

Browser = aiohttp.ClientSession


async def enter(browser: Browser, served: Served) -> None:
    """As a browser does: open the link, and go where its page leads."""
    async with browser.get(served.link, allow_redirects=False) as entry:
        assert entry.status == 200
        assert 'http-equiv="refresh" content="0; url=./"' in await entry.text()
        assert "frame-ancestors 'none'" in entry.headers["Content-Security-Policy"]


def cookies_for(browser: Browser, address: str) -> dict[str, str]:
    """The cookies that the browser would send there."""
    return {name: one.value for name, one in browser.cookie_jar.filter_cookies(URL(address)).items()}


async def test_the_link_leads_to_the_page_and_hides_the_secret(served: Served, browser: Browser) -> None:
    await enter(browser, served)
    async with browser.get(f"{served.address}/") as page:
        text = await page.text()
        assert page.status == 200
        assert served.secret not in text
        assert "googleapis" not in text and "https://" not in text, "nothing is loaded from elsewhere"
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        loaded = re.findall(r'(?<![-\w])(?:src|href|url)(?:="|\(")([^"]+)"', text)
    assert f'websocket-url="{served.address.replace("http", "ws")}/ws"' in text
    assert {"static/js/textual.js", "static/css/xterm.css", "page/focus.js", "./"} <= set(loaded)
    for address in loaded:
        async with browser.get(page.url.join(URL(address))) as answer:
            assert answer.status == 200, address


async def test_each_entry_gives_a_cookie_of_its_own_that_is_not_the_secret(
    served: Served, browser: Browser
) -> None:
    given = []
    for _ in range(2):
        await enter(browser, served)
        [(name, cookie)] = cookies_for(browser, f"{served.address}/").items()
        given.append(cookie)
    assert len({*given, served.secret, served.place}) == 4
    async with browser.get(f"{served.address}/?secret={cookie}") as page:
        assert "refresh" not in await page.text(), "a cookie opens no second browser"
    browser.cookie_jar.clear()
    for wrong in (served.secret, served.place, "", cookie[:-1]):
        async with browser.get(f"{served.address}/", headers={"Cookie": f"{name}={wrong}"}) as page:
            assert page.status == 403
    for right in given:
        async with browser.get(f"{served.address}/", headers={"Cookie": f"{name}={right}"}) as page:
            assert page.status == 200


async def test_the_cookie_goes_to_no_other_server_of_this_machine(served: Served, browser: Browser) -> None:
    """Ports are nothing to cookies, paths are."""
    async with browser.get(served.link) as entry:
        cookie = entry.headers["Set-Cookie"]
    assert f"Path=/{served.place}/" in cookie and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert len(served.place) >= 20
    for elsewhere in ("http://127.0.0.1:9999/", f"{served.origin}/", "http://127.0.0.1:9999/x/ws"):
        assert not cookies_for(browser, elsewhere)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "/?secret=",
            "/?secret=wrong",
            "/ws",
            "/static/js/textual.js",
            "/page/focus.js",
            "/download/x",
        ),
        *("/?secret=%ff", "/?secret=%C3%A9", "/?secret=%F0%9F%92%A9"),
    ],
)
async def test_nothing_answers_without_the_secret(served: Served, browser: Browser, path: str) -> None:
    async with browser.get(URL(served.address + path, encoded=True)) as answer:
        assert answer.status == 403
        assert "link that `chatterm web` printed" in await answer.text()
        assert answer.headers.getall("X-Content-Type-Options") == ["nosniff"]


@pytest.mark.parametrize(
    "path",
    ["", "/", "/{place}", "/{place}x/", "/{start}/", "/wrong/", "/ws", "/static/js/textual.js", "/%ff/"],
)
async def test_nothing_answers_outside_of_its_place(served: Served, browser: Browser, path: str) -> None:
    """Not even those who know the secret, or have the cookie."""
    await enter(browser, served)
    [(name, cookie)] = cookies_for(browser, f"{served.address}/").items()
    address = served.origin + path.format(place=served.place, start=served.place[:-1])
    if path != "/{place}":
        async with browser.get(URL(address, encoded=True), headers={"Cookie": f"{name}={cookie}"}) as answer:
            assert answer.status == 403
            assert "link that `chatterm web` printed" in await answer.text()
    async with browser.get(URL(f"{address}?secret={served.secret}", encoded=True)) as answer:
        assert answer.status == 403
        assert "Set-Cookie" not in answer.headers


async def test_no_command_line_has_the_secret(tmp_path: Path, browser: Browser) -> None:
    """Every user of the machine can read command lines; the file named there only its owner."""
    served = Served(tmp_path, opens=True)
    try:
        page = await asyncio.to_thread(page_opened, served)
        assert f'http-equiv="refresh" content="0; url={served.link}"' in page and "no-referrer" in page
        for _ in range(2):
            await enter(browser, served)
            assert not any(served.temporary.iterdir()), "it is gone when it was used"
    finally:
        assert served.end() == 0


def page_opened(served: Served) -> str:
    """What the browser finds in the file that it is to open."""
    called_with = served.opened()
    assert served.secret not in called_with and served.place not in called_with
    page = Path(called_with.removeprefix("file://"))
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700 and page.parent.parent == served.temporary
    return page.read_text()


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.parametrize("browser", ["", "sleep 5"], ids=["afterwards", "while-the-browser-starts"])
def test_the_page_for_the_browser_goes_with_the_server(tmp_path: Path, number: str, browser: str) -> None:
    served = Served(tmp_path, opens=True, browser=browser)
    page = Path(served.opened().removeprefix("file://"))
    assert page.exists()
    assert served.end(getattr(signal, number)) == 0
    assert not list(served.temporary.iterdir())


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminal here says that it was closed")
def test_nohup_is_obeyed() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert signal.SIGHUP in endings()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert signal.SIGHUP not in endings()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_where_no_page_can_be_written_a_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)  # those of the tests stay
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"\(No such file.*take --no-open"), opened(Guard(8321)):
        pass


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
    served: Served, browser: Browser, headers: dict[str, str]
) -> None:
    await enter(browser, served)
    async with browser.get(f"{served.address}/", headers=headers) as answer:
        assert answer.status == 403
    for given in (headers, {}):  # a WebSocket without an origin is no browser of ours either
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await browser.ws_connect(served.address + "/ws", headers=given)
        assert refused.value.status == 403


async def test_a_broken_client_ends_only_its_own_chat(served: Served, browser: Browser) -> None:
    await enter(browser, served)
    headers = {"Origin": served.origin}
    for nonsense in ("no json", "{}", '["stdin"]', '["resize", {}]', '["resize", 3]'):
        async with browser.ws_connect(f"{served.address}/ws?width=-1&height=x", headers=headers) as socket:
            await socket.send_str(nonsense)
            async for _ in socket:
                pass
    async with browser.get(f"{served.address}/") as page:
        assert page.status == 200


def answer_to(served: Served, sent: bytes) -> bytes:
    """What comes back for bytes that no client of good manners sends."""
    with socket.create_connection((LOOPBACK, served.port), timeout=30) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


NO_ASCII = {
    "no-utf-8": b"\xff\xfe",
    "letter": "é".encode(),
    "sign": "💩".encode(),
    "surrogate": b"\xed\xa0\x80",
    "quoted": b'"\\377"',
    "long": b"\x80" * 3000,
}


@pytest.mark.parametrize("odd", NO_ASCII.values(), ids=NO_ASCII)
@pytest.mark.parametrize("where", ["cookie", "path", "query", "host", "origin"])
def test_what_is_not_ascii_is_refused(served: Served, odd: bytes, where: str) -> None:
    place, host = served.place.encode(), f"127.0.0.1:{served.port}".encode()
    lines = {
        "cookie": b"GET /%b/ HTTP/1.1\r\nHost: %b\r\nCookie: chatterm-%b=%b" % (place, host, place, odd),
        "path": b"GET /%b/ HTTP/1.1\r\nHost: %b" % (odd, host),
        "query": b"GET /%b/?secret=%b HTTP/1.1\r\nHost: %b" % (place, odd, host),
        "host": b"GET /%b/ HTTP/1.1\r\nHost: %b" % (place, odd),
        "origin": b"GET /%b/ HTTP/1.1\r\nHost: %b\r\nOrigin: %b" % (place, host, odd),
    }
    answer = answer_to(served, lines[where] + b"\r\nConnection: close\r\n\r\n")
    assert answer.split()[1] in (b"400", b"403"), answer[:200]
    assert "Traceback" not in served.errors.read_text()


def test_broken_requests_leave_the_terminal_alone(tmp_path: Path) -> None:
    served = Served(tmp_path)
    try:
        for number in range(20):
            for sent in (
                b"GET / HTTP/1.1\r\n\x1b[31mrun this: x\r\n\r\n",
                b"GET / HTTP/%d\x1b[31m\r\n\r\n" % number,
                b"GET / HTTP/1.1\r\nContent-Length: run this\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGE\x1b]0;T /%d HTTP/1.1\r\n\r\n" % number,
                b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000 + b"\r\n\r\n",
                b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nrun this\r\n",
            ):
                assert b"HTTP/1.1 200" not in answer_to(served, sent)
    finally:
        assert served.end() == 0
    said = served.errors.read_text()
    assert "Error handling request" in said
    assert "\x1b" not in said and "run this" not in said and "Traceback" not in said
    assert len(said.splitlines()) == 1 and len(said) < 100, "one line, whatever kind of nonsense it is"


def test_an_error_is_one_harmless_line_the_first_time() -> None:
    said = io.StringIO()
    handler = BriefHandler()
    handler.setStream(said)
    logger = logging.Logger("aiohttp.server")
    logger.addHandler(handler)
    for error in (OSError("no \x1b[31m room\n"), OSError("none again"), ValueError("x" * 999), None):
        logger.error("It failed for %s", "someone", exc_info=error)
    for number in range(20):
        logger.error("Also %d", number, exc_info=type(f"Error{number}", (Exception,), {})())
    first, second, third, *others = said.getvalue().splitlines()
    assert first == "chatterm: It failed for someone (OSError: no ␛[31m room⏎)"
    assert second.startswith("chatterm: It failed for someone (ValueError: xxx") and len(second) == 200
    assert third == "chatterm: It failed for someone"
    assert len(others) == 2, "others can be made without end"


def test_it_listens_on_the_loopback_interface_only() -> None:
    with listen(0) as listener:
        host, port = listener.getsockname()
        assert host == LOOPBACK
        with pytest.raises(UserError, match=f"Port {port} cannot be used"):
            listen(port)
    with pytest.raises(UserError, match="no such port"):
        listen(70000)
