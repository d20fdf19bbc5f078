"""Foreign text made harmless: what acts or hides becomes a visible sign, one character for one character.

Model output, pasted text, file names and metadata pass through here before they reach the screen. Keeping the
length means that offsets into the foreign text stay valid in what is shown.

Invisible characters that a script needs are kept where that script stands before them: the joiners of
Arabic, Indic scripts and emoji, the variation selectors of emoji and ideographs, the word breaks of Thai and
Khmer. Everywhere else, and one after the other, they hide something. What is kept depends only on what stands
before, so that a text that arrives in pieces is shown as it is whole: give each piece what came `before` it.
`docs/reliability.md` says what becomes of which character.
"""

from __future__ import annotations

import functools
import re
import unicodedata

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

MOST_MARKS = 8
"""Characters without a cell of their own that may stand on one base: the tallest Tibetan syllables have as
many. Those after them are shown as signs."""

LONGEST_TOKEN = 1000
"""Characters of a token that are looked at where tokens are listed; no place has room for as many."""

CONTEXT = 2 * MOST_MARKS
"""Characters before a piece that may decide about its first ones."""

_BREAK, _NON_JOINER, _JOINER = "\u200b\u200c\u200d"


def _table(kept: str) -> dict[int, str]:
    table = {code: chr(0x2400 + code) for code in range(0x20)}  # control pictures
    table[0x7F] = "\N{SYMBOL FOR DELETE}"
    hidden = [
        *range(0x80, 0xA0),  # C1: a terminal may take 0x9B for the start of a sequence
        0xAD,  # soft hyphen: some terminals draw it, some do not
        0x034F,  # combining grapheme joiner
        0x061C,
        *range(0x115F, 0x1161),  # Hangul fillers
        *range(0x17B4, 0x17B6),
        0x180E,
        0x200E,
        0x200F,
        *range(0x2028, 0x202F),  # line and paragraph separators, bidirectional embeddings and overrides
        *range(0x2060, 0x2070),  # word joiner, invisible operators, bidirectional isolates
        0x3164,
        *range(0xD800, 0xE000),  # lone surrogates cannot be written to a terminal
        *range(0xFDD0, 0xFDF0),
        0xFEFF,
        0xFFA0,
        *range(0xFFF0, 0xFFFC),  # unassigned, and interlinear annotations
        *range(0x13430, 0x13440),  # hieroglyphs' format controls
        *range(0x1BCA0, 0x1BCA4),  # shorthand's
        *range(0x1D173, 0x1D17B),  # musical notes'
        *range(0xE0000, 0xE0100),  # invisible tags
        *range(0xE01F0, 0xE1000),
        *(plane | low for plane in range(0, 0x110000, 0x10000) for low in (0xFFFE, 0xFFFF)),  # no characters
    ]
    table.update(dict.fromkeys(hidden, REPLACEMENT))
    for character in kept:
        del table[ord(character)]
    return table


_BLOCK = _table("\n\t")
_LINE = _table("") | {ord("\n"): "⏎", ord("\t"): "⇥", ord("\r"): "␍"}
_TOKEN = _LINE | {ord(" "): "·", 0xA0: "⍽", 0x3000: "□"}

_SIGN = (
    "©®\u203c\u2049\u2122\u2139\u2190-\u21ff\u231a-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_IDEOGRAPH = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
_SOUTH_EAST_ASIAN = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aad\ua9e0-\ua9ff\uaa60-\uaadf"
)
_JOINED = (
    "\u0600-\u08ff\ufb50-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc"  # Arabic, Syriac, N'Ko
    "\u0900-\u0dff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1800-\u180a\u1810-\u18af\u1900-\u1cff"  # Indic
    "\ua800-\uabff\U00010a00-\U00011fff"
)
_MAY_FOLLOW = {
    character: f"[{bases}]"
    for characters, bases in (
        (_BREAK, _SOUTH_EAST_ASIAN),
        (_NON_JOINER, _JOINED),
        (_JOINER, _JOINED + _SIGN),
        ("\u180b\u180c\u180d\u180f", "\u1820-\u18aa"),  # Mongolian
        ("\ufe00\ufe01\ufe02", _IDEOGRAPH + "\u2200-\u22ff\u2a00-\u2aff\u3001\u3002\uff01-\uff60"),
        ("\ufe0e\ufe0f", _SIGN + "0-9#*"),
    )
    for character in characters
}
_IDEOGRAPH_BEFORE = f"[{_IDEOGRAPH}]"
_INVISIBLE = re.compile("[\u180b-\u180d\u180f\u200b-\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]+")
_PERHAPS_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0590-\u1dff\u200b-\u200d\u20d0-\u20ff\u2cef-\u2cf1\u2de0-\u2dff"
    "\u302a-\u302f\u3099\u309a\ua66f-\ua6f1\ua800-\uabff\ud7b0-\ud7ff\ufb1e\ufe00-\ufe2f\U000101fd-\U0001e95f"
    "\U000e0100-\U000e01ef]"
    f"{{{MOST_MARKS + 1},}}"
)
_PERHAPS_HIDDEN = "[^\x20-\x7e\u00a0-\u00ac\u00ae-\u034e\u0370-\u0560\u3000-\u3163\u3165-\ud7af]"
"""The rest, nearly all characters, is known to be harmless."""

_compiled = functools.cache(re.compile)  # when it is needed: the first painting comes sooner


def block(text: str, before: str = "") -> str:
    """`text` for a place of several lines: newlines and tabs are kept, what else acts or hides is visible."""
    return _shown(text, before, _BLOCK)


def line(text: str, before: str = "") -> str:
    """`text` for a place of one line: newlines and tabs become visible too."""
    return _shown(text, before, _LINE)


def token(text: str) -> str:
    """`text` of a token, in which spaces count: they become visible too; nothing at all reads `∅`.

    A vocabulary may hold tokens of megabytes, which are shown again with every step; they are cut.
    """
    if not text:
        return "∅"
    if len(text) > LONGEST_TOKEN:
        text = text[:LONGEST_TOKEN] + "…"
    shown = _shown(text, "", _TOKEN)
    return f"◌{shown}" if _joins_to_what_stands_before(shown[0]) else shown


def json(document: str) -> str:
    """A JSON document in which what acts or hides is an escape: it means the same and can be looked at."""
    return _PERHAPS_MARKS.sub(_escaped_marks, _compiled(_PERHAPS_HIDDEN).sub(_escaped, document))


def _shown(text: str, before: str, table: dict[int, str]) -> str:
    shown = text.translate(table)
    if shown.isascii():
        return shown
    head = before[-CONTEXT:].translate(table)
    whole = head + shown
    whole = _INVISIBLE.sub(_kept_where_needed, whole)
    whole = _PERHAPS_MARKS.sub(_not_too_many, whole)
    return whole[len(head) :]


def _kept_where_needed(match: re.Match[str]) -> str:
    """Of invisible characters in a row: a selector and a joiner, if what stands before them asks for them."""
    base = match.string[match.start() - 1 : match.start()]
    run = match[0]
    kept = 0
    if _selects(run[0]) and _may_follow(run[0], base):
        kept = 1
    if kept < len(run) and not _selects(run[kept]) and _may_follow(run[kept], base):
        kept += 1
    return run[:kept] + REPLACEMENT * (len(run) - kept)


def _selects(character: str) -> bool:
    return character not in "\u200b\u200c\u200d"


def _may_follow(character: str, base: str) -> bool:
    bases = _IDEOGRAPH_BEFORE if character >= "\U000e0100" else _MAY_FOLLOW.get(character)
    return bases is not None and _compiled(bases).match(base) is not None


def _not_too_many(match: re.Match[str]) -> str:
    shown, marks = [], 0
    for character in match[0]:
        marks = marks + 1 if _has_no_cell(character) else 0
        shown.append(REPLACEMENT if marks > MOST_MARKS else character)
    return "".join(shown)


def _has_no_cell(character: str) -> bool:
    if "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7ff":
        return True  # vowels and final consonants of Hangul, drawn over the initial
    return unicodedata.category(character) in {"Mn", "Me", "Cf"}


def _joins_to_what_stands_before(character: str) -> bool:
    from rich.cells import cell_len

    return cell_len(character) == 0


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    return character if block(character) == character else _escape(character)


def _escaped_marks(match: re.Match[str]) -> str:
    kept = _not_too_many(match)
    return "".join(
        character if character == shown else _escape(character)
        for character, shown in zip(match[0], kept, strict=True)
    )


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
