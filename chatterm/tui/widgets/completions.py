"""What could be meant, above the message that is being written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from textual import on
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from chatterm import inert
from chatterm.tui.text import bars

MOST_ROWS = 8
NAME_WIDTH = 34


class Completion(NamedTuple):
    """One of them: what takes the place of the last `length` characters before the cursor.

    `value` is the thing itself (a file) where it is not text that is put in.
    """

    shown: str
    says: str
    text: str
    length: int
    value: object = None


class Completions(OptionList, can_focus=False):
    """Lies over the end of the conversation; the keys for it come from the composer."""

    DEFAULT_CSS = """
    Completions {
        overlay: screen;
        display: none;
        width: 100%;
        max-width: 100;
        height: auto;
        max-height: 10;
        background: $panel;
        border: round $rule;
        padding: 0 1;
        scrollbar-size-vertical: 1;
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    """

    class Chosen(Message):
        """One was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self._completions: tuple[Completion, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether something is offered."""
        return bool(self._completions)

    @property
    def chosen(self) -> Completion | None:
        """The one under the cursor."""
        return self._completions[self.highlighted or 0] if self._completions else None

    def offer(self, completions: Sequence[Completion]) -> None:
        """Offer these; none: close."""
        completions = tuple(completions)
        if completions == self._completions:
            return
        self._completions = completions
        self.clear_options()
        if completions:
            width = min(NAME_WIDTH, max(cell_len(inert.line(one.shown)) for one in completions))
            self.add_options([Option(_row(one, width)) for one in completions])
            self.highlighted = 0
            rows = min(len(completions), MOST_ROWS) + 2
            self.styles.max_height = rows
            self.styles.offset = (0, -rows)
        self.display = bool(completions)

    def move(self, step: int) -> None:
        """The next one, round the end."""
        if self._completions:
            self.highlighted = ((self.highlighted or 0) + step) % len(self._completions)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Chosen())


def _row(completion: Completion, width: int) -> Content:
    return Content(bars.fit(inert.line(completion.shown), width)) + Content.styled(
        f"  {completion.says}", "$text-muted"
    )
