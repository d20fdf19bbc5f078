"""The frame that is kept from one start for the next: for the same circumstances, and nothing but drawing."""

from __future__ import annotations

import os

import msgspec
import pytest

from chatterm import language
from chatterm.settings import Settings
from chatterm.tui.terminal.first_frame import MOST, FirstFrames, circumstances

DRAWING = "\x1b[1;1H\x1b[48;2;27;31;35m chatterm \x1b[0;1m苹果\x1b[0m\x1b[2;3H\x1b[2X🙂\x1b[5G│ ╭─╮\xa0"
SIZE = os.terminal_size((80, 24))


def test_what_was_kept_is_recalled_for_the_same_circumstances(tmp_path):
    file = tmp_path / "new" / "frames.json"
    assert FirstFrames(file, "same").recall(None) == ""
    FirstFrames(file, "same").keep(None, DRAWING)
    assert FirstFrames(file, "same").recall(None) == DRAWING
    assert FirstFrames(file, "other").recall(None) == ""
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_background_decides_where_it_is_known(tmp_path):
    frames = FirstFrames(tmp_path / "frames.json", "same")
    frames.keep(True, "light")
    assert frames.recall(False) == ""
    frames.keep(False, "dark")
    assert (frames.recall(True), frames.recall(False)) == ("light", "dark")
    assert frames.recall(None) == "dark"  # as it was last time
    frames.keep(True, "light")
    assert frames.recall(None) == "light"


def test_a_new_drawing_takes_the_place_of_the_old_one(tmp_path):
    frames = FirstFrames(tmp_path / "frames.json", "same")
    frames.keep(True, "old")
    frames.keep(True, "new")
    assert frames.recall(True) == "new"
    assert (tmp_path / "frames.json").read_text().count("drawing") == 1


def test_only_some_are_kept(tmp_path):
    file = tmp_path / "frames.json"
    for number in range(MOST + 3):
        FirstFrames(file, str(number)).keep(None, DRAWING)
    kept = [bool(FirstFrames(file, str(number)).recall(None)) for number in range(MOST + 3)]
    assert kept == [False] * 3 + [True] * MOST


@pytest.mark.parametrize(
    "foreign",
    [
        "\x1b]0;title\x07",
        "\x1b]52;c;cm0gLXJm\x07",
        "\x1b[2J",
        "\x1b[?1049l",
        "\x1b[6n",
        "\x1b[1;1H\x1b",
        "text\n",
        "text\r",
        "\x9b2J",
        "\x07",
        "\x1bc",
        "\x1b[1;1H\x1b[31mfine\x1bP1$r\x1b\\",
    ],
    ids=ascii,
)
def test_what_does_more_than_draw_is_not_taken_from_the_file(tmp_path, foreign):
    file = tmp_path / "frames.json"
    FirstFrames(file, "same").keep(None, DRAWING + foreign)
    assert FirstFrames(file, "same").recall(None) == ""
    FirstFrames(file, "same").keep(None, DRAWING)
    assert FirstFrames(file, "same").recall(None) == DRAWING


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"\xff", b'[{"circumstances": "same"}]', b"[" * 100_000]
)
def test_a_broken_file_is_as_good_as_none(tmp_path, content):
    file = tmp_path / "frames.json"
    file.write_bytes(content)
    assert FirstFrames(file, "same").recall(None) == ""
    FirstFrames(file, "same").keep(None, DRAWING)
    assert FirstFrames(file, "same").recall(None) == DRAWING


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path):
    (tmp_path / "file").write_text("")
    for file in (tmp_path / "file" / "frames.json", tmp_path, None):
        frames = FirstFrames(file, "same")
        frames.keep(None, DRAWING)
        assert frames.recall(None) == ""


@pytest.mark.parametrize("name", ["TERM", "COLORTERM", "NO_COLOR", "COLORFGBG"])
def test_circumstances_are_those_of_the_terminal(monkeypatch, name):
    monkeypatch.delenv(name, raising=False)
    before = circumstances(Settings(), SIZE)
    assert before == circumstances(Settings(), SIZE)
    monkeypatch.setenv(name, "other")
    assert circumstances(Settings(), SIZE) != before


def test_circumstances_are_settings_size_language_and_what_is_added():
    before = circumstances(Settings(), SIZE, None)
    others = [
        circumstances(msgspec.structs.replace(Settings(), candidates=11), SIZE, None),
        circumstances(msgspec.structs.replace(Settings(), sampling={"temperature": 0.5}), SIZE, None),
        circumstances(Settings(), os.terminal_size((80, 25)), None),
        circumstances(Settings(), SIZE, "12"),
    ]
    language.speak("zh")
    try:
        others.append(circumstances(Settings(), SIZE, None))
    finally:
        language.speak("en")
    assert len({before, *others}) == 6
