"""Copying to the clipboard: a message as Markdown or as it reads, a reply, a block of code."""

from __future__ import annotations

from textual.screen import Screen

from chatterm.chat.session import ChatSession
from chatterm.chat.turns import Turn
from chatterm.language import _
from chatterm.tui.screens.chat.message_actions import MessageActions
from chatterm.tui.text.code import CodeBlock, code_at, code_blocks
from chatterm.tui.text.markdown import Markdown

PLAIN_WIDTH = 10_000
"""Columns in which a message is laid out to be copied: none of its lines is broken."""


class Copying:
    """Copies, and says what was copied."""

    def __init__(self, screen: Screen[None], session: ChatSession, message: MessageActions) -> None:
        self._screen = screen
        self._session = session
        self._message = message
        # the code block that was copied last, and whether a message was chosen then
        self._last_block: tuple[Turn, int, bool] | None = None

    def message(self) -> None:
        """Copy the message as Markdown."""
        if (turn := self._message.message) is not None:
            self._copy(turn.text, _("Copied as Markdown."))

    def reply(self) -> None:
        """Copy the last reply as Markdown."""
        if (turn := self._session.last_reply) is not None:
            self._copy(turn.text, _("The last reply is copied as Markdown."))

    def plain(self) -> None:
        """Copy the message as it reads on the screen."""
        if (turn := self._message.message) is not None:
            lines = Markdown(turn.text, PLAIN_WIDTH).lines()
            text = "\n".join(line.text.rstrip() for line in lines)
            self._copy(text, _("Copied as plain text."))

    def code(self) -> None:
        """Copy a block of code: the last one of the message, or of the newest that has any."""
        chosen = self._message.chosen
        said = self._message.said
        said = [chosen] if chosen is not None else [t for t in reversed(said) if t.role == "assistant"]
        turn = next((turn for turn in said if code_blocks(turn.text)), None)
        if turn is None:
            self._screen.notify(_("There is no block of code here."))
            return
        blocks = code_blocks(turn.text)
        last = self._last_block
        again = last is not None and last[0] is turn and last[2] == (chosen is not None)
        place = ((last[1] if again and last is not None else 0) - 1) % len(blocks)
        self._last_block = turn, place, chosen is not None
        self._copy_block(blocks[place], place, len(blocks))

    def code_at(self, turn: Turn, offset: int) -> None:
        """Copy the block of code at a character of a message."""
        block = code_at(turn.text, offset)
        if block is not None:
            blocks = code_blocks(turn.text)
            self._copy_block(block, blocks.index(block), len(blocks))

    def _copy_block(self, block: CodeBlock, place: int, total: int) -> None:
        what = _("Copied the code.")
        if total > 1:
            what = _("Copied block {place} of {total}.").format(place=place + 1, total=total)
        self._copy(block.code, what)

    def _copy(self, text: str, what: str) -> None:
        self._screen.app.copy_to_clipboard(text)
        self._screen.notify(what, markup=False, timeout=3)
