"""What may reach a terminal: a second opinion on what `chatterm.inert` lets through, written without it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from rich.segment import Segment

_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef\u180b-\u180d\u180f]")
_JOINERS = "\u200b\u200c\u200d"
_SHOWN_FORMATS = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd]")
_UNSEEN_LETTERS = "\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5"
_MOST = 8

_ALLOWED = re.compile(
    r"\x1b\[[0-9;]*m"  # colours
    r"|\x1b\[[0-9]+;[0-9]+H"  # the cursor to a place
    r"|\x1b\[\?(?:2026|25|1049|100[0-7]|1015|1016|2004|1004|2048|7727)[hl]"
    r"|\x1b\]22;[a-z-]+(?:\x1b\\|\x07)"  # the shape of the pointer
    r"|\x1b\[\?2026\$p|\x1b\[\?2048\$p|\x1b\[[<>=?]?[0-9]*u|\x1b\[>1u|\x1b\[6n|\x1b\[c|\x1b\[[0-9]*[A-DKJ]"
)


def complaint(text: str, allowed: str = "\n", *, on_screen: bool = False) -> str:
    """What in a text would act or hide; "" if nothing does.

    On a screen a box may lie over half of a sign: then a space and the sign's joiner or selector are left.
    """
    marks = 0
    before = ""
    for place, character in enumerate(text):
        category = unicodedata.category(character)
        invisible = category in ("Mn", "Me") or (category == "Cf" and not _SHOWN_FORMATS.match(character))
        marks = marks + 1 if invisible else 0
        if marks > _MOST:
            return _said("a flood of marks", text, place)
        if category in ("Cc", "Cs", "Zl", "Zp") and character not in allowed:
            return _said("a control", text, place)
        if character in _UNSEEN_LETTERS or (ord(character) & 0xFFFE) == 0xFFFE:
            return _said("an unseen character", text, place)
        if on_screen and before == " " and (character in _JOINERS or _SELECTORS.match(character)):
            pass
        elif _SELECTORS.match(character):
            if not before or before.isspace() or (before.isalpha() and before.isascii()) or _hides(before):
                return _said("a selector of nothing", text, place)
        elif character in _JOINERS:
            if not before or before.isascii() or before in _JOINERS:
                return _said("a joiner of nothing", text, place)
        elif _hides(character):
            return _said("a hidden format", text, place)
        before = character
    return ""


def _hides(character: str) -> bool:
    category = unicodedata.category(character)
    return (category == "Cf" and not _SHOWN_FORMATS.match(character)) or bool(_SELECTORS.match(character))


def _said(what: str, text: str, place: int) -> str:
    return f"{what} U+{ord(text[place]):04X} in {text[max(0, place - 30) : place + 10]!r}"


def terminal_complaint(written: str, columns: int, rows: int) -> str:
    """What is wrong with all that was written to a terminal: only colours and places, and clean text between.

    A number that the interface has no use for (a colour over 255, a place outside the screen) came from an
    attack.
    """
    end = 0
    texts = []
    for match in _ALLOWED.finditer(written):
        texts.append(written[end : match.start()])
        numbers = [int(number) for number in re.findall("[0-9]+", match[0])]
        final = match[0][-1]
        if final == "m" and max(numbers, default=0) > 255:
            return f"a colour that nobody has: {match[0]!r}"
        if final == "H" and (numbers[0] > rows or numbers[1] > columns + 1):
            return f"a place outside the screen: {match[0]!r}"
        end = match.end()
    texts.append(written[end:])
    # a letter and its mark may be in cells of different colours
    return complaint("".join(texts), allowed="\n\r", on_screen=True)


def strip_complaint(rows: Iterable[Iterable[Segment]]) -> str:
    """What is wrong with the rows of a screen, links and actions included."""
    for row in rows:
        segments = [segment for segment in row if not segment.control]
        if found := complaint("".join(segment.text for segment in segments), allowed="", on_screen=True):
            return found
        for segment in segments:
            style = segment.style
            if style is not None and style.link:
                return f"a link to {style.link!r}"
            if style is not None and "pwned" in repr(style.meta):
                return f"an action {style.meta!r}"
    return ""
