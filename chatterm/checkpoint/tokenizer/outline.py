"""What a `tokenizer.json` asks of the `tokenizers` library, looked at before the library does it.

The library believes its file: one that asks for texts padded to a billion tokens, or that doubles a text
forty times over, ends the process, and a damaged one raises what no ordinary `except` catches. Real files are
far within the bounds here. Of the vocabulary, nine tenths of a file, only the tokens are looked at.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from chatterm.checkpoint.tokenizer.growth import Growth
from chatterm.errors import UserError

MAX_TOKENIZER_BYTES = 64 << 20
MAX_ENTRIES = 3_000_000
"""Commas of a file; Gemma's, the largest, has half of it."""

MAX_ADDED = 1 << 16
MAX_ADDED_TEXT = 1 << 20
MAX_TOKEN = 8192
"""Characters of one token, eight times the longest real one: each that is drawn goes into the reply, and its
candidates from one process to the other."""

MAX_TOKENS = 1 << 20
MAX_NODES = 2_500_000
"""Of the tree that the library makes of a unigram vocabulary, with 340 bytes for each: as many as its tokens
have bytes, less what they share. The largest real ones have two thirds of it."""

MAX_STEPS = 64
MAX_STEP_DEPTH = 16
MAX_GROWTH = 1024
"""How much longer all steps together may make a text; `growth.py` sees what they make of a given one."""

MAX_PREFIX = 16
MAX_PATTERN = 10_000
MAX_MAP_BYTES = 4 << 20
MAX_EXPANSION = 64
"""Bytes that a map of characters may put in the place of one; the longest in Unicode has 33."""

_LONGEST_DECOMPOSITION = 11  # U+FDFA: 33 bytes for 3
_DECOMPOSING = ("NFKC", "NFKD")


class _Added(msgspec.Struct):
    content: str
    id: Any = msgspec.UNSET
    single_word: Any = msgspec.UNSET
    lstrip: Any = msgspec.UNSET
    rstrip: Any = msgspec.UNSET
    normalized: Any = msgspec.UNSET
    special: Any = msgspec.UNSET


class _Outline(msgspec.Struct):
    """All that the library reads, but for lengths to which it would cut and fill texts."""

    version: Any = msgspec.UNSET
    added_tokens: list[_Added] | msgspec.UnsetType | None = msgspec.UNSET
    normalizer: Any = msgspec.UNSET
    pre_tokenizer: Any = msgspec.UNSET
    post_processor: Any = msgspec.UNSET
    decoder: Any = msgspec.UNSET
    model: msgspec.Raw = msgspec.Raw(b"null")


class _Model(msgspec.Struct):
    vocab: dict[str, Any] | list[Any] | None = None


class Checked(NamedTuple):
    """A `tokenizer.json` that was looked at.

    Attributes:
        document: exactly what was looked at. Where the file has a key twice, the library would read both.
        growth: how much longer its steps may make a text.
    """

    document: bytes
    growth: Growth


def check_outline(document: bytes, source: str) -> Checked:
    """Look at a `tokenizer.json`.

    Raises:
        UserError: it is no JSON, or asks for what no real one does; the sentence names `source`.
    """
    if document.count(b",") > MAX_ENTRIES:
        raise UserError(f"{source} has more entries than any real tokenizer; it is damaged.")
    try:
        outline = msgspec.json.decode(document, type=_Outline)
        vocabulary = msgspec.json.decode(outline.model, type=_Model | None)
        checked = msgspec.json.encode(outline)
    except (msgspec.MsgspecError, RecursionError, UnicodeError, OverflowError) as error:
        raise UserError(f"{source} is not readable as a tokenizer: {error}.") from error
    check_added([token.content for token in outline.added_tokens or []], source)
    _check_vocabulary(vocabulary.vocab if vocabulary is not None else None, source)
    try:
        return Checked(checked, _checked_steps(outline))
    except ValueError as problem:
        raise UserError(f"{source} is not a real tokenizer: {problem}; it is damaged.") from problem


def _checked_steps(outline: _Outline) -> Growth:
    steps = [*_flat(outline.normalizer)]
    cutting = [*_flat(outline.pre_tokenizer)]
    around = [*_flat(outline.post_processor)]
    growth = Growth(math.prod(map(_growth, steps)), math.prod(map(_growth, cutting)))
    copies = math.prod(map(_copies, around))
    if (
        len(steps) + len(cutting) + len(around) > MAX_STEPS
        or growth.normalized * growth.cut * copies > MAX_GROWTH
    ):
        raise _NotRealError("its steps make texts longer without end")
    if any(step.get("type") in _DECOMPOSING for step in steps):  # however often: the second finds nothing
        return Growth(growth.normalized * _LONGEST_DECOMPOSITION, growth.cut)
    return growth


def _check_vocabulary(vocabulary: dict[str, Any] | list[Any] | None, source: str) -> None:
    if isinstance(vocabulary, dict):
        check_tokens(vocabulary, source)
    elif vocabulary is not None:  # of a unigram model, tokens with their scores
        tokens = [entry[0] for entry in vocabulary if isinstance(entry, list) and entry]
        check_unigram([token for token in tokens if isinstance(token, str)], source)


def check_added(tokens: Collection[str], source: str) -> None:
    """Look at tokens that are to be added to a vocabulary.

    Raises:
        UserError: they are more, or longer, than those of any real model; the sentence names `source`.
    """
    if len(tokens) > MAX_ADDED or sum(map(len, tokens)) > MAX_ADDED_TEXT:
        raise UserError(f"{source} adds more tokens to its vocabulary than any real model; it is damaged.")
    check_tokens(tokens, source)


def check_unigram(tokens: Collection[str], source: str) -> None:
    """Look at the tokens of a unigram vocabulary, of which the library makes a tree.

    Raises:
        UserError: as `check_tokens`, or the tree is larger than any real one.
    """
    check_tokens(tokens, source)
    texts = sorted(token.encode("utf-8", "replace") for token in tokens)
    size = sum(map(len, texts))
    if size > 4 * MAX_NODES or (size > MAX_NODES and _nodes(texts) > MAX_NODES):
        raise UserError(f"{source} has longer tokens than any real vocabulary; it is damaged.")


def _nodes(texts: Sequence[bytes]) -> int:
    """Of sorted texts, the bytes that each does not share with the one before it."""
    count, before = 0, b""
    for text in texts:
        shared = 0
        while shared < min(len(before), len(text)) and before[shared] == text[shared]:
            shared += 1
        count, before = count + len(text) - shared, text
    return count


def check_tokens(tokens: Collection[str], source: str) -> None:
    """Look at the tokens of a vocabulary.

    Raises:
        UserError: they are more, or one is longer, than in any real one; the sentence names `source`.
    """
    if len(tokens) > MAX_TOKENS:
        raise UserError(f"{source} has more tokens than any real vocabulary; it is damaged.")
    longest = max(map(len, tokens), default=0)
    if longest > MAX_TOKEN:
        raise UserError(
            f"{source} holds a token of {longest} characters, as no real one does; it is damaged."
        )


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
    if kind == "Precompiled":
        return max(1.0, check_character_map(_decoded(step.get("precompiled_charsmap"))))
    if kind == "Prepend":
        prefix = str(step.get("prepend"))
        if len(prefix) > MAX_PREFIX:
            raise _NotRealError("a step puts a long text in front")
        return 1.0 + len(prefix.encode("utf-8", "replace"))
    if kind == "ByteLevel":  # a space before every piece
        return 4.0 if step.get("add_prefix_space") else 2.0
    if kind == "Metaspace":
        return 4.0
    if kind == "Replace":
        content = len(str(step.get("content", "")).encode("utf-8", "replace"))
        return max(1.0, content / len(literal.encode()) if isinstance(literal, str) else 1.0 + content)
    return 1.0


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text if isinstance(text, str) else "")
    except (binascii.Error, ValueError):
        raise _NotRealError("its map of characters is not readable") from None


def check_character_map(content: bytes) -> int:
    """Look at the map of characters of a SentencePiece model: a size, a trie of that size, and texts.

    Whatever the trie says of a character, its replacement is a part of the texts that has no zero byte in it.

    Returns:
        The bytes of the longest text.

    Raises:
        ValueError: it is none, or puts long texts in the place of characters.
    """
    if not content:
        return 0
    size = int.from_bytes(content[:4], "little")
    if len(content) < 8 or size % 4 or not 0 < size <= len(content) - 4 or len(content) > MAX_MAP_BYTES:
        raise _NotRealError("its map of characters is damaged")
    longest = max(map(len, content[4 + size :].split(b"\0")))
    if longest > MAX_EXPANSION:
        raise _NotRealError("its map of characters makes a long text of one character")
    return longest


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
