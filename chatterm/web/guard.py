"""Who may talk to the web server: only this machine's browser, only with this start's secret.

A page of another site must not reach it, so the request's host is checked (against DNS rebinding), its origin
(against WebSockets opened from elsewhere), and a cookie that only the link printed at the start gives.
"""

from __future__ import annotations

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
USED = (
    "This link worked once and has been used. Open the one that `chatterm web` printed. "
    "If it was not your browser that used it, end chatterm: somebody else on this machine watches you.\n"
)


class Guard:
    """Checks every request to the server at `port`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.secret = secrets.token_urlsafe(32)
        self._once: set[str] = set()
        self._used: set[str] = set()
        self._cookie = f"chatterm-{port}"
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}

    @property
    def link(self) -> str:
        """What the user opens."""
        return f"http://127.0.0.1:{self.port}/?secret={self.secret}"

    def link_for_once(self) -> str:
        """A link that works once: for a command line, which other users of this machine can read."""
        secret = secrets.token_urlsafe(32)
        self._once.add(secret)
        return f"http://127.0.0.1:{self.port}/?secret={secret}"

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, trade the secret in its link for a cookie, or refuse it."""
        if not self.comes_from_here(request):
            raise web.HTTPForbidden(text="chatterm answers only pages of its own.\n", headers=HEADERS)
        given = request.query.get("secret", "") if request.path == "/" else ""
        if given in self._used:
            raise web.HTTPForbidden(text=USED, headers=HEADERS)
        if self._is_secret(given) or given in self._once:
            self._used |= self._once & {given}
            response = web.HTTPFound("/", headers=HEADERS)
            response.set_cookie(self._cookie, self.secret, httponly=True, samesite="Strict", path="/")
            raise response
        if not self._is_secret(request.cookies.get(self._cookie)):
            raise web.HTTPForbidden(text=REFUSAL, headers=HEADERS)
        return await handler(request)

    def comes_from_here(self, request: web.Request) -> bool:
        """Whether host and origin are this server's own; a WebSocket must name its origin."""
        if request.host not in self._hosts:
            return False
        origin = request.headers.get("Origin")
        if origin is None:
            return request.headers.get("Upgrade", "").lower() != "websocket"
        return origin == f"http://{request.host}"

    def _is_secret(self, given: str | None) -> bool:
        return given is not None and secrets.compare_digest(given.encode(), self.secret.encode())


async def harden(_request: web.Request, response: web.StreamResponse) -> None:
    """Put the headers on every answer."""
    response.headers.update(HEADERS)
