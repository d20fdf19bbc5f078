"""Texts that are hard to lay out, as the screen shows them; and where all else that is hard has its test.

==========================  ============================================================================
wide characters             here `cjk`, `everything`; `test_snapshots_chinese`; `test_text`, `test_markdown`
right-to-left text          here `right_to_left`, `everything`; controls that turn text about: `test_inert`
emoji sequences             here `emoji`, `everything`
combining and joined signs  here `marks`, `everything`
input methods               `e2e/test_terminals` (the terminal's cursor), `test_composer` (composed text),
                            `terminal/test_terminal_input` (what comes in pieces, bursts, pastes)
80×24, 200×60               `test_snapshots` and the files beside it
300×80                      here `everything`
1×1 and other sizes         `test_walking`, `test_layout`, `e2e/test_chat`
sixteen colours, 256        `e2e/test_terminals`, `terminal/test_terminal_colour`, `test_themes`
no colours, no cursor       `e2e/test_leaving` (NO_COLOR, TERM=dumb), `test_glass_snapshots` (no shades)
slow links                  `e2e/test_terminals`, `terminal/test_terminal_output`, `…_frames`
every screen, two languages `test_every_screen` has the list; what is typed is seen: `test_fields`
==========================  ============================================================================
"""

from __future__ import annotations

import re

import pytest
from conftest import Chat
from rich.cells import cell_len
from scripted_model import WORDS, vocabulary
from test_snapshots import compare

RIGHT_TO_LEFT = (
    "عاصمة مصر هي **القاهرة** (Cairo)، وعدد سكانها 10 ملايين.\n\n"
    "- שלום, העולם 2024 and hello in `Python 3`\n"
    "- مرحبا، كيف حالك؟\n\n"
    "| לשון | كلمة | word |\n|---|---|---|\n| שלום | سلام | peace |\n"
)
EMOJI = (
    "Families 👨‍👩‍👧‍👦 and 👩‍❤️‍👨, flags 🇩🇪 🇨🇳 🏳️‍🌈 🏴‍☠️, skin 👍🏽 🧑🏿‍🚀, keycaps 1️⃣ #️⃣,\n"
    "variations ❤️ ❤ ☺️ ☺︎ ⚠️ ✔️ and one alone 🙂.\n\n"
    "| who | what |\n|---|---|\n| 👨‍👩‍👧‍👦 | family |\n| 🇨🇳 | flag |\n| 1️⃣ | keycap |\n"
)
MARKS = (
    "Decomposed e\u0301 u\u0308 n\u0303, stacked a\u0300\u0301\u0302 Z\u0335\u0321a\u0334l\u0337, "
    "Thai ภาษาไทยที่นี่ กำลัง, Hindi हिन्दी नमस्ते क्षत्रिय, Tamil தமிழ், Vietnamese Tiếng Việt.\n\n"
    "| ไทย | हिन्दी |\n|---|---|\n| ที่นี่ | नमस्ते |\n| น้ำ | क्षत्रिय |\n"
)
CJK = (
    "苹果是**水果**；りんごは`果物`です。사과는 과일입니다。\n\n"
    "| 语言 | 词 | 读音 |\n|---|---:|---|\n| 中文 | 苹果 | píngguǒ |\n| 日本語 | りんご | ringo |\n"
    "| 한국어 | 사과 | sagwa |\n\n"
    "```python\ndef 打印(名字: str) -> None:  # 全角（括号）\n    print(f'你好，{名字}！')\n```\n"
)
ALL = "\n".join((RIGHT_TO_LEFT, EMOJI, MARKS, CJK))
PIECE = re.compile(r"\s*\S+|\s+\Z")


def pieces(text: str) -> list[str]:
    """A text as tokens: words with the blanks in front of them."""
    return PIECE.findall(text)


async def said(chat: Chat, question: str, reply: str) -> None:
    chat.knobs.context = 2048
    chat.knobs.replies = [pieces(reply)]
    await chat.ask(question)
    await chat.pilot.pause()


async def right_to_left(chat: Chat) -> None:
    await said(chat, "ما هي عاصمة مصر؟ (Egypt, 2024)", RIGHT_TO_LEFT)
    await fills(chat)


async def emoji(chat: Chat) -> None:
    await said(chat, "Which 👨‍👩‍👧‍👦 🇩🇪 👍🏽 1️⃣ ❤️ are there?", EMOJI)
    await fills(chat)


async def marks(chat: Chat) -> None:
    await said(chat, "ที่นี่ हिन्दी e\u0301?", MARKS)
    await fills(chat)


async def cjk(chat: Chat) -> None:
    await said(chat, "苹果とりんごと사과は何ですか？", CJK)
    await fills(chat)


async def everything(chat: Chat) -> None:
    """All of it, with the panel, a selected token and a text that is being written."""
    await said(chat, "苹果 👨‍👩‍👧‍👦 שלום ที่นี่?", ALL)
    chat.app.chat.query_one("Composer").put("苹果 👨‍👩‍👧‍👦\nשלום 123 ที่นี่")
    await chat.press("f2", "left", "left", "left", "left", "left")
    await fills(chat)


async def fills(chat: Chat) -> None:
    """Every row is as wide as the screen, in cells: what is beside a text stays in its column."""
    await chat.until(lambda: chat.app.chat.widgets.sidebar.is_settled)
    width = chat.app.size.width
    wrong = [row for row in chat.lines() if cell_len(row) != width]
    assert not wrong


@pytest.fixture
def _words():
    """The made-up vocabulary has all the words of these texts."""
    words = dict.fromkeys(p for text in (RIGHT_TO_LEFT, EMOJI, MARKS, CJK, ALL) for p in pieces(text))
    with vocabulary((*WORDS, *(w for w in words if w not in WORDS))):
        yield


@pytest.mark.usefixtures("_words")
@pytest.mark.parametrize("scene", (right_to_left, emoji, marks, cjk), ids=lambda scene: scene.__name__)
def test_look_of_a_text(scene, snap_compare, monkeypatch):
    assert compare(scene, (80, 24), "chatterm-dark", snap_compare, monkeypatch)


@pytest.mark.usefixtures("_words")
def test_look_of_everything_in_a_large_terminal(snap_compare, monkeypatch):
    assert compare(everything, (300, 80), "chatterm-light", snap_compare, monkeypatch)
