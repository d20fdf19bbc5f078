"""textual-serve on the loopback interface only, behind a guard; its page loads nothing from elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import aiohttp_jinja2
import jinja2
from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

from chatterm.errors import UserError
from chatterm.web.brief import BriefHandler
from chatterm.web.guard import Guard, harden
from chatterm.web.opening import endings

PAGE = Path(__file__).parent / "page"
LOOPBACK = "127.0.0.1"
MOST_SESSIONS = 4
"""Browser tabs at once; each has a chat and, once it talks, an engine of its own."""


def listen(port: int) -> socket.socket:
    """A socket on the loopback interface; port 0 takes a free one.

    Raises:
        UserError: the port is taken or not allowed.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen()  # whoever opens the link at once is answered as soon as the server runs
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else "there is no such port"
        raise UserError(
            f"Port {port} cannot be used ({reason}); choose another one with --port, or 0 for any."
        ) from error
    return listener


class ChatServer(Server):
    """Serves `chatterm ARGUMENTS`, one process for each browser tab."""

    def __init__(self, arguments: list[str], listener: socket.socket) -> None:
        port = listener.getsockname()[1]
        super().__init__("chatterm", host=LOOPBACK, port=port, title="chatterm", templates_path=PAGE)
        self.guard = Guard(port)
        self.arguments = [sys.executable, "-P", "-m", "chatterm", *arguments]
        self._listener = listener
        self._sessions = 0

    async def _make_app(self) -> web.Application:
        app = web.Application(middlewares=[self.guard.middleware])
        aiohttp_jinja2.setup(app, loader=jinja2.FileSystemLoader(PAGE), autoescape=True)
        place = f"/{self.guard.place}"
        app.add_routes(  # no downloads: the chat writes its files itself
            [
                web.get(f"{place}/", self.handle_index),
                web.get(f"{place}/ws", self.handle_websocket),
                web.static(f"{place}/static", self.statics_path),
                web.static(f"{place}/page", PAGE),
            ]
        )
        app.on_response_prepare.append(harden)
        return app

    @aiohttp_jinja2.template("index.html")
    async def handle_index(self, request: web.Request) -> dict[str, object]:
        """The page with the terminal in it, at the address under which the browser knows this server."""
        size = to_int(request.query.get("fontsize", "16"), 16)
        return {"socket": f"ws://{request.host}{request.path}ws", "font_size": min(64, max(6, size))}

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """One browser tab: a chat of its own, ended with the tab."""
        if self._sessions >= MOST_SESSIONS:
            raise web.HTTPServiceUnavailable(text=f"{MOST_SESSIONS} chats are open; close one first.\n")
        width = min(1000, max(1, to_int(request.query.get("width", "80"), 80)))
        height = min(1000, max(1, to_int(request.query.get("height", "24"), 24)))
        websocket = web.WebSocketResponse(heartbeat=15, max_msg_size=8 << 20)
        await websocket.prepare(request)
        chat = _Chat(self.arguments, websocket, self)
        self._sessions += 1
        try:
            await chat.start(width, height)
            with contextlib.suppress(ValueError, AssertionError, KeyError, IndexError, TypeError):
                await self._process_messages(websocket, chat)  # what is not of the protocol ends the chat
        finally:
            self._sessions -= 1
            await chat.stop()
        return websocket

    def run(self) -> None:
        """Serve until Ctrl+C or another signal that ends it."""
        logging.getLogger().addHandler(BriefHandler())
        loop = asyncio.new_event_loop()
        for number in endings():
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, self.request_exit)
        web.run_app(
            self._make_app(),
            sock=self._listener,
            handle_signals=False,
            loop=loop,
            print=None,
            access_log=None,
        )


class _Chat(AppService):
    """The program of one tab, started without a shell."""

    def __init__(self, arguments: list[str], websocket: web.WebSocketResponse, server: ChatServer) -> None:
        super().__init__(
            "chatterm",
            write_bytes=websocket.send_bytes,
            write_str=websocket.send_str,
            close=self._hang_up,
            download_manager=server.download_manager,
        )
        self._arguments = arguments
        self._websocket = websocket

    async def _hang_up(self) -> None:
        await self._websocket.close()

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        environment = self._build_environment(width=width, height=height)
        process = await asyncio.create_subprocess_exec(
            *self._arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment
        )
        self._process = process
        self._stdin = process.stdin
        return process
