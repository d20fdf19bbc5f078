"""All sampling values in a table, to be turned by keys, digits and mouse."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.strip import Strip
from textual.widget import Widget

from chatterm.chat.sampling_values import SamplingValues
from chatterm.language import _, mark
from chatterm.tui import keys
from chatterm.tui.messages import Nudged, Reset, ValueChosen
from chatterm.tui.text.checkpoint_rules import in_words
from chatterm.tui.text.lines import FAINT, MUTED
from chatterm.tui.widgets.knobs import BY_FIELD, HIGHEST_SEED, KNOBS, MORE_KNOBS, RULES, Knob
from chatterm.tui.widgets.paint import Paint

NAME = 15
VALUE = 9
TRACK = 21
SEED_SAYS = mark("the same seed and values make the same choices; del: a new one for each reply")
NO_MODEL = mark("chatterm defaults, until a model is loaded")
TYPED = "0123456789."
FIELDS = (*(knob.field for knob in KNOBS), "seed", *(knob.field for knob in MORE_KNOBS))
BELOW = 3
"""Lines under the rows: an empty one, what the chosen value does, where the starting values come from."""
HEIGHT = 13 + BELOW
"""Fits a terminal of 24 lines; the rows scroll."""


class KnobTable(Widget, can_focus=True):
    """One row for each value: its name, the value, where it stands, and what the model starts with."""

    DEFAULT_CSS = f"""
    KnobTable {{ height: {HEIGHT}; background: $surface; }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        binding for binding in keys.bindings("parameters") if ".back" not in str(binding)
    ]

    def __init__(self, values: SamplingValues, field: str = "temperature") -> None:
        super().__init__()
        self._paint = Paint(self)
        self._values = values
        self._row = FIELDS.index(field) if field in FIELDS else 0
        self._top = 0
        self._typed = ""
        self._refused = ""

    @property
    def _knob(self) -> Knob | None:
        return BY_FIELD.get(FIELDS[self._row])

    @property
    def _rows(self) -> int:
        """Rows in sight."""
        return max(1, self.size.height - BELOW)

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()

    # --- drawing ----------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """A row; under the rows what the chosen value does, and where the starting values come from."""
        base = self.rich_style
        muted = base + self._paint.style(MUTED)
        if y == 0:
            self._top = min(max(self._top, self._row - self._rows + 1), self._row)
        if y < self._rows:
            segments = self._draw(self._top + y) if self._top + y < len(FIELDS) else []
        elif y == self._rows and len(FIELDS) > self._top + self._rows:
            segments = [
                Segment("   ↓ " + _("{count} more").format(count=len(FIELDS) - self._top - self._rows), muted)
            ]
        elif y == self._rows + 1:
            says = self._refused or self._says()
            segments = [Segment(f" {says}", base if self._refused else muted)]
        elif y == self._rows + 2:
            source = _(self._values.source or NO_MODEL)
            segments = [Segment(" " + _("starting values: {source}").format(source=source), muted)]
        else:
            segments = []
        return Strip(segments).crop_extend(0, self.size.width, base)

    def _says(self) -> str:
        """What the chosen value does."""
        if self._knob is None:
            return _(SEED_SAYS)
        rules = in_words(self._values.rules) if self._knob.field == RULES else ""
        return _("it says: {rules}; 0: no matter").format(rules=rules) if rules else _(self._knob.says)

    def _draw(self, row: int) -> list[Segment]:
        base = self.rich_style
        here = row == self._row
        if here:
            base += Style(bgcolor=self._paint.variable("block-cursor-background"), bold=True)
        muted = base + self._paint.style(MUTED)
        faint = base + self._paint.style(FAINT)
        values = self._values
        knob = BY_FIELD.get(FIELDS[row])
        if knob is None:
            title, start = _("seed"), _("new for each reply")
            value = str(values.sampling.seed) if values.seed_is_chosen else _("auto")
            track: list[Segment] = [Segment(" " * (TRACK + 2), base)]
            changed = values.seed_is_chosen
        else:
            title, start = _(knob.title), _("starts {value}").format(value=knob.show(values.start))
            value = knob.show(values.sampling)
            changed = knob.value(values.sampling) != knob.value(values.start)
            track = self._track(knob, base, faint)
        if here and self._typed:
            value = f"{self._typed}▏"
        segments = [
            Segment(" ▸ " if here else "   ", base),
            Segment(set_cell_size(title, NAME), base),
            Segment(set_cell_size(f"{value}{'*' if changed else ''}", VALUE), base + Style(bold=True)),
            *track,
            Segment(f"  {start}", muted),
        ]
        strip = Strip(segments).crop_extend(0, self.size.width, base)
        return list(strip)

    def _track(self, knob: Knob, base: Style, faint: Style) -> list[Segment]:
        high = _shown_high(knob)
        share = (knob.value(self._values.sampling) - knob.low) / (high - knob.low)
        place = round(min(1.0, max(0.0, share)) * (TRACK - 1))
        return [
            Segment("▕", faint),
            Segment("━" * place, base),
            Segment("●", base),
            Segment("─" * (TRACK - 1 - place), faint),
            Segment("▏", faint),
        ]

    # --- keys and mouse ---------------------------------------------------------------------------------

    def action_move(self, step: int) -> None:
        """Another row."""
        self._accept()
        self._row = (self._row + step) % len(FIELDS)
        self.refresh()

    def action_turn(self, steps: int) -> None:
        """Less or more."""
        self._typed = self._refused = ""
        if self._knob is None:
            seed = max(0, min(HIGHEST_SEED, self._values.sampling.seed + steps))
            self.post_message(ValueChosen("seed", seed))
        else:
            self.post_message(Nudged(self._knob.field, steps))

    def action_neutral(self) -> None:
        """Switch it off."""
        self._typed = self._refused = ""
        if self._knob is None:
            self.post_message(Reset(seed_only=True))
        elif self._knob.neutral is not None:
            self.post_message(ValueChosen(self._knob.field, self._knob.neutral))
        else:
            self.post_message(ValueChosen(self._knob.field, self._knob.value(self._values.start)))

    def action_reset(self) -> None:
        """All back to what the model starts with."""
        self._typed = self._refused = ""
        self.post_message(Reset())

    def on_key(self, event: events.Key) -> None:
        """Digits write a value, Enter takes it."""
        if event.character is not None and event.character in TYPED and len(self._typed) < VALUE - 1:
            self._typed += event.character
            self._refused = ""
        elif event.key == "backspace" and self._typed:
            self._typed = self._typed[:-1]
        elif event.key in ("enter", "tab"):
            self._accept()
        else:
            return
        event.stop()
        self.refresh()

    def _accept(self) -> None:
        """Take what was typed, if it can be the value."""
        typed, self._typed, self._refused = self._typed, "", ""
        if not typed:
            return
        knob = self._knob
        try:
            value = float(typed) if knob is not None and knob.decimals else int(typed)
        except ValueError:
            self._refused = _("{typed} is no number that fits here.").format(typed=typed)
            return
        low, high = (knob.low, knob.high) if knob is not None else (0, HIGHEST_SEED)
        if not low <= value <= high:
            self._refused = _("{typed} is not between {low} and {high}.").format(
                typed=typed, low=f"{low:g}", high=f"{high:g}"
            )
            return
        self.post_message(ValueChosen(FIELDS[self._row], value))

    def refuse(self, why: str) -> None:
        """Say that a value cannot be taken."""
        self._refused = why
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Choose a row; on the track, a value."""
        row = self._top + event.y
        if event.y >= self._rows or row >= len(FIELDS):
            return
        self._accept()
        self._row = row
        knob = self._knob
        x = event.x - 3 - NAME - VALUE - 1
        if knob is not None and 0 <= x < TRACK:
            high = _shown_high(knob)
            value = knob.low + x * (high - knob.low) / (TRACK - 1)
            self.post_message(ValueChosen(knob.field, knob.clamp(round(value / knob.step) * knob.step)))
        self.refresh()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """More of the value under the pointer."""
        self._wheel(event, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Less of it."""
        self._wheel(event, -1)

    def _wheel(self, event: events.MouseEvent, steps: int) -> None:
        event.stop()
        row = self._top + event.y
        if event.y < self._rows and row < len(FIELDS):
            self._row = row
            self.action_turn(steps)


def _shown_high(knob: Knob) -> float:
    """Where a track ends; what is beyond can be typed."""
    return {"top_k": 200.0, "penalty_last_n": 512.0}.get(knob.field, knob.high)
