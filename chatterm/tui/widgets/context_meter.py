"""What fills the context window, as a stacked bar with figures."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from chatterm.chat.context_usage import KINDS, Filling, Kind
from chatterm.language import _, mark
from chatterm.tui.text import bars
from chatterm.tui.text.lines import FAINT, MUTED
from chatterm.tui.widgets.paint import Paint

NAMES: dict[Kind, str] = {
    "template": mark("template"),
    "system": mark("system prompt"),
    "user": mark("you"),
    "assistant": mark("replies"),
    "attachments": mark("attachments"),
    "draft": mark("this message"),
}
SIGNS: dict[Kind, str] = {
    "template": "╍",
    "system": "▚",
    "user": "█",
    "assistant": "▓",
    "attachments": "▒",
    "draft": "■",
}
"""Told apart by their shapes, so that no colour is needed."""
FREE = "·"


def cells(filling: Filling, width: int) -> dict[Kind, int]:
    """Cells of a bar of `width` for each kind: in proportion, at least one for what there is."""
    counts = {kind: filling.of(kind) for kind in KINDS if filling.of(kind)}
    scale = max(filling.context, filling.used, 1)
    shares = {kind: max(1, round(width * count / scale)) for kind, count in counts.items()}
    while sum(shares.values()) > width and max(shares.values()) > 1:
        shares[max(shares, key=lambda kind: shares[kind])] -= 1
    return shares


class ContextMeter(Widget):
    """Two parts: the bar, and below it a figure for each kind; as many lines as the width needs."""

    DEFAULT_CSS = """
    ContextMeter { height: auto; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._filling: Filling | None = None
        self._paint = Paint(self)

    def show(self, filling: Filling) -> None:
        """Show this."""
        self._filling = filling
        self.refresh(layout=True)

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        """The bar, and the lines of the figures."""
        return 1 + len(self._figures(width))

    def _figures(self, width: int) -> list[str]:
        filling = self._filling
        if filling is None:
            return [_("counting …")]
        parts = [
            f"{SIGNS[kind]} {_(NAMES[kind])} {bars.count(filling.of(kind))}"
            for kind in KINDS
            if filling.of(kind)
        ]
        if filling.free >= 0:
            parts.append(f"{FREE} " + _("free") + f" {bars.count(filling.free)}")
        else:
            parts.append(_("{count} too many").format(count=bars.count(-filling.free)))
        total = f"{bars.count(filling.used)} / {bars.count(filling.context)}"
        lines = [total]
        for part in parts:
            if cell_len(lines[-1]) + cell_len(part) + 3 > width:
                lines.append(part)
            else:
                lines[-1] += f"   {part}"
        return lines

    def render_line(self, y: int) -> Strip:
        """The bar or a line of figures."""
        width, base = self.size.width, self.rich_style
        if y or self._filling is None:
            figures = self._figures(width)
            row = y - 1 if self._filling is not None else y
            text = figures[row] if 0 <= row < len(figures) else ""
            return Strip([Segment(text, base + self._paint.style(MUTED))]).crop_extend(0, width, base)
        shares = cells(self._filling, width)
        segments = [Segment(SIGNS[kind] * count, base) for kind, count in shares.items()]
        rest = max(0, width - sum(shares.values()))
        segments.append(Segment(FREE * rest, base + self._paint.style(FAINT)))
        return Strip(segments).crop_extend(0, width, base)
