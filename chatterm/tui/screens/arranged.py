"""The part of the chat that arranges it: the panel's side, its size, and that both are remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from textual import events, on

from chatterm.chat.session import ChatSession
from chatterm.tui import messages
from chatterm.tui.layout import Layout, load_layout, save_layout
from chatterm.tui.screens.glass import GlassScreen
from chatterm.tui.widgets.inspector import Inspector
from chatterm.tui.widgets.tab_strip import TABS


class ArrangedScreen(GlassScreen):
    """Moves and resizes the panel, by keys and by dragging its edge.

    Attributes:
        arrangement: where the panel stands.
    """

    def __init__(self, session: ChatSession, file: Path | None) -> None:
        super().__init__(session)
        self._file = file
        self._dragging = False
        self.arrangement: Layout = load_layout(file)
        self._was_large = self.arrangement.maximised

    def arrange_as_before(self) -> None:
        """Open the view that was open last."""
        view = self.arrangement.view
        if view != self.inspector.opened and any(tab.key == view for tab in TABS):
            self.inspector.open(view)

    def enlarge_as_before(self) -> None:
        """Maximise the panel if it was left so: once, when there is a conversation to look into."""
        was_large, self._was_large = self._was_large, False
        if was_large and not self.has_class("-maximised"):
            self.action_maximise()

    def put_panel(self) -> None:
        """Put the panel where it belongs."""
        arrangement = self.arrangement
        self.set_class(arrangement.side == "bottom", "-bottom")
        styles = self.inspector.styles
        for rule in ("width", "height"):
            styles.clear_rule(rule)
        if self.has_class("-maximised"):
            return
        if arrangement.side == "right" and arrangement.width is not None:
            styles.width = arrangement.sized(arrangement.width, self._room).width
        elif arrangement.side == "bottom" and arrangement.height is not None:
            styles.height = arrangement.sized(arrangement.height, self._room).height

    def remember(self, **changes: Any) -> None:
        """Keep a change of the arrangement."""
        changed = msgspec.structs.replace(self.arrangement, **changes)
        if changed != self.arrangement:
            self.arrangement = changed
            save_layout(self._file, changed)

    @property
    def _room(self) -> int:
        """Columns or rows that panel and conversation share."""
        middle = self.query_one("#middle").size
        if self.arrangement.side == "right":
            return middle.width or self.size.width
        return middle.height or self.size.height

    def action_maximise(self) -> None:
        """The panel over the whole screen, and back."""
        super().action_maximise()
        self.remember(maximised=self.has_class("-maximised"))
        self.put_panel()

    def action_move_panel(self) -> None:
        """From the right to the bottom, or back."""
        self.open_panel()
        self.remember(side=self.arrangement.other_side)
        self.put_panel()

    def action_resize_panel(self, step: int) -> None:
        """Larger or smaller."""
        self.open_panel()
        size = self.inspector.outer_size
        right = self.arrangement.side == "right"
        kept = self.arrangement.width if right else self.arrangement.height
        now = kept or (size.width if right else size.height)  # the screen may lag behind quick keys
        self._resize(now + step * (2 if self.arrangement.side == "right" else 1))

    def _resize(self, cells: int) -> None:
        sized = self.arrangement.sized(cells, self._room)
        self.remember(width=sized.width, height=sized.height)
        self.put_panel()

    @on(messages.ViewOpened)
    def _view_opened(self, event: messages.ViewOpened) -> None:
        self.remember(view=event.key)

    # --- mouse ------------------------------------------------------------------------------------------

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """On the edge of the panel: begin to drag it."""
        region = self.query_one(Inspector).region
        x, y = int(event.screen_x), int(event.screen_y)
        right = self.arrangement.side == "right"
        edge = x == region.x if right else y == region.y and x < region.right - 4
        if region.contains(x, y) and edge and not self.has_class("-maximised"):
            self._dragging = True
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Drag."""
        if self._dragging:
            region = self.inspector.region
            right = self.arrangement.side == "right"
            self._resize(region.right - int(event.screen_x) if right else region.bottom - int(event.screen_y))

    def on_mouse_up(self, _event: events.MouseUp) -> None:
        """End the drag."""
        if self._dragging:
            self._dragging = False
            self.release_mouse()
