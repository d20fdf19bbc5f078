"""How many colours the terminal has, and doing without any."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Final

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

TRUE: Final = 1 << 24
USUAL: Final = 8
BRIGHT: Final = 0.5
"""The brightness of a background from which on it is a mark, in the theme for no colours."""


def is_unwanted() -> bool:
    """Whether the user wants none: NO_COLOR is set and not empty (no-color.org)."""
    return bool(os.environ.get("NO_COLOR"))


def depth() -> int:
    """How many colours there are to use; 0: none."""
    if is_unwanted():
        return 0
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
