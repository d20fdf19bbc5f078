"""The conversation, and the walk over its tokens."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import BindingType

from chatterm.chat.turns import Turn
from chatterm.tui import keys, messages
from chatterm.tui.messages import PanelEntered, SiblingWanted, TokenPicked, TokensLeft, WordPicked
from chatterm.tui.text.lines import FENCE
from chatterm.tui.text.markdown import COPY
from chatterm.tui.widgets.turn_list import TurnList
from chatterm.tui.widgets.turn_view import INDENT, TurnView


class Transcript(TurnList, can_focus=True):
    """Shows turns; a click on a word, or the arrow keys, select a token."""

    DEFAULT_CSS = """
    Transcript {
        background: $background;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
        height: 1fr;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("tokens")

    # --- the mouse --------------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """Select the token under the pointer."""
        if self.text_selection is not None:
            return
        place = self._at(event.y + round(self.scroll_y))
        if place is None:
            return
        view, index = place
        foot = index - len(view.head) - len(view.body)
        if foot >= 0:
            self._click_on_foot(view, foot, event.x)
            return
        line, indented = view.line(index)
        if index < len(view.head):
            self.post_message(messages.MessagePicked(view.turn))
            return
        if line.text.endswith(COPY) and line.fill == FENCE and event.x - self._left > line.width - len(COPY):
            self._copy_below(view, index)
            return
        attachment = view.fold_at(index)
        if attachment is not None:
            self.flip_attachments(view.turn, attachment)
            return
        if index == len(view.head) and view.turn.thought is not None and indented:
            self.fold()
            return
        offset = line.offset_at(event.x - self._left - INDENT) if indented else -1
        token = view.turn.token_at(offset) if offset >= 0 else None
        if token is not None:
            self.post_message(TokenPicked(view.turn, token))
        elif offset >= 0 and view.turn.role == "user" and not view.turn.given:
            self.post_message(WordPicked(view.turn, offset))

    def _copy_below(self, view: TurnView, index: int) -> None:
        """Copy the code under its label."""
        for row in range(index + 1, len(view.head) + len(view.body)):
            bounds = view.line(row)[0].bounds()
            if bounds is not None:
                self.post_message(messages.CodeCopied(view.turn, bounds[0]))
                return

    def _click_on_foot(self, view: TurnView, row: int, x: int) -> None:
        text = view.foot[row].text if row < len(view.foot) else ""
        if view.spark is not None and row == 0:
            cell = x - self._left - INDENT
            if 0 <= cell < len(view.spark.text):
                tokens = view.turn.tokens
                first = cell * view.spark.per_cell
                inside = range(first, min(first + view.spark.per_cell, len(tokens)))
                self.post_message(TokenPicked(view.turn, max(inside, key=lambda n: tokens[n].entropy)))
        elif text.startswith("‹"):
            step = -1 if x - self._left - INDENT < text.index("/") else 1
            self.post_message(SiblingWanted(view.turn, step))

    # --- keys -------------------------------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        """Typing goes on with the message."""
        if event.is_printable and event.character:
            event.stop()
            self.post_message(TokensLeft(event.character))

    def action_step(self, step: int) -> None:
        """To the token before or after, over the edge into the next message."""
        if self.selected is None:
            return
        turn, index = self.selected
        index += step
        if not 0 <= index < len(turn.seen):
            self._to_turn(turn, step)
        else:
            self._go(turn, index)

    def action_line(self, direction: int) -> None:
        """To the token above or below."""
        if self.selected is None:
            return
        turn, index = self.selected
        number = self._line_of(turn, index)
        if number is None:
            return
        place = self._at(number)
        assert place is not None
        view, row = place
        line = view.line(row)[0]
        x = next((x for x in range(line.width) if line.offset_at(x) >= turn.starts[index]), 0)
        row += direction
        while len(view.head) <= row < len(view.head) + len(view.body):
            line = view.line(row)[0]
            for shift in range(max(line.width, 1)):
                for there in (x - shift, x + shift):
                    token = turn.token_at(offset) if (offset := line.offset_at(max(0, there))) >= 0 else None
                    if token is not None:
                        self._go(turn, token)
                        return
            row += direction
        self._to_turn(turn, direction)

    def action_edge(self, _direction: int) -> None:
        """To the first token of the message."""
        if self.selected is not None:
            self._go(self.selected[0], 0)

    def action_leave(self) -> None:
        """Follow the newest token again."""
        self.post_message(TokensLeft(""))

    def action_candidates(self) -> None:
        """Over to the panel."""
        self.post_message(PanelEntered())

    def _go(self, turn: Turn, index: int) -> None:
        """Walk there; keys that come before the screen has followed go on from there."""
        self.selected = (turn, index)
        self.post_message(TokenPicked(turn, index))

    def _to_turn(self, turn: Turn, direction: int) -> None:
        walked = [other for other in self.turns if other.seen]
        place = walked.index(turn) + direction if turn in walked else -1
        if 0 <= place < len(walked):
            other = walked[place]
            self._go(other, len(other.seen) - 1 if direction < 0 else 0)
