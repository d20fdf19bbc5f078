"""How many colours a terminal is taken to have, and what becomes of ours in its palette."""

from __future__ import annotations

import pytest
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from chatterm.tui.terminal import colour
from chatterm.tui.terminal.colour import Legible, depth, set_apart, system


@pytest.fixture
def terminal(monkeypatch):
    """`terminal(name, colours, **environment)`: there is only this one, with this description."""

    def be(name: str, described: int | None = None, **environment: str) -> None:
        for variable in ("NO_COLOR", "COLORTERM"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("TERM", name)
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setattr(colour, "_described", lambda _: described)

    return be


@pytest.mark.parametrize(
    ("name", "described", "written"),
    [
        ("linux", 8, ColorSystem.STANDARD),
        ("xterm", 8, ColorSystem.STANDARD),
        ("xterm-16color", 16, ColorSystem.STANDARD),
        ("nobody-knows-it", None, ColorSystem.STANDARD),
        ("xterm-256color", 256, ColorSystem.EIGHT_BIT),
        ("screen-256color", None, ColorSystem.EIGHT_BIT),
        ("alacritty", 256, ColorSystem.EIGHT_BIT),  # through ssh, which does not pass on COLORTERM
        ("xterm-direct", 1 << 24, ColorSystem.TRUECOLOR),
    ],
)
def test_colours_are_written_as_the_description_says(terminal, name, described, written):
    terminal(name, described)
    assert system(depth()) is written


def test_a_terminal_may_announce_more_than_its_description(terminal):
    terminal("xterm-256color", 256, COLORTERM="truecolor")
    assert system(depth()) is ColorSystem.TRUECOLOR


def test_no_colour_is_none_whatever_there_is(terminal):
    terminal("xterm-256color", 256, COLORTERM="truecolor", NO_COLOR="1")
    assert depth() == 0
    terminal("xterm-256color", 256, NO_COLOR="")
    assert depth() == 256


@pytest.mark.parametrize(
    ("front", "ground", "becomes"),
    [
        ("color(8)", "color(8)", "default"),
        ("#313940", "#2b3137", "default"),  # two shades, one grey of the palette
        ("#15181b", "#0f1113", "bright_black"),
        ("#ffffff", "#fcfbf9", "bright_black"),
        ("color(8)", "default", "color(8)"),
        ("default", "default", "default"),
        ("default", "color(8)", "default"),
        ("#d5dade", "#0f1113", "#d5dade"),
    ],
)
def test_text_is_set_apart_from_its_ground(front, ground, becomes):
    style = set_apart(Style(color=front, bgcolor=ground, bold=True))
    assert style == Style(color=becomes, bgcolor=ground, bold=True)


def test_a_line_keeps_its_words():
    line = [Segment("one", Style(color="color(8)", bgcolor="color(8)")), Segment(" two"), Segment("三")]
    seen = Legible().apply(line, Color.parse("black"))
    assert [segment.text for segment in seen] == ["one", " two", "三"]
    assert seen[0].style.color.is_default
