"""Foreign text shown: what acts or hides is visible, scripts stay readable, offsets stay valid."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatterm import inert
from chatterm.errors import UserError

SIGN = inert.REPLACEMENT
ODD = st.sampled_from(
    [
        *("a", "é", "苹", "👩", "क", "\u0e01", "\u094d", "\u0301", "\u0e47", "\u1160", "\u115f", "\u3164"),
        *("\u200b", "\u200c", "\u200d", "\ufe0f", "\ufe00", "\U000e0100", "\u202e"),
        *("\x1b", "\x9b", "\r", "\n", "\t"),
    ]
)
TEXTS = st.text(ODD | st.characters(), max_size=40)

READABLE = {
    "Arabic": "مرحبا بالعالم",
    "Persian with its non-joiner": "می\u200cخواهم",
    "Hebrew with vowels and an accent": "בְּרֵאשִׁ֖ית בָּרָ֣א",
    "Hindi with a joiner": "क्\u200dष क्\u200cष नमस्ते",
    "Malayalam": "അവ\u0d28\u0d4d\u200d",
    "Thai with a break for words": "สวัสดี\u200bครับ",
    "Tibetan, eight signs on one": "ཧྐྵྨླྺྼྻྂ",
    "Chinese": "苹果是水果吗？",
    "a name with an ideographic variant": "葛\U000e0100城",
    "Korean in letters": "\u1112\u1161\u11ab",
    "Vietnamese, decomposed": unicodedata.normalize("NFD", "Tiếng Việt"),
    "a family": "👩\u200d👩\u200d👧",
    "a heart on fire": "❤\ufe0f\u200d🔥",
    "an eye in a bubble": "👁\ufe0f\u200d🗨\ufe0f",
    "a tone of skin": "👋🏽 🧑🏾\u200d🚀",
    "a flag": "🇩🇪 🏳\ufe0f\u200d🌈",
    "a key cap": "1\ufe0f\u20e3",
}
HIDDEN = [
    "\u00ad", "\u034f", "\u061c", "\u115f", "\u1160", "\u17b4", "\u180e", "\u200b", "\u200c",
    "\u200d", "\u200e", "\u200f", "\u2028", "\u2029", "\u202a", "\u202e", "\u2060", "\u2063",
    "\u2066", "\u2069", "\u206a", "\u3164", "\ufe00", "\ufe0f", "\ufeff", "\uffa0", "\ufff0",
    "\ufff9", "\ufffe", "\ud800", "\udfff", "\x80", "\x9b", "\x9f", "\U0001d173", "\U000e0001",
    "\U000e0041", "\U000e0100", "\U000e01ef", "\U000e0fff", "\U0010ffff",
]  # fmt: skip


@pytest.mark.parametrize("text", READABLE.values(), ids=READABLE)
def test_scripts_stay_as_they_are(text: str) -> None:
    assert inert.block(text) == inert.line(text) == text


@pytest.mark.parametrize("hidden", HIDDEN, ids=lambda hidden: f"U+{ord(hidden):04X}")
def test_what_hides_between_letters_is_seen(hidden: str) -> None:
    assert inert.block(f"a{hidden}b") == f"a{SIGN}b"
    assert inert.token(hidden) == SIGN


def test_what_a_script_needs_is_kept_once_only() -> None:
    assert inert.block("👩\u200d\u200d👧") == f"👩\u200d{SIGN}👧"
    assert inert.block("😀" + "\U000e0100\ufe0f" * 3) == "😀" + SIGN * 6
    assert inert.block("葛" + "\U000e0100" * 3) == "葛\U000e0100" + SIGN * 2
    assert inert.block("می\u200c\u200c") == f"می\u200c{SIGN}"


def test_a_flood_of_marks_is_cut_off_visibly() -> None:
    assert inert.block("z" + "\u0301" * 40 + "y") == "z" + "\u0301" * 8 + SIGN * 32 + "y"
    assert inert.block("\u0e01" + "\u0e47" * 9) == "\u0e01" + "\u0e47" * 8 + SIGN
    assert inert.block("क" + "\u094d\u200d" * 20).count(SIGN) == 32


def test_controls_become_pictures() -> None:
    assert inert.block("\x1b]0;title\x07\r\b\x7f\x9b31m") == f"␛]0;title␇␍␈␡{SIGN}31m"
    assert inert.block("a\tb\nc") == "a\tb\nc"
    assert inert.line("a\tb\nc\r") == "a⇥b⏎c␍"
    assert inert.token(" a\u3000") == "·a□"
    assert inert.token("") == "∅"
    assert inert.token("\u0301") == "◌\u0301"


@given(TEXTS)
@example("\u200d\u200d")
def test_one_character_for_one_and_nothing_left_to_do(text: str) -> None:
    for shown in (inert.block(text), inert.line(text)):
        assert len(shown) == len(text)
        assert inert.block(shown) == shown
    assert not set(inert.block(text)) & set(map(chr, [*range(9), *range(11, 32), *range(0x7F, 0xA0)]))


@given(st.lists(TEXTS, max_size=6))
@example(["e", "\u0301" * 12, "\u0301"])
@example(["👩", "\u200d", "\u200d", "👧"])
def test_pieces_are_shown_as_the_whole(pieces: list[str]) -> None:
    shown = said = ""
    for piece in pieces:
        shown += inert.block(piece, said[-inert.CONTEXT :])
        said += piece
    assert shown == inert.block(said)


@given(TEXTS)
@example("z" + "\u0301" * 40)
@example("\ud83d")
def test_json_means_the_same_and_can_be_looked_at(text: str) -> None:
    written = inert.json(json.dumps({"text": text}, ensure_ascii=False))
    assert inert.block(written) == written
    assert json.loads(written) == {"text": text}


def test_a_sentence_stays_one_line_whatever_it_quotes() -> None:
    assert UserError("the tensor “a\nb” is damaged.").sentence == "the tensor “a⏎b” is damaged."
