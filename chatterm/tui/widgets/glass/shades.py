"""How strong something is, in one cell: as a glyph that reads without colour, and as a shade of grey."""

from __future__ import annotations

import math

from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.widget import Widget

RAMP = " ░▒▓█"
"""Nothing, up to a quarter, a half, three quarters, more."""

HEIGHTS = " ▁▂▃▄▅▆▇█"
STEPS = 12
DARKEST = 0.8
"""How far the strongest shade goes from the background to the colour of the text."""


def glyph(share: float) -> str:
    """A share in [0, 1] as one of five fillings; anything over 2 % shows."""
    if not share > 0.02:
        return RAMP[0]
    return RAMP[min(4, max(1, math.ceil(min(share, 1.0) * 4)))]


def height(share: float) -> str:
    """A share in [0, 1] as a block of so many eighths; anything over 0.5 % shows."""
    if not share > 0.005:
        return HEIGHTS[0]
    return HEIGHTS[min(8, max(1, round(min(share, 1.0) * 8)))]


def is_plain(app: App[object]) -> bool:
    """Whether there are too few colours for shades: none, or sixteen."""
    return app.no_color or app.native_ansi_color or app.console.color_system == "standard"


def mixed(back: str, front: str, share: float) -> str:
    """The colour that lies so far on the way from `back` to `front`."""
    return Color.parse(back).blend(Color.parse(front), min(1.0, max(0.0, share))).hex6


class Shades:
    """Grey backgrounds of a widget, from its own background (0) towards its text (1)."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._styles: dict[int, Style] = {}

    def forget(self) -> None:
        """The theme changed."""
        self._styles.clear()

    def colour(self, share: float) -> str:
        """The shade as a colour."""
        variables = self._widget.app.theme_variables
        step = round(min(1.0, max(0.0, share)) * STEPS)
        return mixed(variables["surface"], variables["foreground"], DARKEST * step / STEPS)

    def style(self, share: float) -> Style:
        """A background of the shade, and a text that can be read on it."""
        step = round(min(1.0, max(0.0, share)) * STEPS)
        style = self._styles.get(step)
        if style is None:
            variables = self._widget.app.theme_variables
            text = variables["foreground" if step < STEPS * 0.45 else "background"]
            style = Style(color=Color.parse(text).hex6, bgcolor=self.colour(share))
            self._styles[step] = style
        return style
