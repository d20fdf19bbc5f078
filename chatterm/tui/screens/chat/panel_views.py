"""The views of the panel: which is open, and whether it has the keys."""

from __future__ import annotations

from textual.screen import Screen

from chatterm.tui import messages
from chatterm.tui.screens.chat.arrangement import Arrangement
from chatterm.tui.screens.chat.session_view import SessionView
from chatterm.tui.widgets.inspector import Inspector


class PanelViews:
    """Opens views, gives them the keys and the whole screen."""

    def __init__(
        self, screen: Screen[None], inspector: Inspector, arrangement: Arrangement, view: SessionView
    ) -> None:
        self._screen = screen
        self._inspector = inspector
        self._arrangement = arrangement
        self._view = view

    def turn(self, step: int) -> None:
        """The next view, or the one before; a hidden panel is shown as it was left."""
        was_open = self._arrangement.is_open
        self._arrangement.open()
        if was_open:
            self._inspector.turn(step)
        self._view.show_keys()

    def open(self, key: str) -> None:
        """Open a view; once more gives it the keys."""
        again = self._arrangement.is_open and self._inspector.opened == key
        self._arrangement.open()
        self._inspector.open(key)
        if again and not self._inspector.view.has_focus:
            self.enter()

    def enter(self) -> None:
        """Keys to the open view, and back."""
        inspector = self._inspector
        self._arrangement.open()
        if inspector.view.has_focus:
            self._screen.post_message(messages.PanelLeft())
        elif inspector.opened == "next":
            self._screen.post_message(messages.PanelEntered())
        else:
            inspector.view.focus(scroll_visible=False)
        self._view.show_keys()

    def maximise(self) -> None:
        """The panel over the whole screen, and back."""
        large = not self._arrangement.is_large
        self._arrangement.enlarge(large)
        if large:
            self._inspector.view.focus(scroll_visible=False)
        elif self._inspector.has_focus_within:
            self._screen.post_message(messages.PanelLeft())
