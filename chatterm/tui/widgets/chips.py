"""The texts that go along with the message, as a row of chips above it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from chatterm import inert
from chatterm.chat.attachments import Attachment
from chatterm.language import _, several
from chatterm.tui import keys
from chatterm.tui.text import bars
from chatterm.tui.text.lines import MUTED
from chatterm.tui.widgets.paint import Paint

NAME_WIDTH = 32
REMOVE = " ✕ "


@dataclass
class Unfold(Message):
    """Put the text of an attachment into the message, in place of the chip."""

    attachment: Attachment


class ChipsChanged(Message):
    """Other texts go along."""


class Chips(Widget, can_focus=True):
    """One line; the arrow keys choose a chip, a click unfolds it, a click on its ✕ takes it away."""

    DEFAULT_CSS = """
    Chips { height: 1; display: none; background: $background; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("attachments")

    def __init__(self) -> None:
        super().__init__()
        self.attachments: list[Attachment] = []
        self._chosen = 0
        self._places: list[tuple[int, int, int]] = []  # first cell, that of the ✕, and the place
        self._paint = Paint(self)

    def add(self, attachment: Attachment) -> None:
        """One more, unless the very file is there."""
        if attachment.path is None or all(attachment.path != one.path for one in self.attachments):
            self.attachments.append(attachment)
            self._chosen = len(self.attachments) - 1
            self._changed()

    def drop(self, attachment: Attachment) -> None:
        """Take one away."""
        self.attachments.remove(attachment)
        self._chosen = min(self._chosen, max(0, len(self.attachments) - 1))
        self._changed()

    def take(self) -> list[Attachment]:
        """All of them; none are left."""
        taken, self.attachments = self.attachments, []
        self._chosen = 0
        self._changed()
        return taken

    def _changed(self) -> None:
        self.display = bool(self.attachments)
        self.refresh()
        self.post_message(ChipsChanged())

    @property
    def tokens(self) -> int:
        """Tokens of all that are counted."""
        return sum(attachment.tokens or 0 for attachment in self.attachments)

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()

    def render_line(self, y: int) -> Strip:
        """The only line, from the chosen chip on if not all have room."""
        base, room = self.rich_style, self.size.width
        self._places = []
        labels = [_label(attachment) for attachment in self.attachments]
        widths = [cell_len(label) + len(REMOVE) + 1 for label in labels]
        first = 0
        while first < self._chosen and sum(widths[first : self._chosen + 1]) > room:
            first += 1
        segments = [Segment("… ", base)] if first else []
        used = 2 if first else 0
        for place in range(first, len(labels)):
            style = self._paint.style(MUTED)
            if place == self._chosen and self.has_focus:
                style += Style(reverse=True)
            back = base + self._paint.user + style
            segments += [Segment(labels[place], back), Segment(REMOVE, back), Segment(" ", base)]
            self._places.append((used, used + cell_len(labels[place]), place))
            used += widths[place]
        return Strip(segments).crop_extend(0, room, base)

    def on_focus(self) -> None:
        """Show which is chosen."""
        self.refresh()

    def on_blur(self) -> None:
        """And no longer."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Unfold or take away."""
        for start, cross, place in reversed(self._places):
            if event.x - 1 >= start:
                attachment = self.attachments[place]
                if event.x - 1 >= cross:
                    self.drop(attachment)
                else:
                    self.post_message(Unfold(attachment))
                return

    def action_move(self, step: int) -> None:
        """Choose another."""
        self._chosen = max(0, min(self._chosen + step, len(self.attachments) - 1))
        self.refresh()

    def action_unfold(self) -> None:
        """Put it into the message."""
        if self.attachments:
            self.post_message(Unfold(self.attachments[self._chosen]))

    def action_remove(self) -> None:
        """Take it away."""
        if self.attachments:
            self.drop(self.attachments[self._chosen])
        if not self.attachments:
            self.screen.focus_next()


def _label(attachment: Attachment) -> str:
    name = inert.line(attachment.quote.name)
    parts = [bars.fit(name, min(cell_len(name), NAME_WIDTH))]
    parts.append(several("{count} line", "{count} lines", attachment.lines).format(count=attachment.lines))
    if attachment.tokens is not None:
        count = attachment.tokens
        parts.append(several("{count} token", "{count} tokens", count).format(count=bars.count(count)))
    else:
        parts.append(_("{count} characters").format(count=bars.count(len(attachment.quote.text))))
    return f" {' · '.join(parts)}"
