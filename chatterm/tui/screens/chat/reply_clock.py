"""Draws a growing reply by the clock: as often as a share of one processor pays for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, process_time

from textual.screen import Screen
from textual.timer import Timer

from chatterm.chat.session import ChatSession
from chatterm.tui.screens.chat.session_view import SessionView
from chatterm.tui.screens.chat.visible_turns import VisibleTurns
from chatterm.tui.widgets.inspector import Inspector
from chatterm.tui.widgets.transcript import Transcript

FRAME = 1 / 30
"""Seconds between two drawings of a growing reply."""
LONGEST_REST = 0.2
"""Seconds after which it is drawn whatever else is done, as long as somebody types without a pause; but not
before what the last drawing itself took is paid for."""
AWAKE = 1.0
"""Seconds for which the clock goes on after something was typed or the session said something."""
SHARE = 1 / 3
"""Of one processor, that drawing a growing reply may take: keys come first, and so does the model."""


class DrawingShare:
    """The share of a processor that drawings may take, counting all that each leads to."""

    def __init__(self) -> None:
        self._began_at = self._work_then = 0.0  # of the last drawing: when, and what all had taken until then
        self._took = 0.0

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Count what is done within as a drawing."""
        self._began_at, self._work_then = monotonic(), process_time()
        yield
        self._took = process_time() - self._work_then

    @property
    def is_paid(self) -> bool:
        """Whether the last drawing, with all that was done since, was paid for by rest."""
        rested = monotonic() - self._began_at
        if rested * SHARE < self._took:
            return False
        return rested >= LONGEST_REST or rested * SHARE >= process_time() - self._work_then


class ReplyClock:
    """Draws what came since the last frame, and rests while nothing happens."""

    def __init__(
        self,
        screen: Screen[None],
        session: ChatSession,
        *,
        visible: VisibleTurns,
        transcript: Transcript,
        inspector: Inspector,
        view: SessionView,
    ) -> None:
        self._screen = screen
        self._session = session
        self._visible = visible
        self._transcript = transcript
        self._inspector = inspector
        self._view = view
        self._share = DrawingShare()
        self._drawn = 0  # tokens of the live reply that are on the screen
        self._timer: Timer | None = None
        self._awake_until = 0.0

    def start(self) -> None:
        """Draw from now on."""
        self._timer = self._screen.set_interval(FRAME, self.frame)
        self.wake()

    def wake(self) -> None:
        """Let the clock go: something has happened that may lead to a drawing."""
        self._awake_until = monotonic() + AWAKE
        if self._timer is not None:
            self._timer.resume()

    def begin_reply(self) -> None:
        """Another reply grows from now on."""
        self._drawn = 0

    def frame(self) -> None:
        """Draw what came since the last frame; also to be called now and then while the clock rests."""
        live, view = self._session.live, self._view
        if live is not None and len(live.tokens) != self._drawn and self._share.is_paid:
            self._drawn = len(live.tokens)
            with self._share.drawing():
                self._transcript.grew(live)
                self._visible.grow_context()
                view.look_is_stale = True
                view.show_state()
        elif view.look_is_stale:  # at another moment: two short drawings delay a key less than a long one
            view.show_look()
        self._inspector.catch_up()
        if live is None and not view.look_is_stale and monotonic() > self._awake_until:
            self._rest()

    def _rest(self) -> None:
        """Stop the clock: a chat in which nothing happens leaves the processor alone."""
        if self._timer is not None:
            self._timer.pause()
