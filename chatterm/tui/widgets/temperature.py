"""The temperature control: always visible, for keys and mouse."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from chatterm.language import _
from chatterm.tui.messages import Nudged, ValueChosen
from chatterm.tui.widgets.knobs import TEMPERATURE
from chatterm.tui.widgets.paint import Paint

TRACK = 21
"""Cells of the track: one for each 0.1, both ends included."""

LEFT = 3  # cells before the track: `T ▕`


class TemperatureSlider(Widget):
    """`T ▕━━━━━━●────────────▏ 0.60`. Click or drag sets it, the wheel nudges it."""

    DEFAULT_CSS = """
    TemperatureSlider {
        width: 31;
        height: 1;
        background: $panel;
        &:hover { background: $boost; }
    }
    """
    temperature: reactive[float] = reactive(0.8, layout=False)

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.tooltip = _("Temperature: alt+↑ and alt+↓, or click, drag and turn the wheel here")
        self._paint = Paint(self)

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()

    def render_line(self, y: int) -> Strip:
        """The only line."""
        base = self.rich_style
        strong = base + Style(bold=True)
        faint = base + self._paint.style(1 << 6)
        knob = min(TRACK - 1, round(self.temperature * (TRACK - 1) / TEMPERATURE.high))
        return Strip(
            [
                Segment("T ", strong),
                Segment("▕", faint),
                Segment("━" * knob, base),
                Segment("●", strong),
                Segment("─" * (TRACK - 1 - knob), faint),
                Segment("▏", faint),
                Segment(f"{self.temperature:5.2f} ", strong),
            ]
        ).crop_extend(0, self.size.width, base)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin to drag."""
        event.stop()
        self.capture_mouse()
        self._put(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Drag."""
        if self.app.mouse_captured is self:
            self._put(event.x)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """End the drag."""
        self.release_mouse()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Warmer."""
        event.stop()
        self.post_message(Nudged(TEMPERATURE.field, 1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Colder."""
        event.stop()
        self.post_message(Nudged(TEMPERATURE.field, -1))

    def _put(self, x: int) -> None:
        value = TEMPERATURE.clamp((x - LEFT) * TEMPERATURE.high / (TRACK - 1))
        if value != self.temperature:
            self.post_message(ValueChosen(TEMPERATURE.field, value))
