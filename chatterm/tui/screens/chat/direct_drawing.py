"""Drawing one widget of a screen at once, before everything else that has changed on it."""

from __future__ import annotations

from textual.screen import Screen
from textual.widget import Widget

from chatterm.tui.widgets.direct_drawing import Drawn


class DirectDrawing:
    """Textual draws all that changed a little later, together with what the model wrote meanwhile."""

    def __init__(self, screen: Screen[None]) -> None:
        self._screen = screen

    def draw_now(self, widget: Widget) -> Drawn | None:
        """Draw what changed in one widget before all others have their turn, if nothing moves for it.

        Returns:
            What was drawn, for `draw_again`; None if nothing was.
        """
        screen, compositor = self._screen, self._screen._compositor
        places = compositor.visible_widgets
        if not self._stands_still or widget not in places or compositor._dirty_regions:
            return None
        compositor.update_widgets({widget})
        update = compositor.render_update(screen_stack=screen.app._background_screens)
        widget._repaint_required = False
        screen._dirty_widgets.discard(widget)
        if update is None:
            return None
        screen.app._display(screen, update)
        return Drawn(places, update)

    def draw_again(self, drawn: Drawn) -> bool:
        """Draw what has been drawn before, if every widget is where it was; whether it is so."""
        screen = self._screen
        if not self._stands_still or screen._compositor.visible_widgets is not drawn.places:
            return False
        screen.app._display(screen, drawn.update)
        return True

    @property
    def _stands_still(self) -> bool:
        """Whether it is this screen that is seen, and nothing is about to move in it."""
        screen = self._screen
        moves = screen._layout_required or screen._scroll_required or screen._repaint_required
        return not moves and not screen.app._batch_count and screen is screen.app.screen
