"""What fills the context window, message by message, and the choice of what is not sent to the model."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from chatterm import inert, quoting
from chatterm.chat.context_usage import Filling
from chatterm.chat.session import ChatSession
from chatterm.chat.turns import Turn
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.tui import keys
from chatterm.tui.dialogs.dialog import Dialog
from chatterm.tui.text import bars
from chatterm.tui.widgets.context_meter import ContextMeter
from chatterm.tui.widgets.options import Options

NAME_WIDTH = 14
TOKENS_WIDTH = 9


class _Row(NamedTuple):
    """One line: a message, or what is attached to it."""

    turn: Turn
    is_attachment: bool


class ContextScreen(Dialog[None]):
    """What is switched off here is left out from the next reply on; it stays in the conversation, marked."""

    DEFAULT_CSS = """
    ContextScreen {
        & Static { color: $text-muted; height: auto; margin-bottom: 1; }
        & ContextMeter { margin-bottom: 1; }
    }
    """
    SCOPE = "window"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("window")

    def __init__(self, session: ChatSession, draft: str = "") -> None:
        super().__init__()
        self._session = session
        self._draft = draft
        self._filling: Filling | None = None
        self._rows: list[_Row] = []
        for turn in session.turns:
            if turn.role in ("user", "assistant") and turn.text.strip():
                self._rows.append(_Row(turn, False))
                if turn.role == "user" and quoting.split(turn.text)[0]:
                    self._rows.append(_Row(turn, True))
        self._sizes: dict[_Row, int] = {}  # as last counted, before it was left out

    def compose(self) -> ComposeResult:
        """The meter above the messages."""
        with Vertical(classes="box") as box:
            box.border_title = _("Context window")
            box.border_subtitle = _("space send or not · o without the oldest · a send all · esc back")
            yield ContextMeter()
            yield Static(
                _("What is left out stays in the conversation and is saved; the model no longer reads it."),
                markup=False,
            )
            yield Options(*self._options())

    async def on_mount(self) -> None:
        """Count."""
        self.query_one(OptionList).focus()
        await self._count()

    async def _count(self) -> None:
        try:
            self._filling = await self._session.fill(self._draft)
        except UserError as error:
            self.query_one(Static).update(error.sentence)
            return
        for row in self._rows:
            size = self._filling.of_turn(row.turn, "attachments")
            size = size if row.is_attachment else self._filling.of_turn(row.turn) - size
            if size:
                self._sizes[row] = size
        self.query_one(ContextMeter).show(self._filling)
        self._redraw()

    def _redraw(self) -> None:
        options = self.query_one(OptionList)
        place = options.highlighted
        options.clear_options()
        options.add_options(self._options())
        options.highlighted = place if place is not None else 0

    def _options(self) -> list[Option]:
        if not self._rows:
            return [Option(_("Nothing has been said yet."), disabled=True)]
        return [Option(self._label(row)) for row in self._rows]

    def _label(self, row: _Row) -> Content:
        turn = row.turn
        off = _is_off(row)
        size = self._sizes.get(row)
        count = bars.count(size) if size is not None else ""
        if row.is_attachment:
            name = ""
            words = " · ".join(quote.name for quote in quoting.split(turn.text)[0])
            words = _("attached") + f": {words}"
        else:
            name = _("you") if turn.role == "user" else inert.line(turn.model) or _("model")
            words = quoting.split(turn.text)[1] if turn.role == "user" else turn.text
        text = bars.fit(inert.line(" ".join(words.split())), max(10, self._room()))
        sign = "○" if off else "●"
        label = Content(f"{sign} {bars.fit(name, NAME_WIDTH)} {count.rjust(TOKENS_WIDTH)}  {text}")
        return label.stylize("$muted") if off else label

    def _room(self) -> int:
        width = min(100, round(self.app.size.width * 0.9)) - 6
        return width - cell_len("● ") - NAME_WIDTH - TOKENS_WIDTH - 3

    @on(OptionList.OptionSelected)
    async def _clicked(self, event: OptionList.OptionSelected) -> None:
        await self._flip(event.option_index)

    async def action_flip(self) -> None:
        """Send the message or not."""
        place = self.query_one(OptionList).highlighted
        if place is not None:
            await self._flip(place)

    async def _flip(self, place: int) -> None:
        if place >= len(self._rows):
            return
        turn, is_attachment = self._rows[place]
        whole, quotes = turn.left_out, turn.quotes_left_out
        if is_attachment:
            await self._choose({turn: (whole, not quotes)})
            return
        flipped = self._exchange(turn) if turn.role == "user" else [turn]
        await self._choose({one: (not whole, one.quotes_left_out) for one in flipped})

    def _exchange(self, turn: Turn) -> list[Turn]:
        """A message of the user and the replies up to the next one, which mean nothing without it."""
        turns = [row.turn for row in self._rows if not row.is_attachment]
        first = turns.index(turn)
        after = next((n for n in range(first + 1, len(turns)) if turns[n].role == "user"), len(turns))
        return turns[first:after]

    async def action_oldest(self) -> None:
        """Leave out the oldest exchange that is still sent: a message and the replies up to the next one."""
        turns = [row.turn for row in self._rows if not row.is_attachment]
        first = next((turn for turn in turns if turn.role == "user" and not turn.left_out), None)
        if first is not None:
            await self._choose({turn: (True, turn.quotes_left_out) for turn in self._exchange(first)})

    async def action_all(self) -> None:
        """Send everything again."""
        await self._choose({row.turn: (False, False) for row in self._rows})

    async def _choose(self, choices: dict[Turn, tuple[bool, bool]]) -> None:
        if self._session.live is not None:
            self.notify(_("Stop the reply with esc before you choose what is left out."), severity="warning")
            return
        await self._session.leave_out(choices)
        self._redraw()
        await self._count()


def _is_off(row: _Row) -> bool:
    return row.turn.left_out or (row.is_attachment and row.turn.quotes_left_out)
