"""The tabs of the panel on the right, in one line."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from chatterm.language import _, mark
from chatterm.tui.text.lines import FAINT, MUTED
from chatterm.tui.widgets.paint import Paint

LARGER, SMALLER = "▢", "▣"
BEFORE, AFTER = "‹", "›"
BUTTON = 2


class Tab(NamedTuple):
    """A view: its name in the program, on the screen, and where there is little room."""

    key: str
    name: str
    short: str


TABS = (
    Tab("next", mark("next"), mark("next")),
    Tab("lens", mark("lens"), mark("lens")),
    Tab("attention", mark("attention"), mark("attn")),
    Tab("contributions", mark("contributions"), mark("contr")),
    Tab("neurons", mark("neurons"), mark("neur")),
    Tab("embeddings", mark("embeddings"), mark("embed")),
    Tab("edits", mark("edits"), mark("edits")),
)


def spoken() -> tuple[Tab, ...]:
    """The tabs in the language spoken now."""
    return tuple(Tab(tab.key, _(tab.name), _(tab.short)) for tab in TABS)


class Place(NamedTuple):
    """A piece of the strip: where it ends, and the action of a click."""

    text: str
    end: int
    action: str
    here: bool


def arrange(tabs: tuple[Tab, ...], here: int, width: int) -> list[Place]:
    """The tabs, with full names where they fit; at worst those around the open one, and arrows."""
    for gap in (3, 2, 1):
        if sum(cell_len(tab.name) for tab in tabs) + gap * (len(tabs) - 1) <= width:
            return _row(tabs, here, gap, [tab.name for tab in tabs])
    short = [tab.short for tab in tabs]
    for names in ([*short[:here], tabs[here].name, *short[here + 1 :]], short):
        for gap in (2, 1):
            if sum(map(cell_len, names)) + gap * (len(tabs) - 1) <= width:
                return _row(tabs, here, gap, names)
    first = last = here
    used = cell_len(tabs[here].name) + 4
    while True:
        if last + 1 < len(tabs) and used + 1 + cell_len(tabs[last + 1].short) <= width:
            last += 1
            used += 1 + cell_len(tabs[last].short)
        elif first > 0 and used + 1 + cell_len(tabs[first - 1].short) <= width:
            first -= 1
            used += 1 + cell_len(tabs[first].short)
        else:
            break
    shown = tabs[first : last + 1]
    names = [tab.name if place + first == here else tab.short for place, tab in enumerate(shown)]
    row = [Place(f"{BEFORE} " if first else "  ", 2, "view(-1)", here=False)]
    for place in _row(shown, here - first, 1, names):
        row.append(place._replace(end=place.end + 2))
    end = row[-1].end
    return [*row, Place(f" {AFTER}" if last + 1 < len(tabs) else "  ", end + 2, "view(1)", here=False)]


def _row(tabs: tuple[Tab, ...], here: int, gap: int, names: list[str]) -> list[Place]:
    row: list[Place] = []
    end = 0
    for number, (tab, name) in enumerate(zip(tabs, names, strict=True)):
        text = name if number == len(tabs) - 1 else name + " " * gap
        end += cell_len(text)
        row.append(Place(text, end, f"open_view('{tab.key}')", number == here))
    return row


class TabStrip(Widget):
    """A click opens a tab; the sign at the right end makes the panel as large as the screen."""

    DEFAULT_CSS = """
    TabStrip { height: 1; background: $panel; padding: 0 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._paint = Paint(self)
        self._here = 0
        self._places: list[Place] = []
        self._large = False

    def show(self, key: str, *, large: bool) -> None:
        """Mark this tab as the open one."""
        self._here = next(number for number, tab in enumerate(TABS) if tab.key == key)
        self._large = large
        self.refresh()

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()

    def render_line(self, y: int) -> Strip:
        """The only line."""
        base = self.rich_style
        room = self.size.width - BUTTON
        self._places = arrange(spoken(), self._here, room)
        segments = []
        for place in self._places:
            style = base + (Style(bold=True, underline=True) if place.here else self._paint.style(MUTED))
            word = place.text.rstrip(" ") or place.text
            segments += [Segment(word, style), Segment(place.text[len(word) :], base)]
        sign = Segment(
            SMALLER if self._large else LARGER, base + self._paint.style(FAINT if not room else MUTED)
        )
        return Strip([*Strip(segments).crop_extend(0, room + 1, base), sign]).crop_extend(
            0, self.size.width, base
        )

    async def on_click(self, event: events.Click) -> None:
        """Open the tab under the pointer."""
        x = event.x - self.styles.padding.left
        if x >= self.size.width - BUTTON:
            await self.screen.run_action("maximise")
            return
        action = next((place.action for place in self._places if x < place.end), None)
        if action:
            await self.screen.run_action(action)
