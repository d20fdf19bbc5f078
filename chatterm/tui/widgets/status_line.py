"""The status line: what is running, how fast, and how full its context is."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from chatterm import inert
from chatterm.chat.engines import Step
from chatterm.language import _, mark
from chatterm.records.generation import ModelInfo
from chatterm.tui.text import bars
from chatterm.tui.text.lines import FAINT
from chatterm.tui.widgets.paint import Paint

CONTEXT_BAR = 8
WORKING_BAR = 12
SAVED = mark("saved")
STATES = (SAVED, mark("saving"), mark("not saved"))
"""Of the conversation, as `Keeper.state` names them."""


@dataclass(frozen=True)
class Status:
    """What the status line says."""

    info: ModelInfo | None = None
    step: Step | None = None
    reading: str = ""
    tokens_per_second: float | None = None
    first_token: float | None = None
    context_used: int = 0
    temperature: float = 0.8
    saved: str = ""
    trouble: str = ""
    edits: tuple[str, ...] = ()  # of the model, in words
    downloads: str = ""  # that are on their way


class StatusLine(Widget):
    """One line; where there is no room for all of it, the least needed goes first."""

    DEFAULT_CSS = """
    StatusLine { height: 1; background: $panel; padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._paint = Paint(self)
        self._status = Status()

    def show(self, status: Status) -> None:
        """Show this."""
        if status != self._status:
            self._status = status
            self.refresh()

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()

    def render_line(self, y: int) -> Strip:
        """The only line."""
        base = self.rich_style
        parts = self._parts()
        room = self.size.width
        while len(parts) > 1 and sum(cell_len(text) + 3 for _need, text in parts) - 3 > room:
            parts.remove(min(parts))
        parts.sort(key=lambda part: self._order.index(part[0]))
        segments: list[Segment] = []
        for _need, text in parts:
            if segments:
                segments.append(Segment(" · ", base + self._paint.style(FAINT)))
            segments.append(Segment(text, base))
        return Strip(segments).crop_extend(0, room, base)

    _order = (9, 7, 3, 0, 1, 6, 4, 8, 10, 5, 2)
    """The parts from left to right, by how much they are needed."""

    def _parts(self) -> list[tuple[int, str]]:
        """Pairs of how much a part is needed and what it reads."""
        status = self._status
        parts: list[tuple[int, str]] = []
        if status.edits:
            parts.append((9, edited(status.edits)))
        if status.info is not None:
            info = status.info
            parts += [
                (3, bars.fit(inert.line(info.name), min(cell_len(info.name), 32))),
                (0, f"{info.device}"),
                (
                    1,
                    inert.line(info.quantisation)
                    if info.exact
                    else _("{weights} as {computation}").format(
                        weights=inert.line(info.quantisation), computation=inert.line(info.computation)
                    ),
                ),
                (8, self._context_part(info)),
            ]
        elif status.step is None:
            parts.append((7, _("no model: see above") if status.trouble else _("no model")))
        if status.step is not None:
            parts.append((7, working(status.step)))
        elif status.reading:
            parts.append((7, status.reading))
        if status.tokens_per_second:
            parts.append((6, _("{rate} tok/s").format(rate=f"{status.tokens_per_second:.0f}")))
        if status.first_token is not None:
            parts.append((4, _("first token {seconds} s").format(seconds=f"{status.first_token:.1f}")))
        parts.append((5, f"T {status.temperature:.2f}"))
        if status.downloads:
            parts.append((10, inert.line(status.downloads)))
        if status.saved:
            parts.append((2 if status.saved == SAVED else 6, _(status.saved)))
        return parts

    def _context_part(self, info: ModelInfo) -> str:
        used = self._status.context_used
        bar = bars.bar(used / info.context if info.context else 0.0, CONTEXT_BAR)
        return _("context") + f" ▕{bar}▏{bars.count(used)} / {bars.count(info.context)}"


def edited(edits: tuple[str, ...]) -> str:
    """That the model is not as it was trained: `✎ edited: head 7.3 off`."""
    first = inert.line(edits[0])
    shown = bars.fit(first, min(cell_len(first), 24))
    if len(edits) == 1:
        return _("✎ edited: {edit}").format(edit=shown)
    return _("✎ edited: {edit} and {count} more").format(edit=shown, count=len(edits) - 1)


def working(step: Step) -> str:
    """What is being done and how far it is: `Loading the model ▕██▌  ▏ 45%`."""
    progress = step.progress
    if progress is None or not progress.total:
        return f"{_(step.what)} …"
    share = progress.done / progress.total
    return f"{_(step.what)} ▕{bars.bar(share, WORKING_BAR)}▏{share:4.0%}"
