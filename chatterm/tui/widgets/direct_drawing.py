"""Drawing one widget at once, before everything else that has changed on the screen."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from rich.console import RenderableType
from textual.geometry import Region
from textual.widget import Widget


class Drawn(NamedTuple):
    """What was drawn, and where all widgets were then."""

    places: dict[Widget, tuple[Region, Region]]
    update: RenderableType


class DrawsAtOnce(Protocol):
    """A screen that can do so."""

    def draw_now(self, widget: Widget) -> Drawn | None:
        """Draw what changed in a widget, if nothing moves for it."""
        ...

    def draw_again(self, drawn: Drawn) -> bool:
        """Draw what has been drawn before, if nothing has moved since; whether it is so."""
        ...
