"""Full-text search over all messages."""

# ruff: noqa: S608 - what is put into SQL here are constants; the query goes in as a parameter

from __future__ import annotations

import re

from chatterm.library import lenient
from chatterm.library.records import Hit
from chatterm.library.store import Store
from chatterm.library.text import folded, one_line, storable

TRIGRAM = 3
MAX_TERMS = 16
SNIPPET_CHARACTERS = 160
_BEFORE = 40  # characters of a snippet that come before the first hit

_TERM = re.compile(r'"([^"]+)"?|(\S+)')


def terms(query: str) -> tuple[str, ...]:
    """What a query looks for: its words, and what stands between double quotes as one piece, folded."""
    found = (quoted or word for quoted, word in _TERM.findall(storable(query)))
    pieces = (folded(piece).strip() for piece in found)
    return tuple(dict.fromkeys(piece for piece in pieces if piece.strip('"')))[:MAX_TERMS]


def snippet(content: str, wanted: tuple[str, ...]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A piece of `content` on one line around the first of the terms, and where in it the terms stand."""
    text = folded(content)
    first = min((place for term in wanted if (place := text.find(term)) >= 0), default=0)
    begin = 0 if first <= _BEFORE else first - _BEFORE
    end = min(len(content), begin + SNIPPET_CHARACTERS)
    head, tail = "…" if begin else "", "…" if end < len(content) else ""
    spans = sorted(
        (place - begin + len(head), place - begin + len(head) + len(term))
        for term in wanted
        for place in _places(text[begin:end], term, begin)
    )
    return head + one_line(content[begin:end]) + tail, _joined(spans)


class Search(Store):
    """The part of the library that finds messages by their words."""

    def search(self, query: str, *, limit: int = 50, offset: int = 0) -> tuple[Hit, ...]:
        """Messages that contain every word of the query, newest first; not of deleted conversations.

        A word is found anywhere, inside other words too and whatever its case; a piece in double quotes is
        found as it stands. A reply is found once it has ended.

        Raises:
            UserError: the library cannot be read.
        """
        wanted = terms(query)
        if not wanted:
            return ()
        long = [term for term in wanted if len(term) >= TRIGRAM]
        short = [term for term in wanted if len(term) < TRIGRAM]
        conditions = ["c.deleted IS NULL"] + ["instr(search.text, ?)"] * len(short)
        parameters = [*short]
        if long:
            conditions.append("search MATCH ?")
            parameters.append(" AND ".join('"' + term.replace('"', '""') + '"' for term in long))
        sql = (
            "SELECT m.conversation, c.title, m.id, m.role, m.created, m.content FROM search "
            "JOIN message m ON m.id = search.rowid JOIN conversation c ON c.id = m.conversation "
            f"WHERE {' AND '.join(conditions)} ORDER BY search.rowid DESC LIMIT ? OFFSET ?"
        )
        with self._reading() as connection:
            rows = connection.execute(sql, (*parameters, limit, offset)).fetchall()
        hits = []
        for conversation, title, message, role, created, content in rows:
            piece, spans = snippet(lenient.text(content), wanted)
            said = lenient.text(title), message, lenient.role(role), lenient.real(created)
            hits.append(Hit(conversation, *said, piece, spans))
        return tuple(hits)


def _places(text: str, term: str, begin: int) -> list[int]:
    return [begin + match.start() for match in re.finditer(re.escape(term), text)]


def _joined(spans: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Sorted spans with those that touch or overlap made one."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)
