"""Bytes behind a token's name: the byte alphabet of GPT-2, and byte-fallback names such as "<0xE4>"."""

from __future__ import annotations

import re

SPACE = "▁"  # U+2581, how SentencePiece writes a space
_BYTE_NAME = re.compile(r"<0x([0-9A-Fa-f]{2})>\Z")


def _byte_alphabet() -> dict[str, int]:
    """The printable stand-in of every byte, as GPT-2's `bytes_to_unicode` assigns them.

    Bytes that are printable and not a space in Latin-1 stand for themselves; the others get U+0100 upwards.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    alphabet = {chr(byte): byte for byte in printable}
    alphabet.update({chr(0x100 + index): byte for index, byte in enumerate(others)})
    return alphabet


BYTE_OF = _byte_alphabet()


def byte_level_bytes(token: str) -> bytes:
    """The bytes of a byte-level token; a name that is not in the alphabet stands for itself in UTF-8."""
    try:
        return bytes(map(BYTE_OF.__getitem__, token))
    except KeyError:
        return token.encode("utf-8", "replace")


def byte_fallback_bytes(token: str) -> bytes:
    """The bytes of a SentencePiece token: a byte name stands for its byte, U+2581 for a space."""
    if match := _BYTE_NAME.match(token):
        return bytes((int(match[1], 16),))
    return token.replace(SPACE, " ").encode("utf-8", "replace")


def visible(data: bytes) -> str:
    """`data` as text for display, every byte that is not valid UTF-8 written like "<0xE4>"."""
    text = data.decode("utf-8", "surrogateescape")
    if text.isascii() or not any("\udc80" <= character <= "\udcff" for character in text):
        return text
    return "".join(
        f"<0x{ord(character) - 0xDC00:02X}>" if "\udc80" <= character <= "\udcff" else character
        for character in text
    )
