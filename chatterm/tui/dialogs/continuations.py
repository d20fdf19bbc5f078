"""Several continuations from one token, each with its own seed, written together and shown side by side."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from chatterm import inert
from chatterm.chat.branches import Branch
from chatterm.chat.engines import LocalEngine
from chatterm.chat.session import ChatSession
from chatterm.engine.messages import Finished, Started, TokenEvent
from chatterm.engine.protocol import Reply
from chatterm.errors import UserError
from chatterm.language import _, mark
from chatterm.tui import keys
from chatterm.tui.dialogs.dialog import Dialog
from chatterm.tui.text import bars
from chatterm.tui.text.lines import MUTED, Line, Span
from chatterm.tui.text.wrap import wrap
from chatterm.tui.widgets.knobs import TEMPERATURE
from chatterm.tui.widgets.paint import Paint

COUNT = 4
MOST = 12
LENGTH = 24
"""Tokens of each continuation; the one that is adopted goes on."""

NARROWEST = 20
"""Cells of a column; with less room the continuations stand one below the other."""

GAP = 2
ONLY_ONE = mark("At temperature 0 every seed makes the same choices, so one continuation stands for all.")


@dataclass
class Continuation:
    """One of them."""

    seed: int
    greedy: bool = False  # always the most probable token
    tokens: list[TokenEvent] = field(default_factory=list)
    text: str = ""
    state: str = "waiting"  # "writing", "" when it is done, or why it ended

    def heading(self, width: int) -> str:
        """Its seed, and how surprising its tokens were on average if there is room for that."""
        seed = _("most probable") if self.greedy else _("seed {seed}").format(seed=self.seed)
        if not self.tokens:
            return seed
        mean = max(0.0, -math.fsum(token.logprob for token in self.tokens) / len(self.tokens))
        nats = _("{nats} nats a token"), _("{nats} nats")
        longer = (f"{seed} · {words.format(nats=f'{mean:.2f}')}" for words in nats)
        return next((words for words in longer if cell_len(words) <= width), seed)


class Columns(Widget):
    """Draws continuations side by side where there is room, else one below the other."""

    DEFAULT_CSS = """
    Columns { height: auto; max-height: 1fr; background: $surface; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._paint = Paint(self)
        self._lines: list[Strip] = []
        self._blocks: list[tuple[int, int, int]] = []  # of each: first line, left and right cell
        self.shown: list[Continuation] = []
        self.chosen = 0

    def show(self, shown: list[Continuation], chosen: int) -> None:
        """Draw these."""
        self.shown, self.chosen = shown, chosen
        self._lines = []
        self.refresh(layout=True)

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()
        self._lines = []

    def on_resize(self) -> None:
        """Other width."""
        self._lines = []

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        """As high as a continuation can become, so that nothing jumps while they are written."""
        column = self._column(width)
        most = 2 + math.ceil(LENGTH * 6 / column)
        return most if column < width else max(1, len(self.shown)) * min(most, 4)

    def _column(self, width: int) -> int:
        count = max(1, len(self.shown))
        column = (width - GAP * (count - 1)) // count
        return column if column >= NARROWEST else max(1, width)

    def render_line(self, y: int) -> Strip:
        """One line."""
        if not self._lines:
            self._lay_out()
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width, self.rich_style)

    def _lay_out(self) -> None:
        width, base = self.size.width, self.rich_style
        column = self._column(width)
        side_by_side = column < width or len(self.shown) == 1
        height = self.size.height if side_by_side else max(3, self.size.height // max(1, len(self.shown)))
        blocks = [self._block(number, one, column, height) for number, one in enumerate(self.shown)]
        if not side_by_side:
            self._lines = [Strip(line).crop_extend(0, width, base) for block in blocks for line in block]
            return
        gap = [Segment(" " * GAP, base)]
        for row in range(height):
            segments: list[Segment] = []
            for number, block in enumerate(blocks):
                segments += (gap if number else []) + block[row]
            self._lines.append(Strip(segments).crop_extend(0, width, base))

    def _block(self, number: int, one: Continuation, width: int, height: int) -> list[list[Segment]]:
        here = number == self.chosen
        base = self.rich_style
        muted = base + self._paint.style(MUTED)
        head = Style(reverse=True, bold=True) if here else Style(bold=True)
        lines = [[Segment(bars.fit(f"{'▸' if here else ' '}{one.heading(width - 1)}", width), base + head)]]
        text = wrap([Span(inert.line(one.text))], width)[: height - 1] if one.text else [Line()]
        rows = [line.text for line in text]
        if one.state and len(rows) < height - 1:
            rows.append(one.state)
        for row, words in enumerate(rows):
            said = row == len(text)
            lines.append([Segment(bars.fit(words, width), muted if said or not here else base)])
        blank = [Segment(" " * width, base)]
        return (lines + [blank] * height)[:height]

    def at(self, x: int, y: int) -> int | None:
        """Which continuation stands there."""
        count, column = len(self.shown), self._column(self.size.width)
        if column < self.size.width or count == 1:
            place = x // (column + GAP)
        else:
            place = y // max(3, self.size.height // max(1, count))
        return place if 0 <= place < count else None


class ContinuationsScreen(Dialog[bool]):
    """Draws continuations; answers True when one was adopted."""

    DEFAULT_CSS = """
    ContinuationsScreen {
        & > .box { width: 96%; max-width: 180; }
        & Static { color: $text-muted; height: auto; margin: 0 0 1 0; }
    }
    """
    SCOPE = "continuations"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("continuations")

    def __init__(self, session: ChatSession, branch: Branch) -> None:
        super().__init__()
        self._session = session
        self._branch = branch
        own = branch.reply.sampling  # its seed first: what the reply went on with is one of them
        chosen = session.values.seed_is_chosen
        self._first_seed = session.values.sampling.seed if chosen or own is None else own.seed
        self._count = COUNT
        self._chosen = 1  # the first of those that are drawn by chance
        self._drawn: list[Continuation] = []
        self._replies: list[Reply] = []
        self._left = False

    @property
    def busy(self) -> bool:
        """Whether some of them are still being written."""
        return bool(self._replies) or any(one.state == "waiting" for one in self._drawn)

    def compose(self) -> ComposeResult:
        """What they follow, and they."""
        with Vertical(classes="box") as box:
            box.border_title = _("Several continuations")
            box.border_subtitle = _("←→ choose · enter go on · + - number · r others · esc back")
            yield Static(markup=False)
            yield Columns()

    def on_mount(self) -> None:
        """Begin to draw."""
        self._say_where()
        self._draw()

    def _say_where(self) -> None:
        sampling = self._session.values.sampling
        reply, at = self._branch.reply, self._branch.at
        before = inert.line(reply.text[: reply.starts[at]]) if at < len(reply.starts) else ""
        note = _("from the beginning of the reply")
        if before:
            note = _("after “{text}”").format(text=bars.fit_end(before, 60))
        note += f" · T {sampling.temperature:.2f}"
        if sampling.temperature == 0:
            note += "\n" + _(ONLY_ONE)
        self.query_one(Static).update(note)

    def _draw(self) -> None:
        if not self._drawn or not self._drawn[0].greedy:
            self._drawn.insert(0, Continuation(self._first_seed, greedy=True))
        count = self._count if self._session.values.sampling.temperature > 0 else 0
        while len(self._drawn) < 1 + count:
            self._drawn.append(Continuation(self._first_seed + len(self._drawn) - 1))
        del self._drawn[1 + count :]
        self._chosen = min(self._chosen, len(self._drawn) - 1)
        self._show()
        self.app.run_worker(self._work(), exit_on_error=True)

    def _show(self) -> None:
        if not self._left:
            self.query_one(Columns).show(self._drawn, self._chosen)

    async def _work(self) -> None:
        """Write all that wait; they have the same beginning, so the engine writes them together."""
        try:
            engine = await self._session.settle(self._branch)
            waiting = [one for one in self._drawn if one.state == "waiting" and not self._left]
            for one in waiting:
                one.state = _("writing …")
            replies = [self._begin(engine, one) for one in waiting]
            await asyncio.gather(*map(self._write, waiting, replies))
        except (UserError, ValueError) as error:
            gone = _("This reply is no longer in the chat.")
            said = error.sentence if isinstance(error, UserError) else gone
            if not self._left:
                self.query_one(Static).update(said)

    def _begin(self, engine: LocalEngine, one: Continuation) -> Reply:
        sampling = self._session.values.sampling.replace(seed=one.seed)
        if one.greedy:
            sampling = sampling.replace(temperature=0.0)
        reply = self._session.forks.draw(engine, self._branch, self._session.turns, sampling, LENGTH)
        self._replies.append(reply)
        return reply

    async def _write(self, one: Continuation, reply: Reply) -> None:
        try:
            await self._take_in(one, reply)
        except UserError:
            one.state = ""  # it comes to nothing more; a sentence says why
            raise
        finally:
            self._replies.remove(reply)
            self._show()

    async def _take_in(self, one: Continuation, reply: Reply) -> None:
        begun = True
        async for event in reply:
            if one not in self._drawn and begun:
                begun = False
                reply.stop()
            match event:
                case Started():
                    pass
                case TokenEvent():
                    one.tokens.append(event)
                    one.text += event.text
                case Finished():
                    one.text += event.text
                    one.state = "■ " + _("ends here") if event.reason in ("end", "stop") else ""
            self._show()

    # --- keys -------------------------------------------------------------------------------------------

    def action_move(self, step: int) -> None:
        """To the one before or after."""
        self._chosen = min(max(0, self._chosen + step), len(self._drawn) - 1)
        self._show()

    def action_more(self) -> None:
        """One more."""
        if self._count < MOST and self._session.values.sampling.temperature > 0:
            self._count += 1
            self._draw()

    def action_fewer(self) -> None:
        """One fewer."""
        if self._count > 1:
            self._count -= 1
            self._draw()

    def action_again(self) -> None:
        """Others, with the seeds after these."""
        if self._session.values.sampling.temperature > 0:
            self._first_seed += self._count
            self._anew()

    def action_warmer(self, steps: int) -> None:
        """Turn the temperature, and draw all of them again; the greedy one stays what it is."""
        value = TEMPERATURE.turned(self._session.values.sampling.temperature, steps)
        self._session.change(temperature=value)
        self._say_where()
        self._anew()

    def _anew(self) -> None:
        for reply in self._replies:
            reply.stop()
        self._drawn = self._drawn[:1]  # the greedy one
        self._draw()

    def action_adopt(self) -> None:
        """Go on with the chosen one."""
        one = self._drawn[self._chosen]
        if one.tokens:
            self._stop()
            self._session.adopt(self._branch, tuple(one.tokens), one.seed)
            self.dismiss(True)

    def action_back(self) -> None:
        """To the chat."""
        self._stop()
        self.dismiss(False)

    def _stop(self) -> None:
        self._left = True
        for reply in self._replies:
            reply.stop()

    def on_click(self, event: events.Click) -> None:
        """Choose one; a click on the chosen one adopts it."""
        columns = self.query_one(Columns)
        if event.widget is not columns:
            return
        place = columns.at(event.x, event.y)
        if place == self._chosen:
            self.action_adopt()
        elif place is not None:
            self.action_move(place - self._chosen)
