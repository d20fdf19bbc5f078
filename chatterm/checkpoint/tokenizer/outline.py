"""What a `tokenizer.json` asks of the `tokenizers` library, looked at before the library does it.

The library believes its file: one that asks for texts padded to a billion tokens, or that doubles a text
forty times over, ends the process, and a damaged one raises what no ordinary `except` catches. Real files are
far within the bounds here. The vocabulary itself, nine tenths of a file, is passed over.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from chatterm.errors import UserError

MAX_TOKENIZER_BYTES = 64 << 20
MAX_ENTRIES = 3_000_000
"""Commas of a file; Gemma's, the largest, has half of it."""

MAX_ADDED = 1 << 16
MAX_ADDED_TEXT = 1 << 20
MAX_STEPS = 64
MAX_STEP_DEPTH = 16
MAX_GROWTH = 256
"""How much longer all steps together may make a text."""

MAX_PREFIX = 64
MAX_PATTERN = 10_000


class _Added(msgspec.Struct):
    content: str = ""


class _Outline(msgspec.Struct):
    added_tokens: list[_Added] | None = None
    normalizer: Any = None
    pre_tokenizer: Any = None
    post_processor: Any = None


def check_outline(document: bytes, source: str) -> None:
    """Look at a `tokenizer.json`.

    Raises:
        UserError: it is no JSON, or asks for what no real one does; the sentence names `source`.
    """
    if document.count(b",") > MAX_ENTRIES:
        raise UserError(f"{source} has more entries than any real tokenizer; it is damaged.")
    try:
        outline = msgspec.json.decode(document, type=_Outline)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise UserError(f"{source} is not readable as a tokenizer: {error}.") from error
    added = outline.added_tokens or []
    if len(added) > MAX_ADDED or sum(len(token.content) for token in added) > MAX_ADDED_TEXT:
        raise UserError(f"{source} adds more tokens to its vocabulary than any real model; it is damaged.")
    try:
        growth, steps = 1.0, 0
        for step in (*_flat(outline.normalizer), *_flat(outline.pre_tokenizer)):
            steps += 1
            growth *= _growth(step)
        for processor in _flat(outline.post_processor):
            steps += 1
            growth *= _copies(processor)
        if steps > MAX_STEPS or growth > MAX_GROWTH:
            raise _NotRealError("its steps make texts longer without end")
    except ValueError as problem:
        raise UserError(f"{source} is not a real tokenizer: {problem}; it is damaged.") from problem


class _NotRealError(ValueError):
    """What no real tokenizer asks for."""


def _flat(step: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """A step and, if it is a sequence, all that it holds."""
    if depth > MAX_STEP_DEPTH:
        raise _NotRealError("its steps hold each other without end")
    if isinstance(step, dict):
        yield step
        for parts in (step.get("normalizers"), step.get("pretokenizers"), step.get("processors")):
            for part in parts if isinstance(parts, list) else ():
                yield from _flat(part, depth + 1)


def _growth(step: dict[str, Any]) -> float:
    """How much longer a step may make a text."""
    kind = step.get("type")
    pattern = step.get("pattern")
    literal = pattern.get("String") if isinstance(pattern, dict) else None
    expression = pattern.get("Regex") if isinstance(pattern, dict) else None
    if literal == "" or expression == "":
        raise _NotRealError("a step looks for nothing at all")
    if any(isinstance(text, str) and len(text) > MAX_PATTERN for text in (literal, expression)):
        raise _NotRealError("a step looks for a text without end")
    if kind == "FixedLength" and not step.get("length"):
        raise _NotRealError("a step cuts a text into pieces of no length")
    if kind == "Prepend" and len(str(step.get("prepend"))) > MAX_PREFIX:
        raise _NotRealError("a step puts a long text in front")
    if kind == "Precompiled":
        check_character_map(_decoded(step.get("precompiled_charsmap")))
    if kind == "ByteLevel":
        return 2.0
    if kind == "Replace":
        content = len(str(step.get("content", "")).encode("utf-8", "replace"))
        return max(1.0, content / len(literal.encode()) if isinstance(literal, str) else 1.0 + content)
    return 1.0


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text if isinstance(text, str) else "")
    except (binascii.Error, ValueError):
        raise _NotRealError("its map of characters is not readable") from None


def check_character_map(content: bytes) -> None:
    """Look at the map of characters of a SentencePiece model: a size, a trie of that size, and texts.

    Raises:
        ValueError: it is none.
    """
    size = int.from_bytes(content[:4], "little")
    if content and (len(content) < 8 or size % 4 or not 0 < size <= len(content) - 4):
        raise ValueError("its map of characters is damaged")


def _copies(processor: dict[str, Any]) -> int:
    """How often a step puts the text into what it makes of it."""
    pieces = [*_pieces(processor.get("single")), *_pieces(processor.get("pair"))]
    if len(pieces) > MAX_STEPS:
        raise _NotRealError("a step puts tokens around a text without end")
    special = processor.get("special_tokens")
    for token in special.values() if isinstance(special, dict) else ():
        if isinstance(token, dict) and len(token.get("ids") or ()) > MAX_STEPS:
            raise _NotRealError("a step puts tokens around a text without end")
    return max(1, sum("Sequence" in piece for piece in _pieces(processor.get("single"))))


def _pieces(template: Any) -> list[dict[str, Any]]:
    return [piece for piece in template if isinstance(piece, dict)] if isinstance(template, list) else []


@contextmanager
def broken_tokenizer(complaint: str) -> Iterator[None]:
    """Whatever `tokenizers` raises, its panics among it, as a `UserError` that begins with `complaint`."""
    try:
        yield
    except UserError:
        raise
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            reason = " ".join(str(error).split())[:200].rstrip(". ")
            raise UserError(f"{complaint}: {reason}.") from error
        raise
