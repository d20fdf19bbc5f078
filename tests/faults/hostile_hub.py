"""A hub, its content network and a stranger's server on this machine, all of which misbehave when told to."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LARGE = 1 << 14  # from this size on a file lives in the content network, as on the real hub
REPOSITORY = "organisation/tiny"

Fault = Callable[["Answer"], None]
"""What happens in place of an answer."""


@dataclass
class Asked:
    """One request that a server got."""

    server: str
    path: str
    range: str | None
    token: str | None


@dataclass
class Hub:
    """One repository, and how the next answers go wrong."""

    numbers: random.Random
    files: dict[str, bytes] = field(default_factory=dict)
    versions: list[dict[str, bytes]] = field(default_factory=list)  # all that `files` has been
    announced: dict[str, dict[str, object]] = field(default_factory=dict)  # lies in the listing
    fault: Fault | None = None
    aim: str = ""  # the fault meets requests to "server path" that contain this …
    times: int = 0  # … so often
    victim: Callable[[], int] | None = None  # process number of a downloader that is to be killed
    fill_disk: Callable[[], None] = lambda: None
    asked: list[Asked] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    commit: str = "0" * 40

    def listing(self) -> bytes:
        siblings = []
        for path, content in self.files.items():
            git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            sibling: dict[str, object] = {"rfilename": path, "size": len(content), "blobId": git}
            if len(content) >= LARGE:
                sibling["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            siblings.append(sibling | self.announced.get(path, {}))
        return json.dumps({"id": REPOSITORY, "sha": self.commit, "siblings": siblings}).encode()

    def restock(self, files: dict[str, bytes]) -> None:
        """Have these files from now on."""
        self.files = files
        self.versions.append(files)

    def heal(self) -> None:
        """From now on all goes well."""
        self.fault, self.announced, self.victim = None, {}, None
        self.over.set()
        self.over = threading.Event()


class Answer(BaseHTTPRequestHandler):
    """One answer; the faults are methods."""

    protocol_version = "HTTP/1.1"
    hub: Hub
    name: str
    content: bytes
    begin: int

    def log_message(self, *arguments: object) -> None:
        """Nothing: the terminal is the campaign's."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        wanted = self.headers.get("Range")
        self.hub.asked.append(Asked(self.name, path, wanted, self.headers.get("Authorization")))
        hub = self.hub
        self.content = self.find(path)
        self.begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        fault = hub.fault
        with suppress(OSError):
            if fault is not None and hub.times > 0 and hub.aim in f"{self.name} {path}":
                hub.times -= 1
                fault(self)
            else:
                self.serve()

    def find(self, path: str) -> bytes:
        """What lies at a path."""
        if path.startswith("/api/"):
            return self.hub.listing()
        return self.hub.files.get(path.split("/resolve/", 1)[-1].partition("/")[2], b"")

    # --- as it should be --------------------------------------------------------------------------------

    def serve(self) -> None:
        if self.name == "hub" and len(self.content) >= LARGE and "/resolve/" in self.path:
            self.send(302, b"", Location=self.hub.addresses["network"] + self.path)
        elif self.begin:
            last = len(self.content) - 1
            self.send(206, self.rest, **{"Content-Range": f"bytes {self.begin}-{last}/{last + 1}"})
        else:
            self.send(200, self.content)

    @property
    def rest(self) -> bytes:
        return self.content[self.begin :]

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.head(status, **{"Content-Length": str(len(body)), **headers})
        self.wfile.write(body)

    def head(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()

    def head_of_rest(self, **headers: str) -> None:
        if self.begin:
            last = len(self.content) - 1
            headers |= {"Content-Range": f"bytes {self.begin}-{last}/{last + 1}"}
        self.head(206 if self.begin else 200, **headers)

    # --- as it should not be ----------------------------------------------------------------------------

    def some(self) -> bytes:
        """The beginning of what should come, cut anywhere."""
        return self.rest[: self.hub.numbers.randint(0, max(0, len(self.rest) - 1))]

    def cut(self) -> None:
        self.head_of_rest(**{"Content-Length": str(len(self.rest))})
        self.wfile.write(self.some())
        self.close_connection = True

    def cut_without_length(self) -> None:
        self.head_of_rest(Connection="close")
        self.wfile.write(self.some())
        self.close_connection = True

    def reset(self) -> None:
        self.head_of_rest(**{"Content-Length": str(len(self.rest))})
        self.wfile.write(self.some())
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def flip_a_bit(self) -> None:
        body = bytearray(self.rest or b"?")
        body[self.hub.numbers.randrange(len(body))] ^= 1 << self.hub.numbers.randrange(8)
        self.head_of_rest(**{"Content-Length": str(len(body))})
        self.wfile.write(body)

    def other_length(self) -> None:
        body = self.some() if self.hub.numbers.random() < 0.5 else self.rest + self.rest[:1000] + b"more"
        self.head_of_rest(**{"Content-Length": str(len(body))})
        self.wfile.write(body)

    def without_end(self) -> None:
        self.head_of_rest(Connection="close")
        for _ in range(200):
            self.wfile.write(self.rest + bytes(4096))
        self.close_connection = True

    def broken_chunks(self) -> None:
        self.head_of_rest(**{"Transfer-Encoding": "chunked"})
        some = self.some()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(some), some) if some else b"")
        self.wfile.write(
            self.hub.numbers.choice([b"zz\r\n", b"-5\r\n", b"ffffffffffffffffff\r\nabc", b"10", b"\r\n"])
        )
        self.close_connection = True

    def compress(self) -> None:
        body = gzip.compress(self.rest)
        coding = self.hub.numbers.choice(["gzip", "x-gzip", "deflate", "br", "gzip, gzip"])
        lengths = (
            {"Content-Length": str(len(body))} if self.hub.numbers.random() < 0.7 else {"Connection": "close"}
        )
        self.head_of_rest(**{"Content-Encoding": coding, **lengths})
        self.wfile.write(body)
        self.close_connection = True

    def refuse(self) -> None:
        numbers = self.hub.numbers
        status = numbers.choice([416, 429, 500, 502, 503, 504, 401, 403, 404, 410, 418, 451, 300, 304, 204])
        later = numbers.choice(["", "0", "3600", "-1", "soon", "9" * 50, "Wed, 21 Oct 2015 07:28:00 GMT"])
        code = numbers.choice(["", "", "GatedRepo", "RepoNotFound", "EntryNotFound", "\x1b[31mred"])
        headers = {"Retry-After": later, "X-Error-Code": code}
        self.send(status, b"" if status in (204, 304) else b"no", **{k: v for k, v in headers.items() if v})

    def redirect_in_circles(self) -> None:
        self.hub.times += 1
        self.send(self.hub.numbers.choice([301, 302, 303, 307, 308]), b"", Location=self.path)

    def redirect_to_a_stranger(self) -> None:
        self.send(302, b"", Location=self.hub.addresses["stranger"] + self.path)

    def redirect_nowhere(self) -> None:
        targets = [
            "file:///etc/passwd",
            "ftp://127.0.0.1:9/x",
            "http://127.0.0.1:9/x",
            "http://[::1",
            "//",
            "",
        ]
        targets += [
            "data:text/plain,x",
            "javascript:alert(1)",
            "http://user:secret@127.0.0.1:9/",
            "http://\x1b[31m/",
        ]
        self.send(302, b"", Location=self.hub.numbers.choice(targets))

    def stall(self) -> None:
        self.head_of_rest(**{"Content-Length": str(len(self.rest))})
        self.wfile.write(self.some())
        self.wfile.flush()
        self.hub.over.wait(30)
        self.close_connection = True

    def say_nothing(self) -> None:
        self.hub.over.wait(30)
        self.close_connection = True

    def other_range(self) -> None:
        numbers, size = self.hub.numbers, len(self.content)
        match numbers.randrange(4):
            case 0:  # another place than was asked for
                place = numbers.randrange(size)
                self.send(206, self.content[place:], **{"Content-Range": f"bytes {place}-{size - 1}/{size}"})
            case 1:  # the right number on other bytes
                self.send(
                    206, bytes(len(self.rest)), **{"Content-Range": f"bytes {self.begin}-{size - 1}/{size}"}
                )
            case 2:  # the whole
                self.send(200, self.content)
            case 3:
                self.send(
                    206, self.rest, **{"Content-Range": numbers.choice(["bytes", "bytes */5", "x 0-1/2"])}
                )

    def talk_nonsense(self) -> None:
        numbers = self.hub.numbers
        nonsense = [
            numbers.randbytes(200), b"\r\n\r\n", b"HTTP/1.1 9999999 x\r\n\r\n", b"SSH-2.0-OpenSSH_9.6\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"x" * 100_000 + b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(500)) + b"\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1e9\r\n\r\nabc",
        ]  # fmt: skip
        self.wfile.write(numbers.choice(nonsense))
        self.close_connection = True

    def log_in_first(self) -> None:
        """As networks of hotels do."""
        self.send(200, b"<html><title>Welcome</title>Log in to the network</html>", Content_Type="text/html")

    def kill_the_downloader(self) -> None:
        """After some bytes; the moment is the operating system's."""
        self.head_of_rest(**{"Content-Length": str(len(self.rest))})
        some = self.some()
        for place in range(0, len(some), 8192):
            self.wfile.write(some[place : place + 8192])
        self.wfile.flush()
        if self.hub.numbers.random() < 0.5:
            self.hub.over.wait(self.hub.numbers.random() / 10)
        if self.hub.victim is not None:
            os.kill(self.hub.victim(), signal.SIGKILL)
        self.close_connection = True

    def fill_the_disk(self) -> None:
        self.hub.fill_disk()
        self.serve()


@contextmanager
def serving(
    hub: Hub, names: tuple[str, ...] = ("hub", "network", "stranger"), kind: type[Answer] = Answer
) -> Iterator[None]:
    """Servers of these names, as long as the block lasts."""
    servers = []
    for name in names:
        handler = type(f"{name.title()}Answer", (kind,), {"hub": hub, "name": name})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  a connection that was cut
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        hub.addresses[name] = f"http://127.0.0.1:{server.server_address[1]}"
        servers.append(server)
    try:
        yield
    finally:
        hub.over.set()
        for server in servers:
            server.shutdown()
            server.server_close()
