"""Where a message is written."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import ClassVar, Self

from rich.style import Style
from textual import events
from textual._text_area_theme import TextAreaTheme
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.strip import Strip
from textual.timer import Timer
from textual.widgets import TextArea

from chatterm.chat import attachments
from chatterm.language import _, mark, several
from chatterm.tui import keys
from chatterm.tui.messages import CompletionWanted, LongPaste, Submitted
from chatterm.tui.widgets.completions import Completions
from chatterm.tui.widgets.direct_drawing import Drawn, DrawsAtOnce

SEND_DELAY = 0.02
"""Seconds that Enter waits for text that follows at once.

A terminal that does not mark pasted text sends its line ends as Enter; what follows within this time was not
typed. An input method's Enter chooses a candidate inside the terminal and reaches a program as text, if at
all: only the key itself sends, never text that holds a newline.
"""

BURST = 0.008
"""Seconds between two keys that nobody types: an input method's, a script's, or those that had to wait."""

HISTORY = 200
PLACEHOLDER = mark("Ask something …")


class Composer(TextArea):
    """Several lines of text. Enter sends, ctrl+j begins a new line, up and down at the edges walk history."""

    DEFAULT_CSS = """
    Composer {
        height: auto;
        min-height: 3;
        max-height: 33vh;
        background: $background;
        border: round $rule;
        padding: 0 1;
        scrollbar-size-vertical: 1;
        border-subtitle-color: $muted;
        border-title-color: $muted;
        &:focus { border: round $muted; }
        & .text-area--cursor-line { background: transparent; }
        & .text-area--placeholder { color: $muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("message")

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        self._dressed: tuple[TextAreaTheme, Style] | None = None
        self._blinks: dict[bool, Drawn] = {}  # as it is drawn with the cursor and without
        self._is_blinking = False
        super().__init__(
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
            highlight_cursor_line=False,
            placeholder=_(PLACEHOLDER),
        )
        self._history: list[str] = []
        self._place = 0  # in the history; its length while something new is written
        self._draft = ""
        self._sending: Timer | None = None
        self.completions: Completions | None = None
        self._taken = 0.0  # when the last key was
        self.draws: DrawsAtOnce | None = None  # the screen, if it can
        self.foreign: set[Path] = set()  # files that only a text from elsewhere names
        self.has_attachments = False  # there is something to send without a word

    def notify_style_update(self) -> None:
        """Other colours."""
        self._dressed = None
        super().notify_style_update()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Some lines. Textual's text area finds all its colours anew for each key and each blink."""
        theme, style = self._theme, self.rich_style
        if self._dressed is None or self._dressed[0] is not theme or self._dressed[1] != style:
            theme.apply_css(self)
            self._dressed = theme, style
        return super(TextArea, self).render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """A line; none where the terminal is too narrow for a sign, by whose width Textual would divide."""
        if self.scrollable_content_region.width < 1:
            return Strip.blank(self.size.width)
        return super().render_line(y)

    def count(self, tokens: int | None, room: int | None = None) -> None:
        """Show how many tokens the text is, and whether `room` tokens are too few; None while not known."""
        words = ""
        if tokens is not None:
            words = several("{count} token", "{count} tokens", tokens).format(count=tokens)
            if room is not None and tokens > room:
                words += _(", more than the {room} that are left of the context window").format(
                    room=max(0, room)
                )
        self.border_subtitle = words

    def remember(self, texts: list[str]) -> None:
        """Take messages that were sent into the history."""
        self._history = [*self._history, *texts][-HISTORY:]
        self._place = len(self._history)

    def put(self, text: str) -> None:
        """Replace the text, the cursor at its end."""
        self.load_text(text)
        self.move_cursor(self.document.end)

    async def _on_key(self, event: events.Key) -> None:
        """Whoever types sees it at once; keys that follow faster than anybody types are drawn together."""
        await self._take(event)
        before, self._taken = self._taken, monotonic()
        if self._taken - before >= BURST:
            self._show_now()

    def _toggle_cursor_blink_visible(self) -> None:
        """The cursor comes or goes; each time as it did before, while nothing else has changed."""
        shows = not self._cursor_visible
        drawn = self._blinks.get(shows)
        if drawn is not None and self.draws is not None and self.draws.draw_again(drawn):
            self.set_reactive(TextArea._cursor_visible, shows)
            self._styles_cache.clear()
            return
        self._is_blinking = True
        super()._toggle_cursor_blink_visible()
        self._is_blinking = False
        if self._cursor_visible is shows and (drawn := self._show_now()) is not None:
            self._blinks[shows] = drawn

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        """Draw again."""
        if not self._is_blinking:
            self._blinks.clear()
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def _show_now(self) -> Drawn | None:
        return self.draws.draw_now(self) if self.draws is not None and self.is_attached else None

    async def _take(self, event: events.Key) -> None:
        """All keys are taken in their turn; a bound one that bubbles would come after the next sign."""
        if self._completes(event.key):
            event.stop()
            event.prevent_default()
            return
        action = keys.pressed("message", event.key)
        bound = self._bindings.key_to_bindings.get(event.key)
        if action or bound or event.key == "enter":
            event.stop()
            event.prevent_default()
            if action:
                await self.run_action(action)
            else:
                await self._run_first(bound or [])
            return
        if self._sending is not None and event.is_printable:
            self._sending.stop()
            self._sending = None
            self.insert("\n")
        await super()._on_key(event)
        if typed := attachments.query(self.before_cursor):
            self.foreign.discard(attachments.named(typed, Path.cwd()))

    def _completes(self, key: str) -> bool:
        """Give a key to the completions; whether it was for them."""
        offered = self.completions
        if offered is None or not offered.is_open:
            return False
        if key in ("up", "down"):
            offered.move(1 if key == "down" else -1)
        elif key == "escape":
            offered.offer(())
        elif key == "tab" or (key == "enter" and self._sending is None):
            self.post_message(CompletionWanted(sends=key == "enter"))
        else:
            return False
        return True

    def complete(self, text: str, length: int) -> None:
        """Put `text` in the place of the `length` characters before the cursor."""
        row, column = self.cursor_location
        self.replace(text, (row, max(0, column - length)), (row, column))

    @property
    def before_cursor(self) -> str:
        """The line up to the cursor."""
        row, column = self.cursor_location
        return self.document.get_line(row)[:column]

    async def _on_paste(self, event: events.Paste) -> None:
        """A long text becomes an attachment; the rest is left to the text area, which is asked next."""
        if attachments.is_long(event.text):
            event.stop()
            event.prevent_default()
            self.post_message(LongPaste(event.text))
        else:
            self.distrust(event.text)

    def distrust(self, text: str) -> None:
        """A text that others may have written names files: none of them is read for that."""
        self.foreign |= set(attachments.mentioned(text, Path.cwd()))

    async def _run_first(self, bindings: list[Binding]) -> None:
        for binding in bindings:
            own = (binding.id or "").startswith("message.")  # under the keys that the user gave it
            if not binding.priority and not own and await self.app.run_action(binding.action, self):
                return

    def action_send(self) -> None:
        """Send, unless text follows at once."""
        if self._sending is None:
            self._sending = self.set_timer(SEND_DELAY, self._send)

    def _send(self) -> None:
        self._sending = None
        text = self.text.strip()
        if not text and not self.has_attachments:
            return
        if text and (not self._history or self._history[-1] != text):
            self._history = [*self._history, text][-HISTORY:]
        self._place = len(self._history)
        self._draft = ""
        self.load_text("")
        self.post_message(Submitted(text))

    def action_newline(self) -> None:
        """Begin a new line."""
        self.insert("\n")

    def _recall(self, text: str) -> None:
        self.distrust(text)
        self.put(text)

    def action_older(self) -> None:
        """A line up; on the first line the message before."""
        if self.navigator.is_first_wrapped_line(self.cursor_location) and self._place > 0:
            if self._place == len(self._history):
                self._draft = self.text
            self._place -= 1
            self._recall(self._history[self._place])
        else:
            self.action_cursor_up()

    def action_newer(self) -> None:
        """A line down; on the last line the message after."""
        last = self.navigator.is_last_wrapped_line(self.cursor_location)
        if last and self._place < len(self._history):
            self._place += 1
            here = self._place < len(self._history)
            if here:
                self._recall(self._history[self._place])
            else:
                self.put(self._draft)
        else:
            self.action_cursor_down()
