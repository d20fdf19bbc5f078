"""The themes can be read: contrast, eyes without red and green, terminals of sixteen colours and of none."""

from __future__ import annotations

from itertools import pairwise

import pytest
from textual.color import Color

from chatterm.tui import themes
from chatterm.tui.terminal import background

RGB_THEMES = [theme for theme in themes.THEMES if not theme.ansi]
TEXTS = ("muted", "code-string", "code-number", "code-name")
SURPRISE = [f"surprise-{step}" for step in range(5)]

# Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency",
# IEEE TVCG 15(6), 2009: deuteranopia, severity 1, for linear RGB.
DEUTERANOPIA = (
    (0.367322, 0.860646, -0.227968),
    (0.280085, 0.672501, 0.047413),
    (-0.011820, 0.042940, 0.968881),
)


def linear(colour: str) -> list[float]:
    parts = [part / 255 for part in Color.parse(colour).rgb]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def luminance(rgb: list[float]) -> float:
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2: from 1 to 21."""
    high, low = sorted((luminance(linear(one)), luminance(linear(other))), reverse=True)
    return (high + 0.05) / (low + 0.05)


def lab(rgb: list[float]) -> tuple[float, float, float]:
    """CIE L*a*b* under D65, of linear RGB."""
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.95047, 1.0, 1.08883)
    xyz = [sum(a * b for a, b in zip(row, rgb, strict=True)) / w for row, w in zip(rows, white, strict=True)]
    x, y, z = (max(0.0, v) ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def seen_without_green(colour: str) -> list[float]:
    rgb = linear(colour)
    return [min(1.0, max(0.0, sum(a * b for a, b in zip(row, rgb, strict=True)))) for row in DEUTERANOPIA]


def distance(one: str, other: str) -> float:
    """CIE 1976 difference as deuteranopes see the two."""
    pair = zip(lab(seen_without_green(one)), lab(seen_without_green(other)), strict=True)
    return sum((a - b) ** 2 for a, b in pair) ** 0.5


@pytest.mark.parametrize("theme", RGB_THEMES, ids=lambda theme: theme.name)
def test_texts_and_bars_stand_out_from_their_grounds(theme):
    least = 7.0 if theme.name == "chatterm-contrast" else 4.5
    for ground in (theme.background, theme.surface, theme.panel):
        assert contrast(theme.foreground, ground) >= max(7.0, least)
        for name in TEXTS:
            assert contrast(theme.variables[name], ground) >= least, (name, ground)
    for name in SURPRISE:  # they colour the words of a reply as well as bars
        assert contrast(theme.variables[name], theme.background) >= least, name
        assert contrast(theme.variables[name], theme.surface) >= max(3.0, least - 0.2), name
    cursor = theme.variables["block-cursor-background"]
    assert contrast(theme.variables["block-cursor-foreground"], cursor) >= least
    assert contrast(theme.foreground, cursor) >= least


def test_the_steps_can_be_told_apart_without_green_cones():
    scale = [themes.CHATTERM_BLUE_YELLOW.variables[name] for name in SURPRISE]
    assert all(distance(one, other) >= 20 for one, other in pairwise(scale))
    lightness = [lab(seen_without_green(colour))[0] for colour in scale]
    assert all(after - before >= 5 for before, after in pairwise(lightness))
    ordinary = [themes.CHATTERM_DARK.variables[name] for name in SURPRISE]
    closest = min(distance(a, b) for n, a in enumerate(ordinary) for b in ordinary[n + 1 :])
    assert min(distance(a, b) for n, a in enumerate(scale) for b in scale[n + 1 :]) > closest


def test_the_theme_of_the_terminal_names_no_colour_of_its_own():
    theme = themes.CHATTERM_TERMINAL
    for colour in (theme.foreground, theme.background, *map(theme.variables.get, SURPRISE)):
        assert Color.parse(colour).ansi is not None


async def test_all_themes_draw_and_only_that_of_the_terminal_uses_its_palette(chat):
    async with chat() as it:
        await it.ask()
        for theme in themes.THEMES:
            it.app.theme = theme.name
            await it.pilot.pause()
            strips = it.app.screen._compositor.render_strips()
            colours = {
                colour
                for strip in strips
                for segment in strip
                if segment.style
                for colour in (segment.style.color, segment.style.bgcolor)
                if colour is not None
            }
            assert colours
            if theme.ansi:
                widget = it.app.chat.query_one("NextTokenPanel")
                drawn = {s.style.color for y in range(9) for s in widget.render_line(y) if s.style}
                assert all(c is None or c.triplet is None for c in drawn), drawn


@pytest.mark.parametrize(
    ("answer", "light"),
    [
        (b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\", True),
        (b"\x1b]11;rgb:00/2b/36\x07\x1b[?62;22c", False),
        (b"\x1b]11;rgba:fdfd/f6f6/e3e3/ffff\x1b\\", True),
        (b"\x1b[?62;22c", None),
        (b"", None),
    ],
)
def test_the_answer_of_the_terminal_is_understood(answer, light):
    assert background.light_in(answer) is light


def test_auto_follows_what_is_known(monkeypatch):
    known = {theme.name for theme in themes.THEMES}
    monkeypatch.setenv("COLORFGBG", "0;15")
    assert themes.choose("auto", known) == "chatterm-light"
    assert themes.choose("auto", known, light=False) == "chatterm-dark"
    monkeypatch.delenv("COLORFGBG")
    assert themes.choose("auto", known) == "chatterm-dark"
    assert themes.choose("auto", known, light=True) == "chatterm-light"
    assert themes.choose("chatterm-contrast", known) == "chatterm-contrast"
    assert themes.choose("gone", known) == "chatterm-dark"
