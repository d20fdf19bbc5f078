"""Rows of the message table as records, whatever another version or a damaged disk has put into them."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from chatterm.library import lenient, marks
from chatterm.library.conversations import read_sampling
from chatterm.library.records import Message, Timing
from chatterm.library.text import storable

Value = TypeVar("Value")

MESSAGE = """
    SELECT m.id, m.conversation, m.parent, m.role, m.content, m.created, m.status, m.model, m.sampling,
        m.finish, m.notices, m.timing, m.edited_from, m.forked_from, m.forked_at,
        coalesce((SELECT first + count FROM chunk WHERE message = m.id ORDER BY first DESC LIMIT 1), 0),
        (SELECT count(*) FROM message s
            WHERE s.conversation = m.conversation AND s.parent IS m.parent AND s.id <= m.id),
        (SELECT count(*) FROM message s WHERE s.conversation = m.conversation AND s.parent IS m.parent),
        m.left_out, m.attachments_left_out, m.raw_prompt, m.placed
    FROM message m
"""
_notices = msgspec.json.Decoder(tuple[str, ...])
_timing = msgspec.json.Decoder(Timing)


def stored_notices(notices: tuple[str, ...]) -> str:
    """Notices as they are stored: JSON."""
    return msgspec.json.encode([storable(notice) for notice in notices]).decode()


def message_record(row: tuple[Any, ...]) -> Message:
    """A row of the query `MESSAGE` as a record."""
    (
        id_, conversation, parent, role, content, created, status, model, sampling, finish, notices, timing,
        edited_from, forked_from, forked_at, tokens, sibling, siblings, left_out, attachments_left_out,
        raw_prompt, placed,
    ) = row  # fmt: skip
    return Message(
        id=id_,
        conversation=conversation,
        parent=parent,
        role=lenient.role(role),
        content=lenient.text(content),
        created=lenient.real(created),
        status=lenient.status(status),
        model=lenient.optional_text(model),
        sampling=read_sampling(sampling),
        finish=lenient.optional_text(finish),
        notices=_read(_notices, notices) or (),
        timing=_read(_timing, timing),
        edited_from=lenient.optional_integer(edited_from),
        forked_from=lenient.optional_integer(forked_from),
        forked_at=lenient.optional_integer(forked_at),
        tokens=lenient.natural(tokens),
        sibling=sibling,
        siblings=siblings,
        left_out=bool(left_out),
        attachments_left_out=bool(attachments_left_out),
        raw_prompt=marks.read_ids(raw_prompt),
        placed=marks.read_ranges(placed),
    )


def _read(decoder: msgspec.json.Decoder[Value], stored: str | None) -> Value | None:
    """A stored JSON value, or None where it is not there or makes no sense to this version."""
    try:
        return None if stored is None else decoder.decode(stored)
    except (ValueError, TypeError, RecursionError):
        return None
