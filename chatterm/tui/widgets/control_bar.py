"""The head of the screen: the name, the temperature, and the other sampling values."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from chatterm.language import _
from chatterm.sampling import SamplingParameters
from chatterm.tui import keys
from chatterm.tui.messages import Nudged, ParametersWanted
from chatterm.tui.text.lines import MUTED
from chatterm.tui.widgets.knobs import BY_FIELD, KNOBS, TEMPERATURE
from chatterm.tui.widgets.paint import Paint
from chatterm.tui.widgets.temperature import TemperatureSlider


def key_hint() -> str:
    """The key that opens the values."""
    return next(keys.name(key.keys[0]) for key in keys.of("chat") if key.action == "parameters")


class ParameterStrip(Widget):
    """`top-p 0.95  top-k 40 …  F4`: a click opens the values, the wheel turns the one under it.

    A value that is not the one the model starts with is bold and bears a `*`.
    """

    DEFAULT_CSS = """
    ParameterStrip { width: 1fr; height: 1; background: $panel; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.tooltip = _("Sampling values: click to change, wheel to turn")
        self._paint = Paint(self)
        self._parts: list[tuple[str, str, str, bool]] = []  # field, name, value, whether it was changed
        self._places: list[tuple[int, str]] = []  # where each ends, in cells

    def show(self, sampling: SamplingParameters, start: SamplingParameters, seed_is_chosen: bool) -> None:
        """Show these values."""
        parts = [
            (
                knob.field,
                _(knob.title),
                knob.show(sampling),
                getattr(sampling, knob.field) != getattr(start, knob.field),
            )
            for knob in KNOBS
            if knob is not TEMPERATURE
        ]
        seed = str(sampling.seed) if seed_is_chosen else (_("auto") + f" {sampling.seed}").removesuffix(" 0")
        parts.append(("seed", _("seed"), seed, seed_is_chosen))
        if parts != self._parts:
            self._parts = parts
            self.refresh()

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()

    def render_line(self, y: int) -> Strip:
        """The only line; what does not fit is left out, its key never."""
        base = self.rich_style
        muted = base + self._paint.style(MUTED)
        segments: list[Segment] = []
        self._places = []
        used = 0
        key = key_hint()
        room = self.size.width - cell_len(key) - 2
        for field, name, value, changed in self._parts:
            value = f"{value}*" if changed else value
            if used + cell_len(f"{name} {value}") > room:
                value = value.partition(" ")[0]  # the seed that was drawn can be looked up behind the key
            width = cell_len(f"{name} {value}") + 2
            if used + width - 2 > room:
                break
            segments += [
                Segment(f"{name} ", muted),
                Segment(f"{value}  ", base + Style(bold=changed)),
            ]
            used += width
            self._places.append((used, field))
        hint = f"{key} " if segments else _("{key} values").format(key=key) + " "
        gap = max(0, self.size.width - used - cell_len(hint))
        segments += [Segment(" " * gap, base), Segment(hint, muted)]
        return Strip(segments).crop_extend(0, self.size.width, base)

    def _field(self, x: int) -> str | None:
        return next((field for end, field in self._places if x < end), None)

    def on_click(self, event: events.Click) -> None:
        """Open the values at the one under the pointer."""
        self.post_message(ParametersWanted(self._field(event.x) or TEMPERATURE.field))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """More of the value under the pointer."""
        self._nudge(event, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Less of it."""
        self._nudge(event, -1)

    def _nudge(self, event: events.MouseEvent, steps: int) -> None:
        field = self._field(event.x)
        if field in BY_FIELD:
            event.stop()
            self.post_message(Nudged(field, steps))


class ControlBar(Horizontal):
    """One line at the top."""

    DEFAULT_CSS = """
    ControlBar {
        height: 1;
        background: $panel;
        & > .brand { width: auto; padding: 0 1; text-style: bold; }
    }
    """

    def compose(self) -> ComposeResult:
        """The name, the slider, the values."""
        yield Static("chatterm", classes="brand")
        yield TemperatureSlider(id="temperature")
        yield ParameterStrip(id="values")

    def show(self, sampling: SamplingParameters, start: SamplingParameters, seed_is_chosen: bool) -> None:
        """Show these values."""
        self.query_one(TemperatureSlider).temperature = sampling.temperature
        self.query_one(ParameterStrip).show(sampling, start, seed_is_chosen)
