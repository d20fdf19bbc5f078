"""The themes. Colour says one thing only: how surprising a token was; everything else is grey and weight.

The one exception is code in a reply, whose syntax is tinted so faintly that it cannot be taken for the scale.
"""

from __future__ import annotations

import os

from textual.theme import Theme

SURPRISE_NATS = (0.5, 1.5, 3.0, 5.0)
"""Where the five steps of the surprise scale begin, after the first: probabilities of 61, 22, 5 and 0.7 %."""


def surprise_step(nats: float) -> int:
    """The step, 0 to 4, of a token that had the log-probability `-nats`."""
    return sum(nats >= bound for bound in SURPRISE_NATS)


CHATTERM_DARK = Theme(
    name="chatterm-dark",
    dark=True,
    primary="#c3cad1",
    secondary="#8b949d",
    accent="#e6eaee",
    warning="#c3cad1",
    error="#e6eaee",
    success="#c3cad1",
    foreground="#d5dade",
    background="#0f1113",
    surface="#15181b",
    panel="#1b1f23",
    boost="#20252a",
    variables={
        "muted": "#7f8992",
        "faint": "#4b535b",
        "rule": "#2b3137",
        "surprise-0": "#7f95a6",
        "surprise-1": "#5fb0a5",
        "surprise-2": "#d3bd5c",
        "surprise-3": "#ea9444",
        "surprise-4": "#f4655b",
        "code-string": "#b9c4b0",
        "code-number": "#c4bcae",
        "code-name": "#b7c1cf",
        "border": "#2b3137",
        "border-blurred": "#2b3137",
        "scrollbar": "#2b3137",
        "scrollbar-hover": "#4b535b",
        "scrollbar-active": "#7f8992",
        "scrollbar-background": "#0f1113",
        "scrollbar-background-hover": "#0f1113",
        "scrollbar-background-active": "#0f1113",
        "scrollbar-corner-color": "#0f1113",
        "block-cursor-background": "#313940",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-text-style": "bold",
        "input-cursor-background": "#d5dade",
        "input-cursor-foreground": "#0f1113",
        "input-selection-background": "#3a444d",
        "screen-selection-background": "#3a444d",
        "footer-key-foreground": "#d5dade",
    },
)

CHATTERM_LIGHT = Theme(
    name="chatterm-light",
    dark=False,
    primary="#3c444c",
    secondary="#68717a",
    accent="#14181c",
    warning="#3c444c",
    error="#14181c",
    success="#3c444c",
    foreground="#23292e",
    background="#fcfbf9",
    surface="#f5f3ef",
    panel="#eeebe5",
    boost="#e9e6e0",
    variables={
        "muted": "#67707a",
        "faint": "#a6abb0",
        "rule": "#d8d4cc",
        "surprise-0": "#6c7f90",
        "surprise-1": "#1f857b",
        "surprise-2": "#947800",
        "surprise-3": "#bd5a10",
        "surprise-4": "#c0272d",
        "code-string": "#4b5a41",
        "code-number": "#5e5443",
        "code-name": "#3f4c60",
        "border": "#d8d4cc",
        "border-blurred": "#d8d4cc",
        "scrollbar": "#d8d4cc",
        "scrollbar-hover": "#a6abb0",
        "scrollbar-active": "#67707a",
        "scrollbar-background": "#fcfbf9",
        "scrollbar-background-hover": "#fcfbf9",
        "scrollbar-background-active": "#fcfbf9",
        "scrollbar-corner-color": "#fcfbf9",
        "block-cursor-background": "#dcd8cf",
        "block-cursor-foreground": "#000000",
        "block-cursor-text-style": "bold",
        "input-cursor-background": "#23292e",
        "input-cursor-foreground": "#fcfbf9",
        "input-selection-background": "#d3dbe2",
        "screen-selection-background": "#d3dbe2",
        "footer-key-foreground": "#23292e",
    },
)

THEMES = (CHATTERM_DARK, CHATTERM_LIGHT)
DARK_BACKGROUNDS = 7
"""Colours 0 to 6 and 8 of a terminal's palette are dark."""


def choose(name: str, known: set[str]) -> str:
    """The theme to begin with; `auto` follows the terminal as far as it says what it is (`COLORFGBG`)."""
    if name in known:
        return name
    if name != "auto":
        return CHATTERM_DARK.name
    background = os.environ.get("COLORFGBG", "").rpartition(";")[2]
    light = background.isdigit() and int(background) >= DARK_BACKGROUNDS and background != "8"
    return CHATTERM_LIGHT.name if light else CHATTERM_DARK.name
