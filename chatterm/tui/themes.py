"""The themes. Colour says one thing only: how surprising a token was; everything else is grey and weight.

The one exception is code in a reply, whose syntax is tinted so faintly that it cannot be taken for the scale.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from textual.theme import Theme

from chatterm.tui.terminal.background import AUTO

SURPRISE_NATS = (0.5, 1.5, 3.0, 5.0)
"""Where the five steps of the surprise scale begin, after the first: probabilities of 61, 22, 5 and 0.7 %."""


def surprise_step(nats: float) -> int:
    """The step, 0 to 4, of a token that had the log-probability `-nats`."""
    return sum(nats >= bound for bound in SURPRISE_NATS)


class _Greys(NamedTuple):
    """The colours of a theme that say nothing, from the ground up."""

    background: str
    surface: str
    panel: str
    boost: str
    rule: str
    cursor: str  # behind the chosen row
    on_cursor: str
    selection: str
    faint: str  # decoration
    muted: str  # what is said beside
    secondary: str
    primary: str
    foreground: str
    accent: str


def _theme(
    name: str, greys: _Greys, surprise: tuple[str, ...], code: tuple[str, str, str], *, ansi: bool = False
) -> Theme:
    return Theme(
        name=name,
        dark="light" not in name,
        ansi=ansi,
        primary=greys.primary,
        secondary=greys.secondary,
        accent=greys.accent,
        warning=greys.primary,
        error=greys.accent,
        success=greys.primary,
        foreground=greys.foreground,
        background=greys.background,
        surface=greys.surface,
        panel=greys.panel,
        boost=greys.boost,
        variables={
            "muted": greys.muted,
            "faint": greys.faint,
            "rule": greys.rule,
            **{f"surprise-{step}": colour for step, colour in enumerate(surprise)},
            "code-string": code[0],
            "code-number": code[1],
            "code-name": code[2],
            "border": greys.rule,
            "border-blurred": greys.rule,
            "scrollbar": greys.rule,
            "scrollbar-hover": greys.faint,
            "scrollbar-active": greys.muted,
            "scrollbar-background": greys.background,
            "scrollbar-background-hover": greys.background,
            "scrollbar-background-active": greys.background,
            "scrollbar-corner-color": greys.background,
            "block-cursor-background": greys.cursor,
            "block-cursor-foreground": greys.on_cursor,
            "block-cursor-text-style": "bold",
            "input-cursor-background": greys.foreground,
            "input-cursor-foreground": greys.background,
            "input-selection-background": greys.selection,
            "screen-selection-background": greys.selection,
            "footer-key-foreground": greys.foreground,
            **({"ansi-background": "ansi_default", "ansi-foreground": "ansi_default"} if ansi else {}),
        },
    )


_DARK = _Greys(
    background="#0f1113",
    surface="#15181b",
    panel="#1b1f23",
    boost="#20252a",
    rule="#2b3137",
    cursor="#313940",
    on_cursor="#ffffff",
    selection="#3a444d",
    faint="#4b535b",
    muted="#7f8992",
    secondary="#8b949d",
    primary="#c3cad1",
    foreground="#d5dade",
    accent="#e6eaee",
)
_DARK_CODE = ("#b9c4b0", "#c4bcae", "#b7c1cf")

CHATTERM_DARK = _theme(
    "chatterm-dark", _DARK, ("#7f95a6", "#5fb0a5", "#d3bd5c", "#ea9444", "#f4655b"), _DARK_CODE
)

CHATTERM_LIGHT = _theme(
    "chatterm-light",
    _Greys(
        background="#fcfbf9",
        surface="#f5f3ef",
        panel="#eeebe5",
        boost="#e9e6e0",
        rule="#d8d4cc",
        cursor="#dcd8cf",
        on_cursor="#000000",
        selection="#d3dbe2",
        faint="#a6abb0",
        muted="#5d666f",
        secondary="#68717a",
        primary="#3c444c",
        foreground="#23292e",
        accent="#14181c",
    ),
    ("#5d7081", "#17756c", "#7a6200", "#ad4f0a", "#b9232a"),
    ("#4b5a41", "#5e5443", "#3f4c60"),
)

CHATTERM_CONTRAST = _theme(
    "chatterm-contrast",
    _Greys(
        background="#000000",
        surface="#000000",
        panel="#121212",
        boost="#1c1c1c",
        rule="#9a9a9a",
        cursor="#3d3d3d",
        on_cursor="#ffffff",
        selection="#26517d",
        faint="#9a9a9a",
        muted="#d0d0d0",
        secondary="#d8d8d8",
        primary="#f2f2f2",
        foreground="#ffffff",
        accent="#ffffff",
    ),
    ("#a9c9e6", "#5ff0dc", "#ffe14d", "#ffad4d", "#ff8a80"),
    ("#dcebd0", "#ecdfc8", "#d3e1f5"),
)
"""Every text has a contrast of at least 7 : 1."""

CHATTERM_BLUE_YELLOW = _theme(
    "chatterm-blue-yellow", _DARK, ("#6f8bc9", "#8e97ad", "#b8ac86", "#dcc95e", "#fff04a"), _DARK_CODE
)
"""For eyes that do not tell red from green. The scale runs from blue over grey to yellow and grows lighter
with every step, after cividis (Nuñez, Anderton and Renslow, PLOS ONE 13(7), 2018): people with deuteranopia
and protanopia keep the axis from blue to yellow, and lightness tells the steps apart for everybody."""

CHATTERM_TERMINAL = _theme(
    "chatterm-terminal",
    _Greys(
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        rule="ansi_bright_black",
        cursor="ansi_bright_black",
        on_cursor="ansi_default",
        selection="ansi_bright_black",
        faint="ansi_bright_black",
        muted="ansi_bright_black",
        secondary="ansi_default",
        primary="ansi_default",
        foreground="ansi_default",
        accent="ansi_default",
    ),
    ("ansi_blue", "ansi_cyan", "ansi_yellow", "ansi_red", "ansi_magenta"),
    ("ansi_default", "ansi_default", "ansi_default"),
    ansi=True,
)
"""Nothing but the sixteen colours that the user gave the terminal."""

_BLACK, _WHITE = "#000000", "#ffffff"
CHATTERM_PLAIN = _theme(
    "chatterm-plain",
    _Greys(
        background=_BLACK,
        surface=_BLACK,
        panel=_BLACK,
        boost=_BLACK,
        rule=_WHITE,
        cursor=_WHITE,
        on_cursor=_BLACK,
        selection=_WHITE,
        faint=_WHITE,
        muted=_WHITE,
        secondary=_WHITE,
        primary=_WHITE,
        foreground=_WHITE,
        accent=_WHITE,
    ),
    (_WHITE,) * 5,
    (_WHITE, _WHITE, _WHITE),
)
"""For no colours at all: `terminal.colour.Colourless` makes reversed text of what is white underneath."""

THEMES = (CHATTERM_DARK, CHATTERM_LIGHT, CHATTERM_CONTRAST, CHATTERM_BLUE_YELLOW, CHATTERM_TERMINAL)
CHOICES = (AUTO, *(theme.name for theme in THEMES))
MANY_COLOURS = 256
DARK_BACKGROUNDS = 7
"""Colours 0 to 6 and 8 of a terminal's palette are dark."""


def choose(name: str, known: set[str], *, light: bool | None = None, colours: int = MANY_COLOURS) -> str:
    """The theme to begin with. `auto` is light or dark as the terminal's background is.

    `light` is what the terminal answered; where it did not, `COLORFGBG` may say it, and otherwise it is dark.
    With too few `colours` for the shades `auto` is the terminal's own palette; with none there is no choice.
    """
    if not colours:
        return CHATTERM_PLAIN.name
    if name == AUTO and colours < MANY_COLOURS:
        return CHATTERM_TERMINAL.name
    if name in known:
        return name
    if name != AUTO:
        return CHATTERM_DARK.name
    if light is None:
        background = os.environ.get("COLORFGBG", "").rpartition(";")[2]
        light = background.isdigit() and int(background) >= DARK_BACKGROUNDS and background != "8"
    return CHATTERM_LIGHT.name if light else CHATTERM_DARK.name
