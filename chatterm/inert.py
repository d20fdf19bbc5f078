"""Foreign text made harmless: control sequences become visible signs, one character for one character.

Model output, pasted text and file names pass through here before they reach the screen. Keeping the length
means that offsets into the foreign text stay valid in what is shown.
"""

from __future__ import annotations

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def _table(kept: str) -> dict[int, str]:
    table = {code: chr(0x2400 + code) for code in range(0x20)}  # control pictures
    table[0x7F] = "\N{SYMBOL FOR DELETE}"
    hidden = [
        *range(0x80, 0xA0),  # C1: a terminal may take 0x9B for the start of a sequence
        0x061C,
        0x200E,
        0x200F,
        *range(0x202A, 0x202F),  # bidirectional embeddings and overrides
        *range(0x2066, 0x206A),  # bidirectional isolates
        0x2028,
        0x2029,
        0xFEFF,
        *range(0xFFF9, 0xFFFC),
        *range(0xD800, 0xE000),  # lone surrogates cannot be written to a terminal
        *range(0xE0000, 0xE0080),  # invisible tags
    ]
    table.update(dict.fromkeys(hidden, REPLACEMENT))
    for character in kept:
        del table[ord(character)]
    return table


_BLOCK = _table("\n\t")
_LINE = _table("") | {ord("\n"): "⏎", ord("\t"): "⇥", ord("\r"): "␍"}
_TOKEN = _LINE | {ord(" "): "·", 0xA0: "⍽", 0x3000: "□"}


def block(text: str) -> str:
    """`text` for a place of several lines: newlines and tabs are kept, other controls become visible."""
    return text.translate(_BLOCK)


def line(text: str) -> str:
    """`text` for a place of one line: newlines and tabs become visible too."""
    return text.translate(_LINE)


def token(text: str) -> str:
    """`text` of a token, in which spaces count: they become visible too; nothing at all reads `∅`."""
    if not text:
        return "∅"
    shown = text.translate(_TOKEN)
    return f"◌{shown}" if _joins_to_what_stands_before(shown[0]) else shown


def _joins_to_what_stands_before(character: str) -> bool:
    from rich.cells import cell_len

    return cell_len(character) == 0
