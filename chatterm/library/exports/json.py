"""JSON with everything in it, to be imported again without loss (`chatterm.library.document`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from chatterm import inert
from chatterm.library import marks
from chatterm.library.document import FORMAT, VERSION
from chatterm.library.exchange import Whole
from chatterm.library.records import Candidate, Message, Removal, Token
from chatterm.sampling import SamplingParameters


def as_json(wholes: Sequence[Whole]) -> str:
    """Conversations as one document: a message a line, so that two exports can be compared.

    What acts or hides is written as an escape: the file can be looked at in a terminal.
    """
    conversations = ",\n".join(_conversation(whole) for whole in wholes)
    head = f'{{"format": {_text(FORMAT)}, "version": {VERSION}, "conversations": ['
    return f"{head}\n{conversations}\n]}}\n" if wholes else f"{head}]}}\n"


def _conversation(whole: Whole) -> str:
    numbers = {message.id: number for number, message in enumerate(whole.messages, 1)}
    record = whole.conversation
    head = {
        "title": record.title,
        "title_is_users": record.title_is_users,
        "created": record.created,
        "updated": record.updated,
        "pinned": record.pinned,
        "model": record.model,
        "system_prompt": record.system_prompt,
        "sampling": _sampling(record.sampling),
        "chosen": _optional(numbers, whole.chosen.get(None)),
    }
    messages = ",\n".join(_text(_message(whole, message, numbers)) for message in whole.messages)
    return f'{_text(head)[:-1]}, "messages": [\n{messages}\n]}}'


def _message(whole: Whole, message: Message, numbers: dict[int, int]) -> dict[str, Any]:
    return {
        "id": numbers[message.id],
        "parent": _optional(numbers, message.parent),
        "chosen": _optional(numbers, whole.chosen.get(message.id)),
        "role": message.role,
        "content": message.content,
        "created": message.created,
        "status": "interrupted" if message.is_writing else message.status,
        "model": message.model,
        "sampling": _sampling(message.sampling),
        "finish": message.finish,
        "notices": message.notices,
        "timing": message.timing,
        "edited_from": _optional(numbers, message.edited_from),
        "forked_from": _optional(numbers, message.forked_from),
        "forked_at": message.forked_at,
        "left_out": message.left_out,
        "attachments_left_out": message.attachments_left_out,
        "raw_prompt": message.raw_prompt,
        "placed": marks.first(message.placed, len(whole.tokens.get(message.id, ()))),
        "tokens": [_token(token) for token in whole.tokens.get(message.id, ())],
    }


def _token(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "text": token.text,
        "start": token.start,
        "position": token.position,
        "logprob": _single(token.logprob),
        "rank": token.rank,
        "sampled": _single(token.sampled),
        "entropy": _single(token.entropy),
        "temperature": _number(token.temperature),
        "kept": token.kept,
        "removed": [_removal(removal) for removal in token.removed],
        "candidates": [_candidate(candidate) for candidate in token.candidates],
    }


def _removal(removal: Removal) -> dict[str, Any]:
    return {"step": removal.step, "tokens": removal.tokens, "mass": _single(removal.mass)}


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "id": candidate.id,
        "text": candidate.text,
        "logprob": _single(candidate.logprob),
        "rank": candidate.rank,
        "sampled": _single(candidate.sampled),
        "removed_by": candidate.removed_by,
    }


def _sampling(sampling: SamplingParameters | None) -> dict[str, Any] | None:
    if sampling is None:
        return None
    fields = msgspec.structs.asdict(sampling)
    bias = {str(token): _number(value) for token, value in sampling.logit_bias.items()}
    return {
        name: _number(value) if isinstance(value, float) else value
        for name, value in (fields | {"logit_bias": bias}).items()
    }


def _single(value: float) -> float | str:
    """A 32-bit float in the nine digits that identify it."""
    return _number(float(f"{value:.9g}"))


def _number(value: float) -> float | str:
    """A number as JSON can hold it: what is not finite as text."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _optional(numbers: dict[int, int], message: int | None) -> int | None:
    return None if message is None else numbers.get(message)


def _text(value: object) -> str:
    return inert.json(msgspec.json.encode(value).decode())
