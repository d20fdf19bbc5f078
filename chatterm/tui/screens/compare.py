"""The model as it is and as it is edited, writing on from the same place with the same random choices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.strip import Strip
from textual.widget import Widget

from chatterm import inert
from chatterm.engine.inspection import Compare, Compared, ComparedToken
from chatterm.engine.protocol import Engine, EngineDiedError, EngineError
from chatterm.engine.records import Distribution
from chatterm.tui import bars
from chatterm.tui.screens.dialog import Dialog
from chatterm.tui.text.lines import MUTED, Span
from chatterm.tui.text.wrap import wrap
from chatterm.tui.widgets.paint import Paint

MAX_TOKENS = 48
TABLE = 6
KL_BAR = 8
KL_CELLS = KL_BAR + 7
GAP = 2
END = "∅ the end"

Row = list[Segment]


class CompareScreen(Dialog[None]):
    """Asks, waits and shows; escape leaves at any time."""

    DEFAULT_CSS = """
    CompareScreen {
        & > .box { max-width: 140; height: 90%; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "back", "Back")]

    def __init__(self, engine: Engine, question: Compare) -> None:
        super().__init__()
        self._engine = engine
        self._question = question

    def compose(self) -> ComposeResult:
        """The two sides."""
        with Vertical(classes="box") as box:
            box.border_title = "Clean and edited"
            box.border_subtitle = "↑↓ scroll · esc back"
            yield Sides()

    def on_mount(self) -> None:
        """Ask."""
        self.query_one(Sides).focus()
        self.run_worker(self._ask(), exit_on_error=True)

    async def _ask(self) -> None:
        sides = self.query_one(Sides)
        try:
            sides.show(await self._engine.inspect(self._question))
        except (EngineError, EngineDiedError) as error:
            sides.say(error.sentence)


class Sides(Widget, can_focus=True):
    """Left the model as it is, right the edited one; below, how far apart they are before each token."""

    DEFAULT_CSS = """
    Sides { height: 1fr; background: $surface; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._paint = Paint(self)
        self._compared: Compared | None = None
        self._words = "Both write on from here, with the same random choices …"
        self._top = 0
        self._rows: list[Row] = []

    def show(self, compared: Compared) -> None:
        """Show the answer."""
        self._compared = compared
        self._rows = []
        self.refresh()

    def say(self, sentence: str) -> None:
        """Say why there is none."""
        self._words = sentence
        self._rows = []
        self.refresh()

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()
        self._rows = []

    def on_resize(self) -> None:
        """Another width."""
        self._rows = []

    def render_line(self, y: int) -> Strip:
        """One line."""
        base = self.rich_style
        if not self._rows:
            self._rows = self._draw()
        place = y + self._top
        row = self._rows[place] if place < len(self._rows) else []
        return Strip(row).crop_extend(0, self.size.width, base)

    # --- drawing ----------------------------------------------------------------------------------------

    @property
    def _half(self) -> int:
        return (self.size.width - GAP) // 2

    @property
    def _muted(self) -> Style:
        return self.rich_style + self._paint.style(MUTED)

    def _draw(self) -> list[Row]:
        compared = self._compared
        if compared is None:
            return self._sentences(self._words)
        bold = self.rich_style + Style(bold=True)
        rows: list[Row] = self._sentences("edited: " + ("; ".join(compared.described) or "nothing"))
        rows += [[], self._beside([Segment("clean", bold)], [Segment("edited", bold)])]
        rows += self._tables(compared.clean, compared.edited)
        rows += [[Segment(f"KL here {compared.kl:.4f} nats (clean against edited)", self._muted)], []]
        if compared.clean_reply or compared.edited_reply:
            rows += self._texts(compared)
            rows += [[], *self._along(compared)]
        return rows

    def _sentences(self, text: str) -> list[Row]:
        lines = wrap([Span(inert.line(text))], max(8, self.size.width))
        return [[Segment(line.text, self._muted)] for line in lines]

    def _beside(self, left: Row, right: Row) -> Row:
        base = self.rich_style
        fitted = Strip(left).crop_extend(0, self._half, base)
        return [*fitted, Segment(" " * GAP, base), *right]

    def _tables(self, clean: Distribution, edited: Distribution) -> list[Row]:
        tables = [self._table(clean), self._table(edited)]
        tables = [table + [[]] * (TABLE - len(table)) for table in tables]
        return [self._beside(one, other) for one, other in zip(*tables, strict=True)]

    def _table(self, distribution: Distribution) -> list[Row]:
        token = min(20, max(8, self._half // 3))
        bar = max(2, self._half - token - 7)
        return [
            [
                Segment(bars.fit(inert.token(candidate.text), token), self.rich_style),
                Segment(" " + bars.bar(candidate.p, bar), self._colour(candidate.logprob)),
                Segment(bars.percent(candidate.p), self.rich_style),
            ]
            for candidate in distribution.candidates[:TABLE]
        ]

    def _colour(self, logprob: float) -> Style:
        return self.rich_style + self._paint.surprise(-logprob)

    def _texts(self, compared: Compared) -> list[Row]:
        sides = []
        for reply in (compared.clean_reply, compared.edited_reply):
            text = inert.block("".join(token.text for token in reply)).replace("\t", "    ")
            sides.append([line.text for line in wrap([Span(text)], max(8, self._half))])
        height = max(map(len, sides))
        rows = []
        for number in range(height):
            left, right = (side[number] if number < len(side) else "" for side in sides)
            rows.append(self._beside([Segment(left, self.rich_style)], [Segment(right, self.rich_style)]))
        return rows

    def _along(self, compared: Compared) -> list[Row]:
        """A line for each token: clean with the KL before it, and what the edited model wrote."""
        most = max(compared.kl_along, default=0.0) or 1.0
        width = max(6, (self.size.width - KL_CELLS - 3 * GAP) // 2)
        heading = f"{bars.fit('clean wrote', width)}  {'KL before it, nats':<{KL_CELLS}}  edited wrote"
        rows: list[Row] = [[Segment(heading, self._muted)]]
        clean, edited = compared.clean_reply, compared.edited_reply
        parted = False
        for number in range(max(len(clean), len(edited))):
            parted = parted or _id(clean, number) != _id(edited, number)
            row: Row = [*self._token(clean, number, width, parted=False), Segment("  ", self.rich_style)]
            if number < len(compared.kl_along):
                kl = compared.kl_along[number]
                row.append(Segment(bars.bar(kl / most, KL_BAR), self.rich_style))
                row.append(Segment(f"{kl:7.3f}" if math.isfinite(kl) else f"{'∞':>7}", self.rich_style))
            else:
                row.append(Segment(" " * KL_CELLS, self.rich_style))
            row += [Segment("  ", self.rich_style), *self._token(edited, number, width, parted=parted)]
            rows.append(row)
        return rows

    def _token(self, reply: Sequence[ComparedToken], number: int, width: int, *, parted: bool) -> Row:
        if number >= len(reply):
            return [Segment(" " * width, self.rich_style)]
        token = reply[number]
        said = f" {bars.percent(math.exp(token.logprob))}"
        text = inert.token(token.text) if token.text else END
        word = bars.fit(text, width - cell_len(said))
        style = self.rich_style + Style(bold=parted)
        return [Segment(word, style), Segment(said, self._colour(token.logprob))]

    # --- keys and mouse ---------------------------------------------------------------------------------

    def _scroll(self, lines: int) -> None:
        self._top = max(0, min(self._top + lines, len(self._rows) - self.size.height))
        self.refresh()

    def on_key(self, event: events.Key) -> None:
        """Arrows and pages scroll."""
        page = max(1, self.size.height - 2)
        lines = {"up": -1, "down": 1, "pageup": -page, "pagedown": page}.get(event.key)
        if lines is not None:
            event.stop()
            self._scroll(lines)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll."""
        event.stop()
        self._scroll(-3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll."""
        event.stop()
        self._scroll(3)


def _id(reply: Sequence[ComparedToken], number: int) -> int | None:
    return reply[number].id if number < len(reply) else None
