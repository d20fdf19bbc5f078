"""Next-token probabilities against rank, on logarithmic axes."""

from __future__ import annotations

import math
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.strip import Strip
from textual.widget import Widget

from chatterm import inert
from chatterm.chat.position import Moment
from chatterm.chat.session import ChatSession
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.records.inspection import RankCurve, RankCurveRead
from chatterm.tui import keys, messages
from chatterm.tui.dialogs.dialog import Dialog
from chatterm.tui.text import bars
from chatterm.tui.text.braille import Canvas
from chatterm.tui.text.lines import MUTED
from chatterm.tui.widgets.knobs import BY_FIELD
from chatterm.tui.widgets.paint import Paint

AXIS = 8
"""Cells for the numbers beside the vertical axis."""

FLOOR = 1e-9
"""Probabilities below this are not drawn."""


class RankPlot(Widget):
    """A line: the model's probabilities by rank; bright dots: what the sampler made of them."""

    DEFAULT_CSS = """
    RankPlot { height: 1fr; min-height: 8; background: $surface; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._paint = Paint(self)
        self._curve: RankCurveRead | None = None
        self._why = _("Asking the model …")
        self._lines: list[Strip] = []

    def show(self, curve: RankCurveRead | None, why: str = "") -> None:
        """Draw a curve, or say why there is none."""
        self._curve, self._why = curve, why
        self._lines = []
        self.refresh()

    def on_resize(self) -> None:
        """Other size."""
        self._lines = []

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()
        self._lines = []

    def render_line(self, y: int) -> Strip:
        """One line."""
        if not self._lines:
            base = self.rich_style
            drawn = self._draw() if self._curve is not None and self._curve.ranks else self._draw_why()
            self._lines = [Strip(line).crop_extend(0, self.size.width, base) for line in drawn]
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width, self.rich_style)

    def _draw_why(self) -> list[list[Segment]]:
        return [[Segment(self._why, self.rich_style + self._paint.style(MUTED))]]

    def _draw(self) -> list[list[Segment]]:
        curve = self._curve
        assert curve is not None
        base = self.rich_style
        muted = base + self._paint.style(MUTED)
        width, height = max(8, self.size.width - AXIS), max(3, self.size.height - 2)
        lowest = min((p for p in curve.p if p > FLOOR), default=FLOOR)
        bottom = math.floor(math.log10(lowest))
        decades = max(1, -bottom)
        span = max(1.0, math.log10(max(curve.ranks)))
        model, sampled = Canvas(width, height), Canvas(width, height)
        for canvas, values in ((model, curve.p), (sampled, curve.sampled)):
            places = [
                (math.log10(rank) / span, 1 + math.log10(p) / decades)
                for rank, p in zip(curve.ranks, values, strict=True)
                if p >= 10.0**bottom
            ]
            if canvas is model:
                canvas.curve(places)
            else:
                canvas.dots(places)
        lines = []
        for row in range(height):
            decade = (height - 1 - row) * decades / max(1, height - 1)
            above = (height - row) * decades / max(1, height - 1)
            marked = math.ceil(decade - 1e-9) < above and math.ceil(decade - 1e-9) <= decades
            label = _power(bottom + math.ceil(decade - 1e-9)) if marked else ""
            lines.append([Segment(label.rjust(AXIS - 2) + (" ┤" if marked else " │"), muted)])
            lines[-1] += self._cells(model.row(row), sampled.row(row))
        lines.append([Segment(" " * (AXIS - 1) + "└" + "─" * width, muted)])
        lines.append([Segment(self._ranks(span, width), muted)])
        return lines

    def _cells(self, model: str, sampled: str) -> list[Segment]:
        base = self.rich_style
        own, drawn = base + self._paint.style(MUTED), base + Style(bold=True)
        segments = []
        for mine, theirs in zip(model, sampled, strict=True):
            both = chr(ord(mine) | ord(theirs))
            empty = theirs == Canvas.EMPTY
            segments.append(Segment(both if both != Canvas.EMPTY else " ", own if empty else drawn))
        return segments

    @staticmethod
    def _ranks(span: float, width: int) -> str:
        text = [" "] * (AXIS + width)
        for power in range(math.floor(span) + 1):
            label = _("rank {rank}").format(rank=1) if power == 0 else bars.count(10**power)
            cells = [cell for sign in label for cell in (sign, "")[: cell_len(sign)]]
            start = AXIS + round(power / span * (width - 1))
            start = min(start, AXIS + width - len(cells))
            if all(cell == " " for cell in text[start - 1 : start + len(cells)]):
                text[start : start + len(cells)] = cells
        return "".join(text)


class RankPlotScreen(Dialog[None]):
    """The curve at the selected token; it follows the sampling values, which can be turned meanwhile."""

    DEFAULT_CSS = """
    RankPlotScreen {
        & > .box { height: 90%; max-height: 34; }
        & #said { height: 3; }
    }
    """
    SCOPE = "rank_plot"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("rank_plot")

    def __init__(self, session: ChatSession) -> None:
        super().__init__()
        self._session = session
        self._asked = 0

    def compose(self) -> ComposeResult:
        """The plot and what it says."""
        with Vertical(classes="box") as box:
            box.border_title = _("Probability against rank")
            box.border_subtitle = _("alt+↑↓ temperature · esc back")
            yield RankPlot()
            yield Words(id="said")

    def on_mount(self) -> None:
        """Ask."""
        self.ask()

    def ask(self) -> None:
        """Draw the curve under the values in force."""
        self.run_worker(self._ask(), exclusive=True, exit_on_error=True)

    async def _ask(self) -> None:
        session = self._session
        engine, moment = session.engines.engine, await session.moment()
        plot, words = self.query_one(RankPlot), self.query_one(Words)
        if moment is None or engine is None:
            plot.show(None, session.no_moment)
            return
        try:
            curve = await engine.inspect(RankCurve(moment.prompt, session.values.sampling))
        except UserError as error:
            plot.show(None, error.sentence)
            return
        plot.show(curve)
        words.show(sentences(curve, moment, session.values.sampling.temperature))

    @on(messages.Nudged)
    def _nudged(self, event: messages.Nudged) -> None:
        knob = BY_FIELD[event.field]
        value = knob.turned(knob.value(self._session.values.sampling), event.steps)
        self._session.change(**{event.field: value})
        self.ask()

    def action_turn(self, steps: int) -> None:
        """Temperature up or down."""
        self.post_message(messages.Nudged("temperature", steps))


class Words(Widget):
    """A few sentences under the plot."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._paint = Paint(self)
        self._said: list[str] = []

    def show(self, sentences: list[str]) -> None:
        """Say these."""
        self._said = sentences
        self.refresh()

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()

    def render_line(self, y: int) -> Strip:
        """One sentence a line."""
        text = self._said[y] if y < len(self._said) else ""
        return Strip([Segment(bars.fit(text, self.size.width), self.rich_style)])


def sentences(curve: RankCurveRead, moment: Moment, temperature: float) -> list[str]:
    """What the curve says."""
    kept = sum(value > 0 for value in curve.sampled)
    came = _("“{token}” came here, at position {position}")
    said = [came.format(token=inert.token(moment.text), position=moment.position)]
    if curve.slope is None:
        said.append(_("too few tokens have a probability for a slope"))
    else:
        slope = _("slope {slope} to rank 1000").format(slope=f"{curve.slope:.2f}")
        said.append(f"{slope} · {_like(curve.slope)}")
    sampled = _("grey: the model · bright: as sampled at T {value}, {kept} of {all} points left")
    said.append(sampled.format(value=f"{temperature:.2f}", kept=kept, all=len(curve.ranks)))
    return said


def _like(slope: float) -> str:
    """A slope in words: the probability of rank n as a power of n."""
    if abs(slope + 1) < 0.15:
        return _("close to 1/n, Zipf's law")
    words = (
        _("like {power}, steeper than Zipf's 1/n")
        if slope < -1
        else _("like {power}, flatter than Zipf's 1/n")
    )
    return words.format(power=f"1/n^{-slope:.1f}")


def _power(exponent: int) -> str:
    """10 to a power as a probability in per cent."""
    return {0: "100%", -1: "10%", -2: "1%", -3: "0.1%"}.get(exponent, f"1e{exponent}")
