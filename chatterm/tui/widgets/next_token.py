"""The next-token panel: what the model was choosing between, under the model and under the sampler."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from chatterm import inert
from chatterm.engine.records import Candidate
from chatterm.tui import bars
from chatterm.tui.lookout import Look
from chatterm.tui.text.lines import MUTED
from chatterm.tui.widgets.paint import Paint

DRAWN = "▶"
PERCENT = 6
GAP = 2
STEP_NAMES = {
    "top_k": "top-k",
    "top_p": "top-p",
    "min_p": "min-p",
    "typical": "typical",
    "top_n_sigma": "top-nσ",
    "xtc": "XTC",
    "temperature": "T = 0",
}


@dataclass(frozen=True)
class _Row:
    text: str
    p: float
    sampled: float
    nats: float
    rank: int
    removed_by: str | None
    drawn: bool


class NextTokenPanel(Widget):
    """Draws a `Look` line by line; its size never depends on what it shows, so that nothing flickers."""

    DEFAULT_CSS = """
    NextTokenPanel {
        width: 46;
        height: 1fr;
        background: $surface;
        padding: 0 1;
    }
    """

    def __init__(self, candidates: int, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._paint = Paint(self)
        self._candidates = candidates
        self._look: Look | None = None
        self._empty = ""
        self._vocabulary = 0
        self._lines: list[Strip] = []

    def show(self, look: Look | None, vocabulary: int = 0, empty: str = "") -> None:
        """Show a position; `empty` says why there is none."""
        if look == self._look and empty == self._empty and vocabulary == self._vocabulary:
            return
        self._look, self._empty, self._vocabulary = look, empty, vocabulary
        self._lines = []
        self.refresh()

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()
        self._lines = []

    def on_resize(self, _event: events.Resize) -> None:
        """Other width."""
        self._lines = []

    def render_line(self, y: int) -> Strip:
        """One line."""
        if not self._lines:
            base = self.rich_style
            self._lines = [
                Strip(segments).crop_extend(0, self.size.width, base)
                for segments in (self._draw(self._look) if self._look is not None else self._draw_empty())
            ]
        if y < len(self._lines):
            return self._lines[y]
        return Strip.blank(self.size.width, self.rich_style)

    # --- parts ------------------------------------------------------------------------------------------

    def _head(self, state: str) -> list[Segment]:
        base = self.rich_style
        gap = max(1, self.size.width - len("next token") - cell_len(state))
        return [
            Segment("next token", base + Style(bold=True)),
            Segment(" " * gap, base),
            Segment(state, base + self._paint.style(MUTED)),
        ]

    def _draw_empty(self) -> list[list[Segment]]:
        base = self.rich_style
        muted = base + self._paint.style(MUTED)
        words = self._empty.split(" ")
        lines: list[str] = [""]
        for word in words:
            if cell_len(lines[-1]) + 1 + cell_len(word) > self.size.width and lines[-1]:
                lines.append("")
            lines[-1] = f"{lines[-1]} {word}".strip()
        return [self._head(""), [], *([Segment(line, muted)] for line in lines)]

    def _draw(self, look: Look) -> list[list[Segment]]:
        base = self.rich_style
        muted = base + self._paint.style(MUTED)
        width = self.size.width
        latest = "following" if look.turn.live else "last of the reply"
        state = "selected · esc follows" if look.pinned else latest
        before = inert.line(look.before)
        quoted = (
            f"“{bars.fit_end(before, width - len('after “”'))}”" if before else "the beginning of the reply"
        )
        rows = self._rows(look)
        sums = self._sums(look)
        gap: list[list[Segment]] = [[]]
        if self.size.height < 3 + len(gap) * 2 + self._candidates + len(sums):
            gap = []  # low terminals need every line
        lines = [self._head(state), [Segment(f"after {quoted}", muted)], *gap, self._columns(look)]
        lines += [self._row(row) for row in rows]
        lines += [[] for _ in range(self._candidates - len(rows))]
        lines += [*gap, *([Segment(bars.fit(line, width), muted)] for line in sums)]
        return lines

    def _rows(self, look: Look) -> list[_Row]:
        """The candidates, the drawn token last if it is not among the most probable."""
        token = look.token
        shown = [c for c in look.distribution.candidates if c.rank <= self._candidates][: self._candidates]
        rows = [_candidate(c, drawn=c.id == token.id) for c in shown]
        if not any(row.drawn for row in rows):
            drawn = next((c for c in look.distribution.candidates if c.id == token.id), None)
            if drawn is None:
                drawn_row = _Row(
                    token.text,
                    math.exp(token.logprob),
                    token.sampled,
                    -token.logprob,
                    token.rank,
                    None,
                    drawn=True,
                )
            else:
                drawn_row = _candidate(drawn, drawn=True)
            rows = [*rows[: self._candidates - 1], drawn_row]
        return rows

    def _geometry(self) -> tuple[int, int, int]:
        """Cells of the token, of the model's bar and of the sampled bar."""
        room = self.size.width - 2 - 2 * PERCENT - 2 * GAP
        token = max(8, min(20, room * 2 // 5))
        bar = max(3, (room - token) // 2)
        return room - 2 * bar, bar, bar

    def _columns(self, look: Look) -> list[Segment]:
        base = self.rich_style
        muted = base + self._paint.style(MUTED)
        token, bar, sampled = self._geometry()
        heading = f"sampled T {look.temperature:.2f}"
        if cell_len(heading) > sampled + PERCENT:
            heading = f"T {look.temperature:.2f}" if sampled + PERCENT >= 6 else "T"
        return [
            Segment(" " * (2 + token + GAP), base),
            Segment("model".ljust(bar + PERCENT), muted),
            Segment(" " * GAP, base),
            Segment(heading.ljust(sampled + PERCENT), muted),
        ]

    def _row(self, row: _Row) -> list[Segment]:
        base = self.rich_style
        muted = base + self._paint.style(MUTED)
        colour = base + self._paint.surprise(row.nats)
        token, bar, sampled = self._geometry()
        name = base + Style(bold=row.drawn)
        rank = f"{row.rank}. " if row.rank > self._candidates else ""
        if row.removed_by is not None:
            name = muted + Style(strike=True, bold=row.drawn)
            colour = muted
        segments = [
            Segment(f"{DRAWN} " if row.drawn else "  ", base + Style(bold=True)),
            *self._token_cells(f"{rank}{inert.token(row.text)}", token, name, base),
            Segment(" " * GAP, base),
            Segment(bars.bar(row.p, bar), colour),
            Segment(bars.percent(row.p), muted if row.removed_by else base),
            Segment(" " * GAP, base),
        ]
        if row.removed_by is not None:
            step = STEP_NAMES.get(row.removed_by, row.removed_by)
            room = sampled + PERCENT
            words = next((w for w in (f"removed: {step}", f"✕ {step}") if cell_len(w) <= room), "✕")
            return [*segments, Segment(bars.fit(words, room), muted)]
        return [
            *segments,
            Segment(bars.bar(row.sampled, sampled), colour),
            Segment(bars.percent(row.sampled), base + Style(bold=row.drawn)),
        ]

    @staticmethod
    def _token_cells(text: str, width: int, style: Style, base: Style) -> list[Segment]:
        """The token in its cells; the padding behind it is not struck through."""
        shown = bars.fit(text, width)
        text = shown.rstrip(" ")
        return [Segment(text, style), Segment(" " * (width - cell_len(text)), base)]

    def _sums(self, look: Look) -> list[str]:
        distribution = look.distribution
        token = look.token
        removed = [
            f"{STEP_NAMES.get(removal.step, removal.step)} {bars.percent(removal.mass).strip()}"
            for removal in distribution.removed
            if removal.tokens
        ]
        of = f" of {bars.count(self._vocabulary)}" if self._vocabulary else ""
        return [
            f"rank {token.rank} · p {bars.percent(math.exp(token.logprob)).strip()} · "
            f"surprise {max(0.0, -token.logprob):.2f} nats",
            f"entropy {distribution.entropy:.2f} nats · drawn at T {token.temperature:.2f}",
            f"kept {bars.count(distribution.kept)}{of} · "
            f"removed {bars.percent(distribution.removed_mass).strip()}",
            f"by {', '.join(removed)}" if removed else "nothing was removed",
            f"token {look.index + 1} of {len(look.turn.tokens)} · position {distribution.position}",
        ]


def _candidate(candidate: Candidate, *, drawn: bool) -> _Row:
    return _Row(
        candidate.text,
        candidate.p,
        candidate.sampled,
        -candidate.logprob,
        candidate.rank,
        candidate.removed_by,
        drawn,
    )
