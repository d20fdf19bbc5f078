"""Who may talk to the web server: only this machine's browser, only with this start's secret.

A page of another site must not reach it, so the request's host is checked (against DNS rebinding), its origin
(against WebSockets opened from elsewhere), and a cookie that only the link printed at the start gives.

A browser sends its cookies for 127.0.0.1 to every port there, also to another user's server. So all that is
served lies below a path that nobody can guess, and the cookie belongs to that path.
"""

from __future__ import annotations

import html
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; "
        "img-src 'self' data:; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""Nothing is loaded from elsewhere, and nobody may put the chat into a frame."""

REFUSAL = "Open the link that `chatterm web` printed when it started; it changes with every start.\n"


class Guard:
    """Checks every request to the server at `port`; what it serves lies below `/place/`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.secret = secrets.token_urlsafe(32)
        self.place = secrets.token_urlsafe(16)
        self.at_entry: Callable[[], object] = lambda: None
        """Called whenever the link was opened."""
        self._cookie = f"chatterm-{self.place}"  # a name that no other server can give a cookie of its own
        self._given: set[str] = set()
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}

    @property
    def link(self) -> str:
        """What the user opens."""
        return f"http://127.0.0.1:{self.port}/{self.place}/?secret={self.secret}"

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, trade the secret in its link for a cookie, or refuse it."""
        if not self.comes_from_here(request):
            raise web.HTTPForbidden(text="chatterm answers only pages of its own.\n")
        place, slash, below = request.path[1:].partition("/")
        if _same(place, self.place):
            if slash and not below and _same(request.query.get("secret", ""), self.secret):
                return self._entry()
            cookie = request.cookies.get(self._cookie, "")
            if any(_same(cookie, given) for given in self._given):
                return await handler(request)
        raise web.HTTPForbidden(text=REFUSAL)

    def comes_from_here(self, request: web.Request) -> bool:
        """Whether host and origin are this server's own; a WebSocket must name its origin."""
        if request.host not in self._hosts:
            return False
        origin = request.headers.get("Origin")
        if origin is None:
            return request.headers.get("Upgrade", "").lower() != "websocket"
        return origin == f"http://{request.host}"

    def _entry(self) -> web.Response:
        """A cookie of its own for this browser, and the way on, without the secret in the address.

        A redirect would not do: to the browser it is a step of the page that led here, and where that is of
        another site, or a file, no strict cookie is sent along.
        """
        self.at_entry()
        self._given.add(cookie := secrets.token_urlsafe(32))
        response = web.Response(text=leading_to("./"), content_type="text/html")
        response.set_cookie(self._cookie, cookie, httponly=True, samesite="Strict", path=f"/{self.place}/")
        return response


def leading_to(address: str) -> str:
    """A page that goes on to another one by itself."""
    escaped = html.escape(address)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>chatterm</title>'
        '<meta name="color-scheme" content="dark"><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0; url={escaped}"></head>'
        f'<body><a href="{escaped}">chatterm</a></body></html>\n'
    )


async def harden(_request: web.Request, response: web.StreamResponse) -> None:
    """Put the headers on every answer."""
    response.headers.update(HEADERS)


def _same(given: str, kept: str) -> bool:
    """Compared in a time that tells nothing; what is not ASCII is none of ours, and cannot be compared so."""
    return given.isascii() and secrets.compare_digest(given, kept)
