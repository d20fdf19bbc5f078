"""What the colours of the tokens mean, in one line."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from chatterm.language import _
from chatterm.tui.text.lines import MUTED
from chatterm.tui.text.token_measures import LEGENDS, Measure
from chatterm.tui.widgets.paint import Paint


class Legend(Widget):
    """Five steps of the scale, drawn like the tokens: marked ones are underlined, the last bold."""

    DEFAULT_CSS = """
    Legend { height: 1; display: none; background: $background; padding: 0 2; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._paint = Paint(self)
        self._measure: Measure | None = None

    def show(self, measure: Measure | None) -> None:
        """Explain a measure, or disappear."""
        if measure != self._measure:
            self._measure = measure
            self.display = measure is not None
            self.refresh()

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()

    def render_line(self, y: int) -> Strip:
        """The only line."""
        base = self.rich_style
        muted = base + self._paint.style(MUTED)
        if self._measure is None:
            return Strip.blank(self.size.width, base)
        name, bounds = LEGENDS[self._measure]
        name = _(name)
        space = " " if cell_len(name) + sum(len(bound) + 3 for bound in bounds) < self.size.width else ""
        segments = [Segment(f"{name} {space}", muted)]
        for step, bound in enumerate(bounds):
            segments += [
                Segment(f"{space}{bound}{space}", base + self._paint.step(step)),
                Segment(" ", base),
            ]
        segments.append(Segment(" alt+s", base + Style(bold=True)))
        segments.append(Segment(" " + _("another"), muted))
        return Strip(segments).crop_extend(0, self.size.width, base)
