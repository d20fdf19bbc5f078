"""How the chat is arranged: whether the panel is seen, its side, its size, and that all is remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from textual import events
from textual.geometry import Size
from textual.screen import Screen

from chatterm.tui.layout import Layout, load_layout, save_layout
from chatterm.tui.widgets.inspector import Inspector
from chatterm.tui.widgets.tab_strip import TABS
from chatterm.tui.widgets.transcript import Transcript

NARROW = 100
"""Columns below which the panel is shown only on demand."""
LOW = 10
"""Rows below which the message has no border: two of its three lines would be border."""
WIDE = 160
"""Columns from which on the list of conversations has its own place."""


class Arrangement:
    """Shows, moves and resizes the panel, by keys and by dragging its edge; says by classes what has room.

    Attributes:
        layout: where the panel stands.
    """

    def __init__(
        self,
        screen: Screen[None],
        inspector: Inspector,
        transcript: Transcript,
        *,
        panel: bool,
        file: Path | None,
    ) -> None:
        """`panel`: whether it is seen where there is room; `file` remembers the layout, if it is not None."""
        self._screen = screen
        self._inspector = inspector
        self._transcript = transcript
        self._file = file
        self._dragging = False
        self.layout: Layout = load_layout(file)
        self._wants_panel: bool | None = None if panel else False  # None: wherever there is room
        if self.layout.shown is not None:
            self._wants_panel = self.layout.shown

    # --- what has room ----------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the panel is seen."""
        return self._screen.has_class("-panel")

    @property
    def is_large(self) -> bool:
        """Whether it has the whole screen."""
        return self._screen.has_class("-maximised")

    def set_classes(self, size: Size, *, looks_at_something: bool = False) -> None:
        """Say by classes what there is room for in a window of that size; what is looked at is shown."""
        screen, width = self._screen, size.width
        screen.set_class(size.height < LOW, "-low")
        screen.set_class(width < NARROW, "-narrow")
        screen.set_class(width >= WIDE, "-wide")
        wanted = width >= NARROW if self._wants_panel is None else self._wants_panel
        screen.set_class(wanted or looks_at_something, "-panel")
        screen.set_class(self.layout.side == "bottom", "-bottom")
        screen.set_class(width < WIDE, "-drawer")

    def fit(self) -> None:
        """Show what has room, and the panel while a token is selected."""
        self.set_classes(self._screen.size, looks_at_something=self._transcript.selected is not None)
        self._put_panel()

    def open(self) -> None:
        """Show the panel, wherever it was."""
        self._wants_panel = True
        self.fit()

    def toggle(self) -> None:
        """Show or hide the panel."""
        self._wants_panel = not self.is_open
        self._remember(shown=self._wants_panel)
        self._screen.remove_class("-maximised")
        self.fit()

    def prefer(self, panel: bool) -> None:
        """Whether the settings want the panel where there is room."""
        self._remember(shown=None)
        self._wants_panel = None if panel else False
        self.fit()

    # --- as it was --------------------------------------------------------------------------------------

    def open_last_view(self) -> None:
        """Open the view that was open last."""
        view = self.layout.view
        if view != self._inspector.opened and any(tab.key == view for tab in TABS):
            self._inspector.open(view)

    def remember_view(self, key: str) -> None:
        """A view was opened."""
        self._remember(view=key)

    def _remember(self, **changes: Any) -> None:
        changed = msgspec.structs.replace(self.layout, **changes)
        if changed != self.layout:
            self.layout = changed
            save_layout(self._file, changed)

    # --- place and size ---------------------------------------------------------------------------------

    def _put_panel(self) -> None:
        """Put the panel where it belongs."""
        layout, room = self.layout, self._room
        self._screen.set_class(layout.side == "bottom", "-bottom")
        styles = self._inspector.styles
        for rule in ("width", "height"):
            styles.clear_rule(rule)
        if self.is_large:
            return
        if layout.side == "right" and layout.width is not None:
            styles.width = layout.sized(layout.width, room).width
        elif layout.side == "bottom" and layout.height is not None:
            styles.height = layout.sized(layout.height, room).height

    @property
    def _room(self) -> int:
        """Columns or rows that panel and conversation share."""
        middle = self._screen.query_one("#middle").size
        if self.layout.side == "right":
            return middle.width or self._screen.size.width
        return middle.height or self._screen.size.height

    def enlarge(self, large: bool) -> None:
        """The panel over the whole screen, or beside the conversation."""
        self.open()
        self._screen.set_class(large, "-maximised")
        self._inspector.show_tabs()
        self._put_panel()

    def move(self) -> None:
        """From the right to the bottom, or back."""
        self.open()
        self._remember(side=self.layout.other_side)
        self._put_panel()

    def resize(self, step: int) -> None:
        """Larger or smaller."""
        self.open()
        size = self._inspector.outer_size
        right = self.layout.side == "right"
        kept = self.layout.width if right else self.layout.height
        now = kept or (size.width if right else size.height)  # the screen may lag behind quick keys
        self._resize_to(now + step * (2 if right else 1))

    def _resize_to(self, cells: int) -> None:
        sized = self.layout.sized(cells, self._room)
        self._remember(width=sized.width, height=sized.height)
        self._put_panel()

    # --- mouse ------------------------------------------------------------------------------------------

    def mouse_down(self, event: events.MouseDown) -> None:
        """On the edge of the panel: begin to drag it."""
        region = self._inspector.region
        x, y = int(event.screen_x), int(event.screen_y)
        right = self.layout.side == "right"
        edge = x == region.x if right else y == region.y and x < region.right - 4
        if region.contains(x, y) and edge and not self.is_large:
            self._dragging = True
            self._screen.capture_mouse()

    def mouse_move(self, event: events.MouseMove) -> None:
        """Drag."""
        if self._dragging:
            region = self._inspector.region
            right = self.layout.side == "right"
            self._resize_to(
                region.right - int(event.screen_x) if right else region.bottom - int(event.screen_y)
            )

    def mouse_up(self) -> None:
        """End the drag."""
        if self._dragging:
            self._dragging = False
            self._screen.release_mouse()
