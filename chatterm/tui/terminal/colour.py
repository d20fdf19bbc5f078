"""How many colours the terminal has, and doing without any."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from typing import Final

from rich.color import Color as Written
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

TRUE: Final = 1 << 24
USUAL: Final = 8
MANY: Final = 256
BRIGHT: Final = 0.5
"""The brightness of a background from which on it is a mark, in the theme for no colours."""


def is_unwanted() -> bool:
    """Whether the user wants none: NO_COLOR is set and not empty (no-color.org)."""
    return bool(os.environ.get("NO_COLOR"))


def depth() -> int:
    """How many colours there are to use; 0: none."""
    if is_unwanted():
        return 0
    if sys.platform == "win32":  # every console that a chat can be drawn in has them since 2017
        return TRUE
    name = os.environ.get("TERM", "").lower()
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") or name.endswith("-direct"):
        return TRUE
    known = _described(name)
    if known is not None:
        return known
    return 256 if "256color" in name or "kitty" in name else USUAL


def _described(name: str) -> int | None:
    """What the terminal's description says; None where there is none."""
    try:
        import curses

        curses.setupterm(name)
        return max(0, curses.tigetnum("colors"))
    except Exception:  # no such module, no description; curses.error is there only with the module
        return None


def system(colours: int) -> ColorSystem:
    """In which way colours are written to a terminal that has so many."""
    if colours >= TRUE:
        return ColorSystem.TRUECOLOR
    return ColorSystem.EIGHT_BIT if colours >= MANY else ColorSystem.STANDARD


class Colourless(LineFilter):
    """Takes every colour away. What stood on a bright ground, a cursor or a chosen row, is reversed."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same text in no colour."""
        return [
            Segment(text, None if style is None else without_colour(style), control)
            for text, style, control in segments
        ]


@lru_cache(2048)
def without_colour(style: Style) -> Style:
    """A style with its weights only."""
    ground = style.bgcolor
    plain = style.without_color + Style.from_meta(style.meta) if style.meta else style.without_color
    if ground is None or ground.is_default:
        return plain
    is_marked = Color.from_rich_color(ground).brightness >= BRIGHT
    return plain + Style(reverse=not style.reverse) if is_marked else plain


class Legible(LineFilter):
    """Keeps what is drawn apart from its ground where a palette of sixteen colours makes one of both."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same text, all of which can be seen."""
        return [
            Segment(text, None if style is None else set_apart(style), control)
            for text, style, control in segments
        ]


@lru_cache(2048)
def set_apart(style: Style) -> Style:
    """A style whose two colours are two in a palette of sixteen too; itself if they are."""
    ground = _in_palette(style.bgcolor)
    if ground is None or ground != _in_palette(style.color):
        return style
    return style + Style(color="bright_black" if ground in _FAR_FROM_GREY else "default")


_FAR_FROM_GREY: Final = (0, 7, 15)
"""Black and the whites. On any other ground the terminal's own colour of text is the best there is."""


def _in_palette(colour: Written | None) -> int | None:
    """Which of the sixteen a colour becomes; None for the terminal's own."""
    if colour is None or colour.is_default:
        return None
    return colour.downgrade(ColorSystem.STANDARD).number
