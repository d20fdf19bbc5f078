"""Searching the hub: repositories that hold a checkpoint in one of the two formats, page by page."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from chatterm.checkpoint.fetch.hub import Hub, connect, plainly
from chatterm.checkpoint.fetch.repository import FORMATS, facts_of
from chatterm.checkpoint.fetch.web import Timeouts, UnreachableError
from chatterm.errors import UserError
from chatterm.records.supply import Format, HubRepository

PAGE = 20
"""Repositories of each format that one page holds."""

MAX_PAGE_BYTES = 8 << 20
LONGEST_WORDS = 200
LONGEST_CURSOR = 2000
_CHUNK = 1 << 16
_WANTED = ("downloads", "likes", "gated", "private", "tags", "lastModified", "pipeline_tag", "cardData")
_ONLY = {"gguf": ("gguf",), "safetensors": ("safetensors", "config")}


@dataclass(frozen=True)
class Page:
    """Repositories, the most downloaded first, and what to ask for more of them (None: that was all)."""

    repositories: tuple[HubRepository, ...]
    more: dict[Format, str] | None


def search(
    words: str,
    formats: tuple[Format, ...] = FORMATS,
    more: dict[Format, str] | None = None,
    *,
    check: Callable[[], None] = lambda: None,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
) -> Page:
    """Repositories whose names hold these words.

    Args:
        words: what a person typed, or a part of an id.
        formats: of the checkpoints that count.
        more: `Page.more` of the page before.
        check: raises when the person no longer wants to know.
        timeouts: how long to wait.

    Raises:
        UserError: there are no words.
        HubError: the hub cannot be reached, or refuses; the sentence says why.
    """
    words = " ".join(words.split())
    if not words:
        raise UserError("Say what to search the hub for: words of a name, or organisation/name.")
    hub = connect("The hub cannot be searched:", timeouts, check)
    found: dict[str, HubRepository] = {}
    cursors: dict[Format, str] = {}
    with plainly(hub, None):
        for kind in formats:
            if more is not None and kind not in more:
                continue  # that one has come to its end
            entries, cursor = _page(hub, words[:LONGEST_WORDS], kind, (more or {}).get(kind))
            for entry in entries:
                known = found.get(entry.repository, entry)
                kinds = tuple(each for each in FORMATS if each in (*known.formats, kind))
                found[entry.repository] = msgspec.structs.replace(known, formats=kinds)
            if cursor:
                cursors[kind] = cursor
    ordered = sorted(found.values(), key=lambda facts: -(facts.downloads or 0))
    return Page(tuple(ordered), cursors or None)


def _page(hub: Hub, words: str, kind: Format, cursor: str | None) -> tuple[list[HubRepository], str]:
    asked = [("search", words), ("filter", kind), ("sort", "downloads"), ("direction", "-1")]
    asked += [("limit", str(PAGE)), *(("expand", name) for name in (*_WANTED, *_ONLY[kind]))]
    if cursor:
        asked.append(("cursor", cursor[:LONGEST_CURSOR]))
    content, link = _read(hub, f"{hub.endpoint}/api/models?{urlencode(asked)}")
    try:
        raw = msgspec.json.decode(content)
    except (msgspec.MsgspecError, RecursionError):
        raise UnreachableError("its answer makes no sense") from None
    if not isinstance(raw, list):
        raise UnreachableError("its answer makes no sense")
    facts = [facts_of(entry) for entry in raw[: 5 * PAGE]]
    return [entry for entry in facts if entry is not None], _cursor(link)


def _read(hub: Hub, url: str) -> tuple[bytes, str]:
    """The answer and its Link header, within the time of a first contact."""
    seconds = hub.client.timeouts.connect
    until = time.monotonic() + seconds
    content = bytearray()
    with hub.client.open(url, seconds=seconds) as response:
        while chunk := hub.client.read_some(response, _CHUNK):
            hub.client.check()
            content += chunk
            if len(content) > MAX_PAGE_BYTES:
                raise UnreachableError("its answer is far too long")
            if time.monotonic() > until + hub.client.timeouts.stall:
                raise UnreachableError("it does not answer")
        return bytes(content), response.headers.get("Link", "")


def _cursor(link: str) -> str:
    """The cursor of the next page. Its address is not followed: only what we asked for is asked again."""
    for part in link[: 8 * LONGEST_CURSOR].split(","):
        address, _, attributes = part.partition(";")
        if 'rel="next"' in attributes.replace(" ", ""):
            values = parse_qs(urlsplit(address.strip().strip("<>")).query).get("cursor", [""])
            return values[0] if len(values[0]) <= LONGEST_CURSOR else ""
    return ""
