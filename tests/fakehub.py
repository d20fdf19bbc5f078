"""A hub and its content network on this machine, with the faults that real ones have."""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = random.Random(7).randbytes(1_500_000)
Serve = Callable[[type[BaseHTTPRequestHandler]], str]
LARGE = 1 << 16  # from this size on a file lives in the content network, as on the real hub
PAGE = 20


@cache
def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@cache
def git_hash(content: bytes) -> str:
    """Of a blob with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Asked:
    """One request that a server got."""

    server: str
    path: str
    range: str | None
    token: str | None


@dataclass
class FakeHub:
    """Repositories, and what is wrong with the servers at the moment."""

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)  # what it says of a repository besides
    announced: dict[str, dict[str, object]] = field(default_factory=dict)  # overrides in the listing, by path
    corrupted: set[str] = field(default_factory=set)  # content that arrives with one bit turned over
    cut_after: list[int] = field(default_factory=list)  # bytes after which the next large answers break off
    stall_after: list[int] = field(default_factory=list)  # bytes after which they go silent
    listing_stalls: bool = False
    ignores_ranges: bool = False
    redirects_forever: bool = False
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)  # path part → status, X-Error-Code
    failures: list[int] = field(default_factory=list)  # statuses of the next answers for large files
    retry_after: str = ""  # said with them
    raw_listing: bytes | None = None
    raw_search: bytes | None = None
    chunk_pause: float = 0.0
    asked: list[Asked] = field(default_factory=list)
    queries: list[dict[str, list[str]]] = field(default_factory=list)  # of searches
    endpoint: str = ""
    network: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    def requests_for(self, name: str, server: str = "network") -> list[Asked]:
        return [asked for asked in self.asked if asked.server == server and asked.path.endswith(name)]

    def listing(self, repository: str) -> bytes:
        siblings = []
        for path, content in self.repositories[repository].items():
            sibling: dict[str, object] = {
                "rfilename": path,
                "size": len(content),
                "blobId": git_hash(content),
            }
            if len(content) >= LARGE:
                sibling["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 134}
            siblings.append(sibling | self.announced.get(path, {}))
        return json.dumps(self.entry(repository) | {"sha": COMMIT, "siblings": siblings}).encode()

    def entry(self, repository: str) -> dict[str, Any]:
        """A repository as the hub lists it."""
        paths = self.repositories[repository]
        tags = [kind for kind in ("gguf", "safetensors") if any(path.endswith(kind) for path in paths)]
        facts = {
            "id": repository,
            "gated": False,
            "private": False,
            "downloads": 0,
            "likes": 0,
            "tags": tags,
            "lastModified": "2025-03-01T12:00:00.000Z",
        }
        return facts | self.facts.get(repository, {})

    def found(self, query: dict[str, list[str]]) -> tuple[list[dict[str, Any]], int | None]:
        """A page of what a search finds, and where the next one begins."""
        words = query.get("search", [""])[0].lower().split()
        matching = [self.entry(name) for name in self.repositories]
        matching = [
            entry
            for entry in matching
            if all(word in entry["id"].lower() for word in words)
            and all(kind in entry["tags"] for kind in query.get("filter", []))
        ]
        if query.get("sort") == ["downloads"]:
            matching.sort(key=lambda entry: -entry["downloads"])
        begin = int(query.get("cursor", ["0"])[0])
        limit = int(query.get("limit", ["1000"])[0])
        if "expand" in query:
            wanted = {"id", *query["expand"]}
            matching = [{key: entry[key] for key in entry if key in wanted} for entry in matching]
        after = begin + limit
        return matching[begin:after], after if after < len(matching) else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub
    name: str

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(
            Asked(self.name, path, self.headers.get("Range"), self.headers.get("Authorization"))
        )
        for part, (status, code) in self.hub.refusals.items():
            if part in path:
                return self._answer(status, b"no", {"X-Error-Code": code} if code else {})
        if path == "/api/models":
            return self._search()
        if path.startswith("/api/models/"):
            return self._listing(path)
        organisation, name, _, _, rest = path.lstrip("/").split("/", 4)
        content = self.hub.repositories[f"{organisation}/{name}"][rest]
        if self.hub.redirects_forever:
            return self._answer(302, b"", {"Location": path})
        if self.name == "hub" and len(content) >= LARGE:
            headers = {
                "Location": f"{self.hub.network}{path}",
                "X-Repo-Commit": COMMIT,
                "X-Linked-Size": str(len(content)),
                "X-Linked-ETag": f'"{sha256(content)}"',
            }
            return self._answer(302, b"", headers)
        return self._content(rest, content)

    def _listing(self, path: str) -> None:
        if self.hub.listing_stalls:
            self.hub.over.wait(20)
        repository = "/".join(path.removeprefix("/api/models/").split("/")[:2])
        if self.hub.raw_listing is not None:
            return self._answer(200, self.hub.raw_listing, {})
        if repository not in self.hub.repositories:
            return self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        return self._answer(200, self.hub.listing(repository), {})

    def _search(self) -> None:
        if self.hub.listing_stalls:
            self.hub.over.wait(20)
        if self.hub.raw_search is not None:
            return self._answer(200, self.hub.raw_search, {})
        query = parse_qs(urlsplit(self.path).query)
        self.hub.queries.append(query)
        entries, after = self.hub.found(query)
        headers = {}
        if after is not None:
            headers["Link"] = f'<http://elsewhere.example/api/models?cursor={after}>; rel="next"'
        return self._answer(200, json.dumps(entries).encode(), headers)

    def _content(self, path: str, content: bytes) -> None:
        if path in self.hub.corrupted:
            content = bytes([content[0] ^ 1]) + content[1:]
        large = len(content) >= LARGE
        if large and self.hub.failures:
            headers = {"Retry-After": self.hub.retry_after} if self.hub.retry_after else {}
            return self._answer(self.hub.failures.pop(0), b"busy", headers)
        status, headers, begin, end = 200, {"ETag": f'"{sha256(content)}"'}, 0, len(content)
        wanted = self.headers.get("Range")
        if wanted is not None and not self.hub.ignores_ranges:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            begin, end = int(first), int(last or len(content) - 1) + 1
            status = 206
            headers["Content-Range"] = f"bytes {begin}-{min(end, len(content)) - 1}/{len(content)}"
        body = content[begin:end]
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.hub.cut_after.pop(0) if large and self.hub.cut_after else None
        stall = self.hub.stall_after.pop(0) if large and self.hub.stall_after else None
        limit = stall if cut is None else cut
        try:
            for offset in range(0, len(body if limit is None else body[:limit]), 65_536):
                self.wfile.write(body[offset : min(offset + 65_536, len(body) if limit is None else limit)])
                if self.hub.chunk_pause:
                    self.hub.over.wait(self.hub.chunk_pause)
            self.wfile.flush()
            if stall is not None:
                self.hub.over.wait(20)
        except OSError:
            pass
        if limit is not None:
            self.close_connection = True

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving() -> Iterator[Serve]:
    """Starts servers on this machine; gives their addresses."""
    servers: list[ThreadingHTTPServer] = []

    def start(handler: type[BaseHTTPRequestHandler]) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def tiny() -> dict[str, bytes]:
    """The files of one small checkpoint, and others of which none is to be taken."""
    return {
        "README.md": b"# A model",
        "LICENSE": b"Apache License",
        "config.json": b'{"model_type": "llama"}',
        "generation_config.json": b"{}",
        "tokenizer.json": b'{"model": {}}',
        "tokenizer_config.json": b"{}",
        "model.safetensors": WEIGHTS,
        "pytorch_model.bin": b"pickle" * 20_000,
        "modeling_tiny.py": b"print('code')",
        "onnx/model.onnx": b"onnx" * 20_000,
        "original/consolidated.00.pth": b"pickle" * 20_000,
    }


@contextmanager
def running_hub(serve: Serve) -> Iterator[FakeHub]:
    """A hub with one small checkpoint, organisation/tiny."""
    fake = FakeHub()
    fake.repositories["organisation/tiny"] = tiny()
    fake.endpoint, fake.network = (
        serve(type(f"{name.title()}Handler", (_Handler,), {"hub": fake, "name": name}))
        for name in ("hub", "network")
    )
    try:
        yield fake
    finally:
        fake.over.set()
