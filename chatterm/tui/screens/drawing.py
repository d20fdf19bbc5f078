"""The part of the chat that draws what the session holds, and follows it."""

from __future__ import annotations

from pathlib import Path
from time import monotonic, process_time
from typing import Literal

from textual import on
from textual.timer import Timer
from textual.widget import Widget

from chatterm import inert
from chatterm.chat.session import ChatSession
from chatterm.language import _
from chatterm.tui import messages
from chatterm.tui.screens.arranged import ArrangedScreen
from chatterm.tui.screens.compositor import SparingCompositor
from chatterm.tui.screens.conversations import ConversationsScreen
from chatterm.tui.screens.writing import WritingScreen
from chatterm.tui.text import downloads
from chatterm.tui.text.models import about
from chatterm.tui.widgets.composer import Composer
from chatterm.tui.widgets.control_bar import ControlBar
from chatterm.tui.widgets.drawn import Drawn
from chatterm.tui.widgets.key_line import (
    KeyLine,
    candidate_hints,
    chat_hints,
    list_hints,
    message_hints,
    token_hints,
)
from chatterm.tui.widgets.message_bar import MessageBar
from chatterm.tui.widgets.next_token import NextTokenPanel
from chatterm.tui.widgets.status_line import Status, StatusLine
from chatterm.tui.widgets.system_line import SystemLine
from chatterm.tui.widgets.transcript import Transcript
from chatterm.tui.widgets.welcome import Welcome

FRAME = 1 / 30
"""Seconds between two drawings of a growing reply."""
LONGEST_REST = 0.2
"""Seconds after which it is drawn whatever else is done, as long as somebody types without a pause; but not
before what the last drawing itself took is paid for."""

AWAKE = 1.0
"""Seconds for which the clock goes on after something was typed or the session said something."""

NEWS = 10.0
"""Seconds for which something that happened beside the conversation is shown."""

SHARE = 1 / 3
"""Of one processor, that drawing a growing reply may take: keys come first, and so does the model."""


class DrawingScreen(WritingScreen, ConversationsScreen, ArrangedScreen):
    """Brings the session's state to the widgets; a growing reply at its own pace."""

    def __init__(self, session: ChatSession, layout_file: Path | None) -> None:
        super().__init__(session, layout_file)
        self._compositor = SparingCompositor()
        self._drawn = 0  # tokens of the live reply that are on the screen
        self._drawn_at = self._work_then = 0.0  # when it was last drawn, and what all had taken until then
        self._drawing_took = 0.0
        self._look_is_old = True
        self._clock: Timer | None = None
        self._awake_until = 0.0

    def draw_from_now_on(self) -> None:
        """Show what there is, and begin to draw growing replies."""
        self._clock = self.set_interval(FRAME, self._frame)
        self.wake()
        self.arrange_as_before()
        self.show_all()

    def wake(self) -> None:
        """Let the clock go: something has happened that may lead to a drawing."""
        self._awake_until = monotonic() + AWAKE
        if self._clock is not None:
            self._clock.resume()

    def look_around(self) -> None:
        """What the clock does at each frame, once; to be called now and then while it rests."""
        self._frame()

    def draw_now(self, widget: Widget) -> Drawn | None:
        """Draw what changed in one widget before all others have their turn, if nothing moves for it.

        By itself Textual draws all that changed a little later, together with what the model wrote meanwhile.

        Returns:
            What was drawn, for `draw_again`; None if nothing was.
        """
        places = self._compositor.visible_widgets
        if not self._stands_still or widget not in places or self._compositor._dirty_regions:
            return None
        self._compositor.update_widgets({widget})
        update = self._compositor.render_update(screen_stack=self.app._background_screens)
        widget._repaint_required = False
        self._dirty_widgets.discard(widget)
        if update is None:
            return None
        self.app._display(self, update)
        return Drawn(places, update)

    def draw_again(self, drawn: Drawn) -> bool:
        """Draw what has been drawn before, if every widget is where it was; whether it is so."""
        if not self._stands_still or self._compositor.visible_widgets is not drawn.places:
            return False
        self.app._display(self, drawn.update)
        return True

    @property
    def _stands_still(self) -> bool:
        """Whether it is this screen that is seen, and nothing is about to move in it."""
        moves = self._layout_required or self._scroll_required or self._repaint_required
        return not moves and not self.app._batch_count and self is self.app.screen

    def show_all(self) -> None:
        """Draw everything."""
        self.query_one(Transcript).show(self.shown)
        self._talking()
        self._show_sampling()
        self.show_state()
        self.show_look()

    def _talking(self) -> None:
        self.set_class(bool(self.session.turns), "-talking")

    def _frame(self) -> None:
        """Draw what came since the last frame."""
        live = self.session.live
        if live is not None and len(live.tokens) != self._drawn and self._may_draw():
            self._drawn = len(live.tokens)
            self._drawn_at, self._work_then = monotonic(), process_time()
            self.query_one(Transcript).grew(live)
            self.grow_context()
            self._look_is_old = True
            self.show_state()
            self._drawing_took = process_time() - self._work_then
        elif self._look_is_old:  # at another moment: two short drawings hold up a key less than a long one
            self.show_look()
        self.inspector.catch_up()
        if live is None and not self._look_is_old and monotonic() > self._awake_until:
            self._rest()

    def _rest(self) -> None:
        """Stop the clock: a chat in which nothing happens leaves the processor alone."""
        if self._clock is not None:
            self._clock.pause()

    def _may_draw(self) -> bool:
        """Whether the last drawing, with all that was done since, was paid for by rest."""
        rested = monotonic() - self._drawn_at
        if rested * SHARE < self._drawing_took:
            return False
        return rested >= LONGEST_REST or rested * SHARE >= process_time() - self._work_then

    def show_look(self) -> None:
        """Draw the panel."""
        self._look_is_old = False
        session = self.session
        info = session.info
        look, lookout = session.lookout.look, session.lookout
        empty = self._why_empty() if look is None else lookout.trouble
        self.query_one(NextTokenPanel).show(look, info.vocabulary if info else 0, empty, lookout.found)

    def _why_empty(self) -> str:
        session = self.session
        if session.live is not None:
            return _("The model is reading the prompt; its first choice appears here.")
        if any(turn.role == "assistant" for turn in session.turns):
            return _("This reply was saved without token records.")
        if session.info is None:
            return _("No model is loaded yet. The candidates for each token appear here as it is written.")
        return _("Nothing has been written yet. The candidates for each token appear here as it is written.")

    def _show_sampling(self) -> None:
        session = self.session
        values = session.values
        self.query_one(ControlBar).show(values.sampling, values.start, values.seed_is_chosen)
        self.show_state()

    def show_state(self) -> None:
        """Draw the system prompt, the status line and what depends on the model."""
        session = self.session
        self.query_one(SystemLine).show(session.system_prompt if session.turns else "")
        reading = session.reading
        share = f" {reading.done / reading.total:.0%}" if reading is not None and reading.total else ""
        self.query_one(StatusLine).show(
            Status(
                info=session.info,
                step=session.engines.step,
                reading=_("reading the prompt") + share if reading is not None else "",
                tokens_per_second=session.tokens_per_second,
                first_token=session.timing.first_token if session.timing is not None else None,
                context_used=session.context_used,
                temperature=session.values.sampling.temperature,
                saved=session.keeper.state,
                trouble=session.host.trouble,
                edits=self.inspector.edits.described,
                downloads=downloads.line(session.downloads.running),
            )
        )
        if not session.turns:
            self.query_one(Welcome).show(
                session.info, session.engines.step, session.host.trouble, *about(session.info)
            )
        self.show_keys()

    @on(messages.Told)
    def _told(self, event: messages.Told) -> None:
        severity: Literal["warning", "information"] = "warning" if event.is_trouble else "information"
        self.notify(inert.line(event.sentence), severity=severity, timeout=NEWS, markup=False)

    def show_keys(self) -> None:
        """Draw the line of keys."""
        selecting = self.query_one(Transcript).selected is not None
        if self.query_one(MessageBar).has_focus:
            hints = message_hints()
        elif self.sidebar.has_focus_within:
            hints = list_hints()
        elif self.query_one(NextTokenPanel).has_focus:
            hints = candidate_hints()
        else:
            hints = token_hints() if selecting else chat_hints(writing=self.session.live is not None)
        self.query_one(KeyLine).show(hints)

    # --- from the session -------------------------------------------------------------------------------

    @on(messages.TurnsReplaced)
    def _turns_replaced(self) -> None:
        self.forget_context()
        self._drawn = 0
        self.show_all()
        self.check_message()
        self.sidebar.look_again()
        composer = self.query_one(Composer)
        composer.remember([turn.text for turn in self.session.turns if turn.role == "user"])
        if self.session.turns:
            self.enlarge_as_before()

    @on(messages.TurnsShown)
    def _turns_shown(self, event: messages.TurnsShown) -> None:
        self.session.read_records(event.turns)
        self.session.count_attachments(event.turns)

    @on(messages.TurnAdded)
    def _turn_added(self, event: messages.TurnAdded) -> None:
        self._talking()
        transcript = self.query_one(Transcript)
        self.forget_context()
        if transcript.turns is self.session.turns:
            transcript.catch_up()
        else:
            transcript.show(self.session.turns)
        if event.turn.live:
            self._drawn = 0
        self.session.count_attachments([event.turn])
        self.sidebar.look_again()

    @on(messages.TurnChanged)
    def _turn_changed(self, event: messages.TurnChanged) -> None:
        self.query_one(Transcript).grew(event.turn)
        self.grow_context()
        self.show_look()
        if not event.turn.live:
            self.sidebar.look_again()

    @on(messages.StateChanged)
    def _state_changed(self) -> None:
        self._look_is_old = True  # why the panel is empty may have changed
        self.show_state()

    @on(messages.SamplingChanged)
    def _sampling_changed(self) -> None:
        self._show_sampling()

    @on(messages.LookChanged)
    def _look_changed(self) -> None:
        self._look_is_old = True
